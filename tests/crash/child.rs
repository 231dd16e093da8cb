//! One life of the bus under load: it makes its calls, runs what there is, and is killed at some time.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use zato_core::{Cancellation, Cid, Registration};
use zato_runtime::{Error, Filter, InvocationInfo, Runtime};

use crate::door::{self, Door};
use crate::journal::{Journal, Line};
use crate::maker;
use crate::programs::Program;
use crate::script::{Ask, LINE, WORKERS};
use crate::{number, services, switches, turns};

/// What a process says on its standard output: its bus has started, and it has begun to shut down.
pub(crate) const UP: &str = "the bus is up";
pub(crate) const STOPPING: &str = "the bus is stopping";

/// How many ask from outside at the same time, and how many in a long line.
const CALLERS: usize = 3;
const CALLERS_IN_LINE: usize = 100;

/// How many bytes are kept on the disk for what must be recorded.
pub(crate) const RESERVE: &str = "ZATO_CRASH_RESERVE";

/// More than are ever called.
const MANY: usize = 1_000_000;

/// How long the last life may take.
const LAST: Duration = Duration::from_secs(90);

/// What one life is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Life {
    pub(crate) seed: u64,
    pub(crate) number: u32,
    pub(crate) load: Load,
    pub(crate) task: Task,
    pub(crate) program: Program,
    /// Whether its CIDs are given before what they promise is on the disk: the fault that must be found.
    pub(crate) promises_early: bool,
}

/// What it calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Load {
    Nothing,
    /// What follows from its seed and its number; perhaps also what kills its process.
    Random {
        with_poison: bool,
    },
    /// One that kills its process, among many that do not.
    Crowd,
    /// The same with poison, and what two programs that take turns meet besides: calls of a service in order of priority,
    /// calls that outlast a shutdown, services that are paused and resumed.
    Turns,
    /// Nothing but that every service is resumed.
    Resumes,
    /// Many of a service that has one place, and that nothing starts of before all are called.
    Line,
    /// A synchronous call that goes on for long, and has called something in the background before.
    Outside,
}

/// What it does beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Task {
    /// Runs until it is killed.
    Run,
    /// Shuts down after so many milliseconds.
    Stop(u64),
    /// Shuts down when it receives SIGTERM.
    Terminate,
    /// Shuts down when nothing is left.
    End,
}

/// Lives, on the store at `file`.
///
/// # Errors
///
/// Those of the start and of the shutdown.
pub(crate) fn run(file: &Path, life: Life, journal: &Journal) -> Result<(), Error> {
    // What a handler's panic says is of no interest here; what any other says ends this life loudly.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some("not yet") {
            hook(info);
        }
    }));
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    tokio.expect("tokio starts").block_on(live(file, life, journal))
}

/// A bus on the store at `file`, that forgets nothing.
///
/// # Errors
///
/// Those of the start.
pub(crate) async fn start(
    file: &Path,
    life: Life,
    journal: &Journal,
    services: impl IntoIterator<Item = Registration>,
) -> Result<Runtime, Error> {
    let builder = Runtime::builder()
        .engine(format!("sqlite:{}", file.display()))
        .services(services)
        .provide(journal.clone())
        .keep_ended(usize::MAX)
        .keep_ended_bytes(usize::MAX)
        .keep_dead(usize::MAX)
        .disk_reserve(number::from(RESERVE, 1 << 20))
        .drain_limit(Duration::from_millis(if life.task == Task::Terminate { 150 } else { 40 }));
    // Every other life holds next to nothing of what waits.
    let builder =
        if (life.seed + u64::from(life.number)).is_multiple_of(2) { builder } else { builder.window(3) };
    let builder = if life.promises_early { builder.acknowledge_before_commit() } else { builder };
    builder.start().await
}

async fn live(file: &Path, life: Life, journal: &Journal) -> Result<(), Error> {
    journal.write(&Line::Begins { life: life.number });
    let hosted = life.program.services();
    let services = hosted.iter().map(|service| service.name().to_owned()).collect();
    journal.write(&Line::Hosts { services });
    // A process that does not listen ends at once.
    let terminated = (life.task == Task::Terminate)
        .then(|| signal(SignalKind::terminate()).expect("the signal can be received"));
    let runtime = start(file, life, journal, hosted).await?;
    say(UP);
    journal.write(&Line::Up { life: life.number });
    let calls = tokio::spawn(ask(runtime.clone(), life, journal.clone()));
    match life.task {
        Task::Stop(milliseconds) => services::wait(milliseconds).await,
        Task::Run | Task::Terminate => match terminated {
            Some(mut terminated) => drop(terminated.recv().await),
            None => std::future::pending().await,
        },
        Task::End => {
            calls.await.expect("the calls can be made");
            end(&runtime).await?;
        }
    }
    journal.write(&Line::Stops { life: life.number });
    say(STOPPING);
    let drains = async {
        if life.task == Task::Terminate {
            switches::note_drain(&runtime, life, journal).await;
        }
    };
    tokio::join!(runtime.shutdown(), drains).0?;
    journal.write(&Line::Down { life: life.number });
    Ok(())
}

fn say(what: &str) {
    let mut out = std::io::stdout();
    // Who asked may be gone.
    let _ = writeln!(out, "{what}").and_then(|()| out.flush());
}

