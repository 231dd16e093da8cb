//! Two programs in turn on one store, killed at random moments: one hosts a part of the services, and what the other hosts is
//! parked meanwhile. Services are paused and resumed, shutdowns by SIGTERM are cut off by SIGKILL, and a process that is
//! stopped by SIGSTOP keeps its store to itself.

use std::fs::{self, File};
use std::io;
use std::time::Duration;

use crate::chance::Chance;
use crate::checker::{Deaths, Fault, turns};
use crate::child::{Life, Load, STOPPING, Task, UP};
use crate::killer::{Killed, Plan};
use crate::number;
use crate::process::{Keeper, Living};
use crate::programs::Program;

/// The number of kills by default.
const KILLS: u64 = 40;

/// What keeps these numbers apart from those of the calls.
const OF_KILLER: u64 = 1 << 44;

/// How a life ends. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
enum Ends {
    /// SIGKILL after its process was started.
    Started(u64),
    /// SIGKILL after its bus has started.
    Up(u64),
    /// SIGTERM after its bus has started, and SIGKILL after it has begun to shut down.
    Draining { up: u64, draining: u64 },
    /// SIGSTOP after its bus has started. Then perhaps the other program tries to start, perhaps SIGCONT and some time, and
    /// SIGKILL.
    Stopped { up: u64, intrudes: bool, goes_on: Option<u64> },
}

impl Ends {
    fn new(chance: &mut Chance) -> Self {
        let up = chance.below(90_000);
        match chance.below(10) {
            0 => Self::Started(chance.below(60_000)),
            1..4 => Self::Draining { up, draining: chance.below(100_000) },
            4..6 => Self::Stopped {
                up,
                intrudes: chance.one_in(2),
                goes_on: chance.maybe(2, |chance| chance.below(60_000)),
            },
            _ => Self::Up(up),
        }
    }
}

/// What was done.
#[derive(Debug)]
pub(crate) struct Turned {
    pub(crate) killed: Killed,
    pub(crate) deaths: Deaths,
    /// How many processes were stopped by SIGSTOP, and how many starts were refused meanwhile.
    pub(crate) stopped: u32,
    pub(crate) refused: u32,
}

/// Lets the two programs take turns until there were so many kills, and one that hosts everything end what is left.
///
/// # Errors
///
/// A process that cannot be started, or that did not end as it should.
pub(crate) fn run(seed: u64, kills: u32) -> io::Result<Turned> {
    let plan = Plan { load: Load::Turns, last: Load::Resumes, ..Plan::new(seed, kills) };
    let mut turned = Turned { killed: Killed::new()?, deaths: Deaths::default(), stopped: 0, refused: 0 };
    let keeper = Keeper::start(&turned.killed.journal())?;
    let mut chance = Chance::new(seed, OF_KILLER);
    let mut program = Program::Front;
    while turned.killed.kills < kills {
        let life = Life { program, ..turned.killed.life(plan, plan.load, Task::Terminate) };
        let living = Living::start(&turned.killed.file(), life, &keeper)?;
        let ends = Ends::new(&mut chance);
        turned.end_life(&living, life, ends, &keeper).map_err(|error| turned.killed.blame(&error))?;
        turned.killed.count(living.kill()?)?;
        turned.look()?;
        turned.killed.keep_moment(plan)?;
        program = match program {
            Program::Front if !chance.one_in(4) => Program::Back,
            Program::Back if !chance.one_in(4) => Program::Front,
            program => program,
        };
    }
    turned.killed.end(plan, &keeper)?;
    keeper.end()?;
    Ok(turned)
}

fn sleep(microseconds: u64) {
    std::thread::sleep(Duration::from_micros(microseconds));
}

