//! A store in a directory of its own, and the program `probe` on it.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{self, Ran, directory};

const PROBE: &str = env!("CARGO_BIN_EXE_probe");

/// How long something may take that is sure to come.
const SURE: Duration = Duration::from_mins(1);

/// A CID that nothing has.
pub(crate) const NOBODY: &str = "0197f3c2-8a41-7c3e-9b1d-6f2e4a5b6c7d";

/// A directory, whose `zato.db` is the store.
pub(crate) struct Store {
    pub(crate) directory: TempDir,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { directory: directory() }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = program::command(PROBE);
        command.current_dir(self.directory.path());
        command
    }

    pub(crate) fn zato<const N: usize>(&self, arguments: [&str; N]) -> Ran {
        let mut child = self.command().args(arguments).spawn().expect("cargo has built the program");
        drop(child.stdin.take());
        program::ran(child)
    }

    /// With an engine named in the environment.
    pub(crate) fn zato_with(&self, engine: &str, arguments: &[&str]) -> Ran {
        let mut command = self.command();
        let mut child =
            command.env("ZATO_ENGINE", engine).args(arguments).spawn().expect("cargo has built it");
        drop(child.stdin.take());
        program::ran(child)
    }

    /// Begins a command that goes on.
    pub(crate) fn begin<const N: usize>(&self, arguments: [&str; N]) -> Begun {
        Begun::new(self.command().args(arguments).spawn().expect("cargo has built the program"))
    }

    /// A process that owns the store.
    pub(crate) fn serve(&self) -> Begun {
        let mut serving = self.begin(["serve"]);
        serving.logs("serving");
        serving
    }

    /// Has an invocation run until it is told to stop, and then wait for the next start; answers with its CID.
    pub(crate) fn interrupted(&self, says: &str) -> String {
        let mut begun = self.begin(["invoke", "probe.runs", says, "--async"]);
        let line = begun.prints(&format!("{says} runs as "));
        begun.terminate();
        line.rsplit(' ').next().expect("its CID").to_owned()
    }

    /// Gives an invocation another CID, as nothing but a test does.
    pub(crate) fn rename(&self, from: &str, to: &str) {
        let blob = |cid: &str| format!("x'{}'", cid.replace('-', ""));
        self.change(&format!("UPDATE invocation SET cid = {} WHERE cid = {}", blob(to), blob(from)));
    }

    /// Changes one row of the store, as nothing but a test does.
    pub(crate) fn change(&self, sql: &str) {
        let file =
            rusqlite::Connection::open(self.directory.path().join("zato.db")).expect("it can be opened");
        assert_eq!(file.execute(sql, []).expect("it can be changed"), 1);
    }

    /// The first that `invocations` lists of a service.
    pub(crate) fn first_of(&self, service: &str) -> Value {
        let listed = self.zato(["invocations", "--service", service, "--json"]);
        listed.printed();
        listed.values().into_iter().next().unwrap_or_else(|| panic!("there is one of {service}: {listed:?}"))
    }

    /// What `explain` says.
    pub(crate) fn explain(&self, cid: &str) -> String {
        self.zato(["explain", cid]).printed().to_owned()
    }
}

/// The CID in a value.
pub(crate) fn cid(value: &Value) -> &str {
    value["cid"].as_str().expect("a CID")
}

/// A program that goes on, and is read while it does.
pub(crate) struct Begun {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    /// What it has written, to be shown where something is missing.
    seen: String,
}

impl Begun {
    fn new(mut child: Child) -> Self {
        let stdout = lines(child.stdout.take().expect("it was piped"));
        let stderr = lines(child.stderr.take().expect("it was piped"));
        Self { child, stdout, stderr, seen: String::new() }
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// The next line on standard output with this in it.
    #[track_caller]
    pub(crate) fn prints(&mut self, part: &str) -> String {
        next(&self.stdout, &mut self.seen, part)
    }

    /// The next line on standard error with this in it.
    #[track_caller]
    pub(crate) fn logs(&mut self, part: &str) -> String {
        next(&self.stderr, &mut self.seen, part)
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.pid()]).status();
        assert!(sent.expect("kill is installed").success());
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn terminate(self) -> Ran {
        self.signal("-TERM");
        self.ended()
    }

    /// Has it die at once.
    pub(crate) fn kill(mut self) {
        self.signal("-KILL");
        self.child.wait().expect("it has died");
    }

    /// Waits for its end; what was read before is not in what it has printed.
    pub(crate) fn ended(mut self) -> Ran {
        let all = |lines: &Receiver<String>| lines.iter().map(|line| line + "\n").collect();
        let (stdout, stderr) = (all(&self.stdout), all(&self.stderr));
        Ran { code: self.child.wait().expect("it ends").code(), stdout, stderr }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

#[track_caller]
fn next(lines: &Receiver<String>, seen: &mut String, part: &str) -> String {
    loop {
        let Ok(line) = lines.recv_timeout(SURE) else { panic!("`{part}` is not in {seen}") };
        seen.push_str(&line);
        seen.push('\n');
        if line.contains(part) {
            return line;
        }
    }
}
