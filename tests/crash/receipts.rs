//! A bus that does one thing after the other as the test says, and what its receipts are worth afterwards: whether each
//! CID that it returned is in the file.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use zato_core::{Cid, Context, Result, service};
use zato_runtime::{Error, Filter, Runtime};

use crate::child::RESERVE;
use crate::{number, process};

/// The role of a child that does that.
pub(crate) const ROLE: &str = "receipts";

/// What begins a line that is an answer.
const ANSWER: &str = "answer: ";

/// A call that is not answered for so long is stuck.
const STUCK: Duration = Duration::from_mins(1);

/// How many are kept of what has ended.
const KEPT: usize = 1_000;

/// The bytes of the request of a call.
const REQUEST: usize = 1_000;

#[service(name = "receipts.done")]
async fn done(_: &Context, _request: String) -> Result<()> {
    Ok(())
}

/// Plays the role, on the store at `path`: reads commands from standard input, and answers each with a line.
pub(crate) fn run(path: &Path) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let tokio = tokio.expect("tokio starts");
    let engine = format!("sqlite:{}", path.display());
    let builder = Runtime::builder().engine(engine).services([done::service().erased()]);
    let builder = builder.disk_reserve(number::from(RESERVE, 0)).keep_ended(KEPT);
    let runtime = match tokio.block_on(builder.start()) {
        Ok(runtime) => runtime,
        Err(error) => return answer(&format!("refused: {error}")),
    };
    answer("up");
    for line in std::io::stdin().lines().map_while(std::result::Result::ok) {
        let (command, with) = line.split_once(' ').unwrap_or((&line, ""));
        let did = tokio.block_on(obey(&runtime, command, with));
        answer(&did.unwrap_or_else(|error| format!("refused: {error}")));
    }
    // Whoever gave the commands is gone.
}

async fn obey(runtime: &Runtime, command: &str, with: &str) -> std::result::Result<String, Error> {
    match command {
        "call" => {
            let calls = (0..with.parse().expect("a number")).map(|_| {
                let runtime = runtime.clone();
                tokio::spawn(async move {
                    let call = runtime.invoke_async("receipts.done", "x".repeat(REQUEST));
                    let called = tokio::time::timeout(STUCK, call.into_future()).await;
                    called.map_or_else(
                        |_| Err(format!("no answer within {STUCK:?}")),
                        |called| called.map_err(|error| error.to_string()),
                    )
                })
            });
            let calls: Vec<_> = calls.collect();
            let (mut cids, mut refused) = (vec!["got".to_owned()], None);
            for call in calls {
                match call.await.expect("a call does not panic") {
                    Ok(cid) => cids.push(cid.to_string()),
                    Err(error) => refused = Some(error),
                }
            }
            let refused = refused.map(|error| format!(" refused: {error}")).unwrap_or_default();
            return Ok(cids.join(" ") + &refused);
        }
        "chdir" => std::env::set_current_dir(with).expect("there is such a directory"),
        "read" => drop(std::fs::read(with).expect("it can be read")),
        "look" => {
            let cid: Cid = with.parse().expect("a CID");
            let explained = runtime.explain(cid).await?.to_string();
            assert!(explained.contains(with), "{explained}");
            let (tree, list) = (runtime.tree(cid).await?, runtime.list(Filter::new()).await?);
            return Ok(format!("found {} {}", tree.len(), list.len()));
        }
        "stop" => runtime.shutdown().await?,
        other => panic!("no command is called {other}"),
    }
    Ok("done".to_owned())
}

fn answer(line: &str) {
    let mut out = std::io::stdout();
    // An error may have several lines, and whoever asked may be gone.
    let line = line.replace('\n', " ");
    let _ = writeln!(out, "\n{ANSWER}{line}").and_then(|()| out.flush());
}

/// A process that plays the role.
#[derive(Debug)]
pub(crate) struct Bus {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// The CIDs that it has returned.
    pub(crate) receipts: Vec<Cid>,
}

impl Bus {
    /// A command that plays the role on `file`, named relative to its directory.
    pub(crate) fn command(file: &Path, said: &Path) -> Command {
        let mut command = process::command(ROLE, file, said).expect("a command can be made");
        process::name_file(&mut command, Path::new(file.file_name().expect("a file has a name")));
        command
    }

    /// Starts it. Answers with an error's text where the bus does not start.
    pub(crate) fn start(mut command: Command) -> std::result::Result<Self, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the child can be started");
        let commands = process.stdin.take().expect("its input is a pipe");
        let answers = BufReader::new(process.stdout.take().expect("its output is a pipe"));
        let mut bus = Self { process, commands, answers, receipts: Vec::new() };
        match bus.answer().strip_prefix("refused: ") {
            Some(error) => {
                let error = error.to_owned();
                bus.process.wait().expect("it ends");
                Err(error)
            }
            None => Ok(bus),
        }
    }

    fn answer(&mut self) -> String {
        let lines = (&mut self.answers).lines().map_while(std::result::Result::ok);
        let mut answers = lines.filter_map(|line| line.strip_prefix(ANSWER).map(str::to_owned));
        answers.next().expect("the child answers")
    }

    /// Gives a command, and returns its answer.
    pub(crate) fn does(&mut self, command: &str) -> String {
        writeln!(self.commands, "{command}").expect("the child reads");
        self.answer()
    }

    /// Makes so many calls at once. Returns why some were refused, if any were.
    pub(crate) fn calls(&mut self, count: usize) -> Option<String> {
        let answer = self.does(&format!("call {count}"));
        let got = answer.strip_prefix("got").unwrap_or_else(|| panic!("{answer}"));
        let (cids, refused) =
            got.split_once(" refused: ").map_or((got, None), |(cids, why)| (cids, Some(why)));
        self.receipts.extend(cids.split_whitespace().map(|cid| cid.parse::<Cid>().expect("a CID")));
        refused.map(str::to_owned)
    }

    /// Makes a call again and again until it is taken, and panics where none is within a minute.
    pub(crate) fn calls_until_taken(&mut self) {
        let began = std::time::Instant::now();
        while let Some(why) = self.calls(1) {
            assert!(began.elapsed() < Duration::from_mins(1), "{why}");
        }
    }

    /// Kills it. Answers its receipts.
    pub(crate) fn kill(mut self) -> Vec<Cid> {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it is dead");
        self.receipts
    }

    /// Shuts it down, and waits until it has ended.
    pub(crate) fn stop(mut self) -> (Vec<Cid>, ExitStatus) {
        let stopped = self.does("stop");
        assert_eq!(stopped, "done");
        drop(self.commands);
        (self.receipts, self.process.wait().expect("it ends"))
    }
}

/// The receipts among these that the file at `path` does not hold.
pub(crate) fn missing(path: &Path, receipts: &[Cid]) -> Vec<Cid> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).expect("it opens");
    let mut statement =
        connection.prepare("SELECT count(*) FROM invocation WHERE cid = ?1").expect("it is a store");
    let is_held = |cid: &Cid| {
        let bytes = cid.as_uuid().as_bytes().to_vec();
        statement.query_row([bytes], |row| row.get::<_, i64>(0)).expect("it can be read") == 1
    };
    let mut is_held = is_held;
    receipts.iter().copied().filter(|cid| !is_held(cid)).collect()
}
