//! A bus that is killed again and again, and in the end is left in peace.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use tempfile::TempDir;

use crate::chance::Chance;
use crate::checker::{Fault, Losses, Moment, check_with, losses};
use crate::child::{Life, Load, STOPPING, Task, UP};
use crate::process::{Keeper, Living, said};
use crate::programs::Program;

/// What keeps the numbers of the killer apart from those of the calls.
const OF_KILLER: u64 = 1 << 41;

const SIGKILL: i32 = 9;
const SIGABRT: i32 = 6;

/// How long the last life may take, with what it needs to tell what it waits for.
const LAST: Duration = Duration::from_mins(2);

/// How often the last life may be killed by what it runs.
const LAST_LIVES: u32 = 30;

/// How often the file is copied for the checker as a kill has left it.
const MOMENTS: u32 = 6;

/// When a life is killed, in microseconds.
#[derive(Debug, Clone, Copy)]
enum When {
    /// So long after its process was started: it may be about to open the file.
    Started(u64),
    /// So long after its bus has started.
    Up(u64),
    /// So long after its bus has begun to shut down.
    Stopping(u64),
}

/// What was done, and where it can be read.
#[derive(Debug)]
pub(crate) struct Killed {
    directory: TempDir,
    /// How many lives there were.
    pub(crate) lives: u32,
    /// How many of them were killed from outside.
    pub(crate) kills: u32,
    /// How many were killed by what they ran.
    pub(crate) suicides: u32,
    /// How many shut down in time.
    pub(crate) stops: u32,
    /// The file as some of those that were killed have left it.
    moments: Vec<Moment>,
}

impl Killed {
    /// An empty directory, in which nothing has been done.
    pub(crate) fn new() -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        Ok(Self { directory, lives: 0, kills: 0, suicides: 0, stops: 0, moments: Vec::new() })
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("zato.db")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.directory.path().join("journal")
    }

    /// What is wrong with what is left.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        check_with(&self.journal(), &self.file(), &self.moments)
    }

    /// What ended as `Lost`, and what was counted as a loss.
    pub(crate) fn losses(&self) -> Losses {
        losses(&self.journal(), &self.file())
    }

    /// Keeps the files, and answers where they are.
    pub(crate) fn keep(&mut self) -> PathBuf {
        self.directory.disable_cleanup(true);
        self.directory.path().to_owned()
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// What the lives that are killed ask for.
    pub(crate) load: Load,
    pub(crate) kills: u32,
    /// What is asked for by the first of the lives that are left in peace.
    pub(crate) last: Load,
    pub(crate) promises_early: bool,
    /// How many milliseconds a life has at the most.
    pub(crate) lives_for: u64,
}

impl Plan {
    /// Random calls, and so many kills.
    pub(crate) fn new(seed: u64, kills: u32) -> Self {
        let load = Load::Random { with_poison: true };
        Self { seed, load, kills, last: Load::Nothing, promises_early: false, lives_for: 80 }
    }
}

/// Does it.
///
/// # Errors
///
/// A process that cannot be started, or that did not end as it should; what it said is in the error.
pub(crate) fn run(plan: Plan) -> io::Result<Killed> {
    let mut killed = Killed::new()?;
    let keeper = Keeper::start(&killed.journal())?;
    let mut chance = Chance::new(plan.seed, OF_KILLER);
    while killed.kills < plan.kills {
        let when = when(&mut chance, plan.lives_for * 1_000);
        let task = if matches!(when, When::Stopping(_)) { Task::Stop(chance.below(40)) } else { Task::Run };
        let living = Living::start(&killed.file(), killed.life(plan, plan.load, task), &keeper)?;
        wait(&living, when).map_err(|error| killed.blame(&error))?;
        killed.count(living.kill()?)?;
        killed.keep_moment(plan)?;
    }
    killed.end(plan, &keeper)?;
    keeper.end()?;
    Ok(killed)
}

/// When a life that has so many microseconds is killed.
fn when(chance: &mut Chance, lives_for: u64) -> When {
    match chance.below(10) {
        0..2 => When::Started(chance.below(60_000)),
        2..4 => When::Stopping(chance.below(50_000)),
        _ => When::Up(chance.below(lives_for)),
    }
}

/// Waits until it is time.
fn wait(living: &Living, when: When) -> io::Result<()> {
    let (is_alive, time) = match when {
        When::Started(time) => (true, time),
        When::Up(time) => (living.waits_for(UP)?, time),
        When::Stopping(time) => (living.waits_for(STOPPING)?, time),
    };
    if is_alive {
        std::thread::sleep(Duration::from_micros(time));
    }
    Ok(())
}

impl Killed {
    /// Leaves the bus in peace until nothing is left that has not ended.
    pub(crate) fn end(&mut self, plan: Plan, keeper: &Keeper) -> io::Result<()> {
        for index in 0..LAST_LIVES {
            let load = if index == 0 { plan.last } else { Load::Nothing };
            let living = Living::start(&self.file(), self.life(plan, load, Task::End), keeper)?;
            let (kills, stops) = (self.kills, self.stops);
            self.count(living.ends(LAST)?)?;
            if self.kills > kills {
                return Err(self.blame(&io::Error::other(format!("it has not ended after {LAST:?}"))));
            }
            if self.stops > stops {
                return Ok(());
            }
        }
        Err(self.blame(&io::Error::other("the last life is killed again and again by what it runs")))
    }

    /// The next life.
    pub(crate) fn life(&mut self, plan: Plan, load: Load, task: Task) -> Life {
        self.lives += 1;
        let Plan { seed, promises_early, .. } = plan;
        Life { seed, number: self.lives, load, task, program: Program::Whole, promises_early }
    }

    /// Copies the file for the checker now and then.
    pub(crate) fn keep_moment(&mut self, plan: Plan) -> io::Result<()> {
        if self.kills.is_multiple_of(plan.kills.div_ceil(MOMENTS)) {
            let copy = self.copy(&self.lives.to_string())?;
            self.moments.extend(copy.map(|copy| (self.lives, copy)));
        }
        Ok(())
    }

    /// Copies the file, and the log beside it in which the last commits are. Answers where the copy is.
    pub(crate) fn copy(&self, extension: &str) -> io::Result<Option<PathBuf>> {
        let (file, copy) = (self.file(), self.file().with_added_extension(extension));
        // What is killed at once has not made it yet.
        if !file.exists() {
            return Ok(None);
        }
        fs::copy(&file, &copy)?;
        let log = |file: &Path| PathBuf::from(format!("{}-wal", file.display()));
        if log(&file).exists() {
            fs::copy(log(&file), log(&copy))?;
        } else if log(&copy).exists() {
            fs::remove_file(log(&copy))?;
        }
        Ok(Some(copy))
    }

    pub(crate) fn count(&mut self, status: ExitStatus) -> io::Result<()> {
        match status.signal() {
            Some(SIGKILL) => self.kills += 1,
            Some(SIGABRT) => self.suicides += 1,
            _ if status.success() => self.stops += 1,
            _ => return Err(self.blame(&io::Error::other(format!("it ended with {status}")))),
        }
        Ok(())
    }

    /// An error with what the processes have said.
    pub(crate) fn blame(&self, error: &io::Error) -> io::Error {
        let said = fs::read_to_string(said(&self.file())).unwrap_or_default();
        io::Error::other(format!("life {}: {error}\n{said}", self.lives))
    }
}
