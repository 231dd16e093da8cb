//! The processes of this test: its own binary, started again in another role.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::child::{self, Life};
use crate::journal::{self, Journal};

/// What a process is to be, and where; set for those that this test starts.
const ROLE: &str = "ZATO_CRASH_ROLE";
const LIFE: &str = "ZATO_CRASH_LIFE";
const FILE: &str = "ZATO_CRASH_FILE";

/// The test that plays a role; it does nothing in a process that has none.
const PLAYER: &str = "process::role";

/// A process that does not say what it has to say for so long is stuck.
const STUCK: Duration = Duration::from_mins(1);

/// Plays the role that this process was started for.
#[test]
#[ignore = "a part of the other tests, which start it"]
fn role() {
    let Ok(role) = env::var(ROLE) else { return };
    let path = PathBuf::from(env::var_os(FILE).expect("the path is said"));
    if role == "journal" {
        return journal::keep(io::stdin(), &path).expect("the journal can be written");
    }
    ends_with_its_parent();
    let life: Life = serde_json::from_str(&env::var(LIFE).expect("the life is said")).expect("a life");
    // Its standard input is the way into the journal: nothing else writes there.
    let pipe = File::from(io::stdin().as_fd().try_clone_to_owned().expect("the pipe can be cloned"));
    child::run(&path, life, &Journal::new(pipe)).expect("the bus runs");
}

/// Has this process end when the one that started it is gone: nobody would kill it then.
fn ends_with_its_parent() {
    let parent = parent_id();
    std::thread::spawn(move || {
        while parent_id() == parent {
            std::thread::sleep(Duration::from_secs(1));
        }
        std::process::exit(1);
    });
}

/// A command that starts this binary in a role, with `path` for its file. What it says on its standard error comes
/// into a file beside that.
fn command(role: &str, path: &Path) -> io::Result<Command> {
    let beside = path.parent().unwrap_or(Path::new("."));
    let errors = OpenOptions::new().create(true).append(true).open(said(path))?;
    let mut command = Command::new(env::current_exe()?);
    command
        .args([PLAYER, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(FILE, path)
        .env("RUST_BACKTRACE", "0")
        .current_dir(beside)
        .stderr(errors);
    Ok(command)
}

/// What the processes of `path` say on their standard error.
pub(crate) fn said(path: &Path) -> PathBuf {
    path.with_added_extension("said")
}

/// The journal's process, and the way into it.
#[derive(Debug)]
pub(crate) struct Keeper {
    process: Child,
    pipe: OwnedFd,
}

impl Keeper {
    /// Starts it, to write to `path`.
    pub(crate) fn start(path: &Path) -> io::Result<Self> {
        let mut process = command("journal", path)?.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let pipe = process.stdin.take().expect("its input is a pipe");
        Ok(Self { process, pipe: pipe.into() })
    }

    /// Closes the way in; answers when all that was written is on the disk.
    pub(crate) fn end(mut self) -> io::Result<()> {
        drop(self.pipe);
        let status = self.process.wait()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("the journal: {status}"))) }
    }
}

/// A process in which the bus lives.
#[derive(Debug)]
pub(crate) struct Living {
    process: Child,
    /// What it says on its standard output, line by line, until it is dead.
    says: Receiver<String>,
}

impl Living {
    /// Starts it, on the store at `file`.
    pub(crate) fn start(file: &Path, life: Life, keeper: &Keeper) -> io::Result<Self> {
        Self::start_with(file, life, keeper, |_| {})
    }

    /// Starts it with what else its command is to have.
    pub(crate) fn start_with(
        file: &Path,
        life: Life,
        keeper: &Keeper,
        also: impl FnOnce(&mut Command),
    ) -> io::Result<Self> {
        let mut command = command("child", file)?;
        command.env(LIFE, serde_json::to_string(&life)?);
        command.stdin(keeper.pipe.try_clone()?).stdout(Stdio::piped());
        also(&mut command);
        let mut process = command.spawn()?;
        let out = process.stdout.take().expect("its output is a pipe");
        let (say, says) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            lines.for_each(|line| drop(say.send(line)));
        });
        Ok(Self { process, says })
    }

    /// Waits until it says this. Answers whether it has: it may be dead.
    pub(crate) fn waits_for(&self, what: &str) -> io::Result<bool> {
        loop {
            match self.says.recv_timeout(STUCK) {
                Ok(line) if line.ends_with(what) => return Ok(true),
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(io::Error::other(format!("for {STUCK:?} it has not said that {what}")));
                }
            }
        }
    }

    /// Kills it, if it has not ended by itself. Answers how it ended.
    pub(crate) fn kill(mut self) -> io::Result<ExitStatus> {
        self.process.kill()?;
        self.process.wait()
    }

    /// Waits until it has ended, for so long at the most; kills it then.
    pub(crate) fn ends(self, limit: Duration) -> io::Result<ExitStatus> {
        let until = std::time::Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(std::time::Instant::now());
            match self.says.recv_timeout(left) {
                Ok(_) => {}
                // Its output is closed: it has ended, or is about to.
                Err(RecvTimeoutError::Disconnected) => {
                    let mut process = self.process;
                    return process.wait();
                }
                Err(RecvTimeoutError::Timeout) => return self.kill(),
            }
        }
    }
}