impl Turned {
    /// Brings a life to where it is killed. It may be dead before that, by what it ran.
    fn end_life(&mut self, living: &Living, life: Life, ends: Ends, keeper: &Keeper) -> io::Result<()> {
        match ends {
            Ends::Started(time) => sleep(time),
            Ends::Up(time) => {
                if living.waits_for(UP)? {
                    sleep(time);
                }
            }
            Ends::Draining { up, draining } => {
                if living.waits_for(UP)? {
                    sleep(up);
                    living.signal("-TERM")?;
                    if living.waits_for(STOPPING)? {
                        sleep(draining);
                    }
                }
            }
            Ends::Stopped { up, intrudes, goes_on } => {
                if !living.waits_for(UP)? {
                    return Ok(());
                }
                sleep(up);
                if !living.stop()? {
                    return Ok(());
                }
                self.stopped += 1;
                if intrudes {
                    self.intrude(living, life, keeper)?;
                }
                if let Some(time) = goes_on {
                    living.signal("-CONT")?;
                    sleep(time);
                }
            }
        }
        Ok(())
    }

    /// Starts the other program while the owner of the store is stopped: it is refused, and is told who the owner is.
    fn intrude(&mut self, owner: &Living, life: Life, keeper: &Keeper) -> io::Result<()> {
        let file = self.killed.file();
        let (journal, said) = (file.with_added_extension("other"), file.with_added_extension("other-said"));
        let (out, errors) = (File::create(&journal)?, File::create(&said)?);
        let program = if life.program == Program::Front { Program::Back } else { Program::Front };
        let life = Life { program, ..life };
        let other = Living::start_with(&file, life, keeper, |command| {
            command.stdin(out).stderr(errors);
        })?;
        let is_up = other.waits_for(UP)?;
        let status = other.kill()?;
        let said = fs::read_to_string(said)?;
        let is_refused = !is_up && !status.success() && said.contains(&format!("process {}", owner.pid()));
        if !is_refused {
            return Err(io::Error::other(format!("it was not refused: up: {is_up}, {status}: {said}")));
        }
        self.refused += 1;
        Ok(())
    }

    /// Reads the counts of the file as a life has left it.
    fn look(&mut self) -> io::Result<()> {
        if let Some(copy) = self.killed.copy("counts")? {
            self.deaths.read(self.killed.lives, &copy);
        }
        Ok(())
    }
}

#[test]
fn nothing_is_lost_or_doubled_by_two_programs_in_turn() {
    let seed = number::from("ZATO_TEST_SEED", u64::from(std::process::id()));
    let kills = u32::try_from(number::from("ZATO_TEST_KILLS", KILLS)).expect("so many kills");
    println!("seed {seed}, {kills} kills");
    let Turned { mut killed, deaths, stopped, refused } =
        run(seed, kills).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let (turns, left) = (turns(&killed.journal(), &killed.file()), deaths.left_by_drains(&killed.journal()));
    println!(
        "{} lives: {} killed, {} killed by what they ran, {} shut down, {stopped} stopped, {refused} starts refused meanwhile",
        killed.lives, killed.kills, killed.suicides, killed.stops
    );
    println!("{turns}; {left} attempts were left running by them; {} deaths counted", deaths.counted());
    println!("{}", killed.losses());
    let mut faults = killed.faults();
    faults.extend(deaths.faults(&killed.journal()));
    if !faults.is_empty() {
        let shown: Vec<_> = faults.iter().take(20).map(Fault::to_string).collect();
        panic!(
            "{} faults with seed {seed} and {kills} kills, in {}:\n  {}\n  again: ZATO_TEST_SEED={seed} \
             ZATO_TEST_KILLS={kills} cargo test -p zato-tests --test crash two_programs::",
            faults.len(),
            killed.keep().display(),
            shown.join("\n  ")
        );
    }
    if u64::from(kills) >= KILLS {
        assert!(turns.parked > 0 && turns.lives_paused > 0, "{turns}");
        assert!(turns.drains_cut_off > 0 && left > 0, "{turns}; {left} attempts were left running");
        assert!(stopped > 0 && refused > 0, "{stopped} stopped, {refused} starts refused");
    }
}
