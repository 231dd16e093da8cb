//! The processes of this test: its own binary, started again in another role.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::child::{self, Life};
use crate::journal::{self, Journal};
use crate::{receipts, rows, threads, trial, unlock, unrecorded};

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
    if role == rows::ROLE {
        return rows::run(&path);
    }
    if role == threads::ROLE {
        return threads::run(&path);
    }
    if role == unlock::ROLE {
        return unlock::run(&path);
    }
    if role == unrecorded::ROLE {
        return unrecorded::run(&path);
    }
    if role == receipts::ROLE {
        return receipts::run(&path);
    }
    let life: Life = serde_json::from_str(&env::var(LIFE).expect("the life is said")).expect("a life");
    // Its standard input is the way into the journal: nothing else writes there.
    let pipe = File::from(io::stdin().as_fd().try_clone_to_owned().expect("the pipe can be cloned"));
    let journal = Journal::new(pipe);
    if role == trial::ROLE {
        return trial::run(&path, life, &journal);
    }
    child::run(&path, life, &journal).expect("the bus runs");
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
/// into the file `said`.
pub(crate) fn command(role: &str, path: &Path, said: &Path) -> io::Result<Command> {
    let beside = path.parent().unwrap_or(Path::new("."));
    let errors = OpenOptions::new().create(true).append(true).open(said)?;
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

/// Names the file in another way, as relative to the working directory.
pub(crate) fn name_file(command: &mut Command, path: &Path) {
    command.env(FILE, path);
}

/// Says what life a child has.
pub(crate) fn set(command: &mut Command, life: Life) -> io::Result<()> {
    command.env(LIFE, serde_json::to_string(&life)?);
    Ok(())
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
        let mut process =
            command("journal", path, &said(path))?.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
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
        let mut command = command("child", file, &said(file))?;
        set(&mut command, life)?;
        command.stdin(keeper.pipe.try_clone()?);
        also(&mut command);
        Self::spawn(command)
    }

    /// Starts what will live.
    pub(crate) fn spawn(mut command: Command) -> io::Result<Self> {
        command.stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let out = process.stdout.take().expect("its output is a pipe");
        let (say, says) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            lines.for_each(|line| drop(say.send(line)));
        });
        Ok(Self { process, says })
    }

    /// Sends it a signal, such as `-TERM`. It may be dead.
    pub(crate) fn signal(&self, signal: &str) -> io::Result<()> {
        let pid = self.process.id().to_string();
        Command::new("kill").args([signal, &pid]).stderr(Stdio::null()).status().map(drop)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
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

    /// Waits until it has ended, for so long at the most. Answers how it ended, if it has.
    pub(crate) fn has_ended(&mut self, within: Duration) -> io::Result<Option<ExitStatus>> {
        let until = Instant::now() + within;
        loop {
            match self.says.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                // Its output is closed: it has ended, or is about to.
                Err(RecvTimeoutError::Disconnected) => return self.process.wait().map(Some),
                Err(RecvTimeoutError::Timeout) => return Ok(None),
            }
        }
    }

    /// Stops it by SIGSTOP. Answers whether it is stopped: it may be dead.
    pub(crate) fn stop(&self) -> io::Result<bool> {
        self.signal("-STOP")?;
        let stat = format!("/proc/{}/stat", self.process.id());
        loop {
            // The state follows the name, which is in parentheses.
            let state = fs::read_to_string(&stat)?.rsplit(") ").next().and_then(|rest| rest.chars().next());
            match state {
                Some('T') => return Ok(true),
                Some('Z' | 'X') | None => return Ok(false),
                // The signal is on its way.
                Some(_) => std::thread::yield_now(),
            }
        }
    }

    /// Kills it, if it has not ended by itself. Answers how it ended.
    pub(crate) fn kill(mut self) -> io::Result<ExitStatus> {
        self.process.kill()?;
        self.process.wait()
    }

    /// Waits until it has ended, for so long at the most; kills it then.
    pub(crate) fn ends(mut self, limit: Duration) -> io::Result<ExitStatus> {
        match self.has_ended(limit)? {
            Some(status) => Ok(status),
            None => self.kill(),
        }
    }
}
