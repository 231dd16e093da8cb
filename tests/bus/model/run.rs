//! Runs the plan of a seed on a paused clock.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};
use zato_runtime::{Builder, Cid, Filter, Runtime, StatusFilter};

use super::door::Door;
use super::facts::{GRACE, World};
use super::log::{Event, Log, Record};
use super::maker::{MOST_RESTARTS, plan, plan_with_restarts};
use super::script::{Act, PAUSED, Plan, step_of};
use super::services::services;
use crate::builder::directory;

/// The engine that forgets.
const MEMORY: &str = "memory:";

/// Settings for every start of a bus, the first and those after a restart: all of them have one beginning of time, which
/// is ours.
fn builders(url: &str) -> (SystemTime, Vec<Builder>) {
    loop {
        let wall = SystemTime::now();
        let all = (0..MOST_RESTARTS + 2).map(|_| Runtime::builder().engine(url)).collect();
        if wall.elapsed().is_ok_and(|elapsed| elapsed < Duration::from_millis(2)) {
            return (wall, all);
        }
    }
}

/// A bus, and all that it takes to start it again.
struct Bus<'a> {
    plan: &'a Plan,
    log: Log,
    left: Vec<Builder>,
    runtime: Runtime,
}

impl<'a> Bus<'a> {
    async fn start(plan: &'a Plan, log: Log, mut left: Vec<Builder>) -> Self {
        let (runtime, limit) = (left.pop().expect("another start"), next_limit(&plan.acts, plan.shutdown.1));
        let runtime = Self::started(plan, &log, runtime, limit).await;
        Self { plan, log, left, runtime }
    }

    async fn started(plan: &Plan, log: &Log, builder: Builder, limit: u64) -> Runtime {
        let builder = builder
            .services(services())
            .provide(log.clone())
            .cancel_grace(Duration::from_millis(GRACE))
            .keep_ended(1_000_000)
            .max_running(plan.max_running.unwrap_or(10_000))
            .window(plan.window)
            .drain_limit(Duration::from_millis(limit));
        let runtime = builder.start().await.expect("it starts");
        log.set_runtime(Some(runtime.clone()));
        runtime
    }

    /// Shuts it down and starts it again; `rest` is what is done to it then.
    async fn restart(&mut self, limit: u64, down: u64, rest: &[(u64, Act)]) {
        self.log.push(Event::RestartBegan { limit });
        self.runtime.shutdown().await.expect("it shuts down");
        self.log.push(Event::Stopped);
        sleep(Duration::from_millis(down)).await;
        let (builder, limit) =
            (self.left.pop().expect("another start"), next_limit(rest, self.plan.shutdown.1));
        self.log.push(Event::Restarted);
        self.runtime = Self::started(self.plan, &self.log, builder, limit).await;
        self.log.hear_again();
    }

    async fn act(&mut self, act: &Act, rest: &[(u64, Act)]) {
        let (runtime, log) = (&self.runtime, &self.log);
        let door = Door::Outside(runtime);
        match act {
            Act::Call(call) => drop(door.call(log, call).await),
            Act::Group(group) => drop(door.group(log, group).await),
            Act::Chain(chain) => drop(door.chain(log, chain).await),
            Act::RunAgain(number) => {
                let from = if number % 5 == 0 { log.known() } else { log.failed() };
                if let Some(cid) = from.get(number % from.len().max(1)) {
                    log.push(Event::AskedAgain);
                    let answer = runtime.run_again(*cid).await.map_err(|error| error.to_string());
                    log.push(Event::RanAgain { cid: *cid, answer: answer.clone() });
                    if let Ok(again) = answer {
                        log.watch(again);
                    }
                }
            }
            Act::Discard(number) => {
                let from = log.failed();
                if let Some(cid) = from.get(number % from.len().max(1)) {
                    let answer = runtime.discard(*cid).await.map_err(|error| error.to_string());
                    log.push(Event::Discarded { cid: *cid, answer });
                }
            }
            Act::Pause(service, paused) => {
                let (service, paused) = (PAUSED[*service], *paused);
                if paused {
                    runtime.pause(service).await.expect("it is known");
                    log.push(Event::Paused { service, paused });
                } else {
                    // What waits starts before whoever resumes it is told.
                    log.push(Event::Paused { service, paused });
                    runtime.resume(service).await.expect("it is known");
                }
            }
            Act::Cancel(number, with_tree) => {
                let known = log.known();
                if let Some(cid) = known.get(number % known.len().max(1)) {
                    door.cancel(log, *cid, *with_tree).await;
                }
            }
            Act::EndRunning => {
                let running = Filter::new().stage(StatusFilter::Running).limit(usize::MAX);
                for found in runtime.list(running).await.expect("it can be read") {
                    door.cancel(log, found.cid(), false).await;
                }
            }
            Act::Restart { limit, down } => self.restart(*limit, *down, rest).await,
        }
    }
}

/// How long the next shutdown waits.
fn next_limit(acts: &[(u64, Act)], last: u64) -> u64 {
    let limit = |(_, act): &(u64, Act)| match act {
        Act::Restart { limit, .. } => Some(*limit),
        _ => None,
    };
    acts.iter().find_map(limit).unwrap_or(last)
}