/// Makes the calls of this life, and once more those of the life before that brought their CIDs: whoever was not
/// answered asks again.
async fn ask(runtime: Runtime, life: Life, journal: Journal) {
    let asks = match life.load {
        Load::Nothing | Load::Resumes => Vec::new(),
        Load::Crowd => maker::crowd(),
        Load::Line => maker::line(life.number),
        Load::Outside => maker::outside(),
        Load::Random { with_poison } => {
            again(life).chain(maker::asks(life.seed, life.number, with_poison)).collect()
        }
        Load::Turns => again(life).chain(turns::asks(life.seed, life.number)).collect(),
    };
    let switches = match life.load {
        Load::Turns => turns::switches(life.seed, life.number),
        Load::Resumes => turns::resumes(),
        _ => Vec::new(),
    };
    let asks = Arc::new(Mutex::new(asks.into_iter()));
    let got = Arc::new(Mutex::new(Vec::new()));
    let mut callers = JoinSet::new();
    if life.load == Load::Line {
        // A runtime that is shut down refuses.
        let _ = runtime.pause(LINE).await;
    }
    for _ in 0..if life.load == Load::Line { CALLERS_IN_LINE } else { CALLERS } {
        let (runtime, journal, asks, got) = (runtime.clone(), journal.clone(), asks.clone(), got.clone());
        callers.spawn(async move {
            loop {
                let next = asks.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(next) = next else { return };
                if let Some(cid) = make(&runtime, &journal, next, &got).await {
                    got.lock().unwrap_or_else(PoisonError::into_inner).push(cid);
                }
            }
        });
    }
    switches::switch_all(&runtime, &journal, switches).await;
    callers.join_all().await;
    if life.load != Load::Turns {
        let _ = runtime.resume(LINE).await;
    }
}

/// The calls of the life before that bring their CIDs.
fn again(life: Life) -> impl Iterator<Item = Ask> {
    let before = life.number.checked_sub(1).map(|before| maker::asks(life.seed, before, false));
    before.into_iter().flatten().filter(|ask| matches!(ask, Ask::Call(_, Some(_), _)))
}

/// Makes a call, and answers with its CID, if it has one. What is refused is in the journal.
async fn make(runtime: &Runtime, journal: &Journal, ask: Ask, got: &Mutex<Vec<Cid>>) -> Option<Cid> {
    let outside = Door::Outside(runtime);
    match ask {
        Ask::Call(call, brings, waits) => {
            let cid = outside.call(journal, &call, brings.as_deref()).await.ok()?;
            if waits {
                let (runtime, journal) = (runtime.clone(), journal.clone());
                tokio::spawn(async move { door::outcome(&runtime, &journal, cid).await });
            }
            Some(cid)
        }
        Ask::Group(group) => outside.group(journal, &group).await.ok(),
        Ask::Chain(chain) => outside.chain(journal, &chain).await.ok(),
        Ask::Sync(worker, work) => {
            let (runtime, journal) = (runtime.clone(), journal.clone());
            tokio::spawn(async move { Door::Outside(&runtime).invoke(&journal, worker, &work).await });
            None
        }
        Ask::Poison(work, losses) => door::poison(runtime, journal, &work, losses).await.ok(),
        Ask::Cancel(index, with_tree) => {
            let cid = *got.lock().unwrap_or_else(PoisonError::into_inner).get(index)?;
            cancel(runtime, journal, cid, with_tree).await;
            None
        }
        Ask::RunAgain(worker) => {
            let dead = Filter::dead().service(WORKERS[worker]).limit(1);
            let cid = runtime.list(dead).await.ok()?.first()?.cid();
            journal.write(&Line::RunsAgain { cid: cid.to_string() });
            let again = runtime.run_again(cid).await.ok()?;
            journal.write(&Line::RanAgain { cid: cid.to_string(), again: again.to_string() });
            None
        }
    }
}

async fn cancel(runtime: &Runtime, journal: &Journal, cid: Cid, with_tree: bool) {
    journal.write(&Line::Cancels { cid: cid.to_string(), with_tree });
    let cancel = runtime.cancel(cid);
    let answer = if with_tree { cancel.with_tree().await } else { cancel.await };
    let answer = match answer {
        Ok(Cancellation::Ended(_)) => "ended",
        Ok(Cancellation::Cancelled) => "cancelled",
        Ok(Cancellation::Requested) => "requested",
        Err(_) => return,
    };
    journal.write(&Line::Cancelled { cid: cid.to_string(), answer: answer.to_owned() });
}

/// Waits until nothing is left that has not ended.
async fn end(runtime: &Runtime) -> Result<(), Error> {
    let all_end = async {
        let mut before = None;
        loop {
            let (all, left) = left(runtime).await?;
            // A list may show that something has ended, and not yet what follows from it: the next one does.
            if left.is_empty() && before == Some(all) {
                return Ok::<(), Error>(());
            }
            before = Some(all);
            for found in left {
                runtime.outcome(found.cid()).await?;
            }
        }
    };
    if let Ok(ended) = tokio::time::timeout(LAST, all_end).await {
        return ended;
    }
    let (_, left) = left(runtime).await?;
    eprintln!("after {LAST:?} these have not ended, of {} at the least:", left.len());
    for found in left.iter().take(5) {
        eprintln!("{}", runtime.explain(found.cid()).await?);
    }
    panic!("not all that was asked for has ended");
}

/// How many there are, and what of them has not ended, the newest first.
async fn left(runtime: &Runtime) -> Result<(usize, Vec<InvocationInfo>), Error> {
    let mut left = runtime.list(Filter::new().limit(MANY)).await?;
    let all = left.len();
    left.retain(|found| found.outcome().is_none());
    Ok((all, left))
}