async fn run(plan: &Plan, url: &str) -> (Vec<(u64, Event)>, Log, World) {
    let (wall, builders) = builders(url);
    let (log, began) = (Log::new(wall), Instant::now());
    let mut bus = Bus::start(plan, log.clone(), builders).await;
    let first = bus.runtime.clone();
    let outside = async {
        for (index, (at, act)) in plan.acts.iter().enumerate() {
            sleep_until(began + Duration::from_millis(*at)).await;
            bus.act(act, &plan.acts[index + 1..]).await;
        }
    };
    let shut_down = async |runtime: &Runtime| {
        let (at, limit) = plan.shutdown;
        sleep_until(began + Duration::from_millis(at)).await;
        log.push(Event::ShutdownBegan { limit });
        runtime.shutdown().await.expect("it shuts down");
        log.push(Event::ShutdownEnded);
    };
    let is_durable = url != MEMORY;
    if is_durable {
        drop(first);
        outside.await;
        shut_down(&bus.runtime).await;
        sleep(Duration::from_millis(1)).await;
        // To be asked.
        let builder = bus.left.pop().expect("another start");
        bus.runtime = Bus::started(plan, &log, builder, 0).await;
    } else {
        // What is done to it may come when it has begun to shut down.
        tokio::join!(outside, shut_down(&first));
        sleep(Duration::from_millis(1)).await;
    }
    let runtime = bus.runtime;
    let mut events = if is_durable { in_order(log.take()) } else { log.take() };
    let letters = letters(&runtime).await;
    let mut cids = seen(&events);
    cids.extend(letters.iter().map(|letter| letter.cid));
    for cid in cids {
        let found = runtime.find(cid).await.expect("it can be read");
        // What has not ended is waited for no longer.
        let has_ended = found.as_ref().is_some_and(|found| found.outcome().is_some());
        let outcome = if has_ended || !is_durable { runtime.outcome(cid).await.ok() } else { None };
        events.push((u64::MAX, Event::Remembered { cid, outcome }));
        events.push((u64::MAX, Event::InvocationInfo { cid, record: found.as_ref().and_then(Record::new) }));
    }
    events.push((u64::MAX, Event::Dead { letters }));
    log.set_runtime(None);
    if is_durable {
        runtime.shutdown().await.expect("it shuts down");
    }
    (
        events,
        log,
        World {
            wall,
            is_narrow: plan.max_running.is_some(),
            is_durable,
            more_attempts: 0,
            ignores_keys: false,
        },
    )
}

/// Puts what a call was answered where it was made: on a disk it is recorded with the start of what it has called, which
/// may be seen before the receipt.
fn in_order(events: Vec<(u64, Event)>) -> Vec<(u64, Event)> {
    let (answers, others): (Vec<_>, Vec<_>) = events
        .into_iter()
        .partition(|(_, event)| matches!(event, Event::Taken { .. } | Event::RanAgain { .. }));
    let (mut taken, mut again) = (HashMap::new(), VecDeque::new());
    for answer in answers {
        match answer.1 {
            Event::Taken { token, .. } => drop(taken.insert(token, answer)),
            _ => again.push_back(answer),
        }
    }
    let mut ordered = Vec::new();
    for (at, event) in others {
        let answer = match &event {
            Event::Asked { token, .. } | Event::AskedAll { token, .. } | Event::AskedChain { token, .. } => {
                taken.remove(token)
            }
            // One at a time.
            Event::AskedAgain => again.pop_front(),
            _ => None,
        };
        ordered.push((at, event));
        ordered.extend(answer);
    }
    ordered
}

/// All dead letters, page by page.
async fn letters(runtime: &Runtime) -> Vec<Record> {
    let mut letters: Vec<Record> = Vec::new();
    loop {
        let mut page = Filter::dead().limit(7);
        page.before = letters.last().map(|last| last.cid);
        let found = runtime.list(page).await.expect("memory can be read");
        if found.is_empty() {
            return letters;
        }
        letters.extend(found.iter().map(|found| Record::new(found).expect("it has ended")));
    }
}

/// Every CID that anybody has seen.
fn seen(events: &[(u64, Event)]) -> BTreeSet<Cid> {
    let mut cids = BTreeSet::new();
    for (_, event) in events {
        match event {
            Event::Began(run) => cids.extend(run.in_reply_to.into_iter().chain([run.cid])),
            Event::Taken { answer: Ok(cid), .. } | Event::RanAgain { answer: Ok(cid), .. } => {
                cids.extend([*cid]);
            }
            Event::Ended { outcome, .. } => {
                let error = outcome.as_ref().and_then(|outcome| outcome.error());
                cids.extend(error.and_then(step_of).map(|step| step.cid));
                let rows =
                    outcome.as_ref().and_then(|outcome| outcome.payload()?.decode::<Vec<Value>>().ok());
                let cid = |row: &Value| row["cid"].as_str()?.parse::<Cid>().ok();
                cids.extend(rows.iter().flatten().filter_map(cid));
            }
            _ => {}
        }
    }
    cids
}

/// What happens with this seed in memory.
pub(crate) fn happens(seed: u64, is_calm: bool) -> (Vec<(u64, Event)>, World) {
    happens_to(&plan(seed, is_calm), MEMORY)
}

/// What happens with this seed on a disk, through restarts.
pub(crate) fn happens_with_restarts(seed: u64) -> (Vec<(u64, Event)>, World) {
    let directory = directory();
    happens_to(&plan_with_restarts(seed), &format!("sqlite:{}", directory.path().join("zato.db").display()))
}

fn happens_to(plan: &Plan, url: &str) -> (Vec<(u64, Event)>, World) {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let tokio = tokio.expect("tokio");
    let (mut events, log, world) = tokio.block_on(run(plan, url));
    // What still runs is dropped, and says so.
    drop(tokio);
    events.extend(log.take());
    (events, world)
}
