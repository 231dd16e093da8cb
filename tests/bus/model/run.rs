//! Runs the plan of a seed on a paused clock.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};
use zato_runtime::{Cid, Filter, Runtime};

use super::door::Door;
use super::facts::{GRACE, World};
use super::log::{Event, Log, Record};
use super::maker::plan;
use super::script::{Act, PAUSED, Plan, step_of};
use super::services::services;

async fn run(plan: &Plan) -> (Vec<(u64, Event)>, Log, World) {
    let (wall, builder) = loop {
        let wall = SystemTime::now();
        let builder = Runtime::builder();
        // The bus has its own beginning of time, which must be ours.
        if wall.elapsed().is_ok_and(|elapsed| elapsed < Duration::from_millis(2)) {
            break (wall, builder);
        }
    };
    let (log, began) = (Log::new(wall), Instant::now());
    let (at, limit) = plan.shutdown;
    let builder = builder
        .services(services())
        .provide(log.clone())
        .cancel_grace(Duration::from_millis(GRACE))
        .keep_ended(1_000_000)
        .max_running(plan.max_running.unwrap_or(10_000))
        .drain_limit(Duration::from_millis(limit));
    let runtime = builder.start().await.expect("it starts");
    log.set_runtime(Some(runtime.clone()));
    let outside = async {
        for (at, act) in &plan.acts {
            sleep_until(began + Duration::from_millis(*at)).await;
            let door = Door::Outside(&runtime);
            match act {
                Act::Call(call) => drop(door.call(&log, call).await),
                Act::Group(group) => drop(door.group(&log, group).await),
                Act::Chain(chain) => drop(door.chain(&log, chain).await),
                Act::RunAgain(number) => {
                    let from = if number % 5 == 0 { log.known() } else { log.failed() };
                    if let Some(cid) = from.get(number % from.len().max(1)) {
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
                    let answer =
                        if paused { runtime.pause(service).await } else { runtime.resume(service).await };
                    answer.expect("it is known");
                    log.push(Event::Paused { service, paused });
                }
                Act::Cancel(number, with_tree) => {
                    let known = log.known();
                    if let Some(cid) = known.get(number % known.len().max(1)) {
                        door.cancel(&log, *cid, *with_tree).await;
                    }
                }
            }
        }
    };
    let shutdown = async {
        sleep_until(began + Duration::from_millis(at)).await;
        log.push(Event::ShutdownBegan { limit });
        runtime.shutdown().await.expect("it shuts down");
        log.push(Event::ShutdownEnded);
    };
    tokio::join!(outside, shutdown);
    sleep(Duration::from_millis(1)).await;
    let mut events = log.take();
    let letters = letters(&runtime).await;
    let mut cids = seen(&events);
    cids.extend(letters.iter().map(|letter| letter.cid));
    for cid in cids {
        let outcome = runtime.outcome(cid).await.ok();
        events.push((u64::MAX, Event::Remembered { cid, outcome }));
        let found = runtime.find(cid).await.expect("memory can be read");
        events.push((u64::MAX, Event::Found { cid, record: found.as_ref().and_then(Record::new) }));
    }
    events.push((u64::MAX, Event::Dead { letters }));
    log.set_runtime(None);
    (
        events,
        log,
        World { wall, is_narrow: plan.max_running.is_some(), more_attempts: 0, ignores_keys: false },
    )
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

/// What happens with this seed.
pub(crate) fn happens(seed: u64, is_calm: bool) -> (Vec<(u64, Event)>, World) {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let tokio = tokio.expect("tokio");
    let plan = plan(seed, is_calm);
    let (mut events, log, world) = tokio.block_on(run(&plan));
    // What still runs is dropped, and says so.
    drop(tokio);
    events.extend(log.take());
    (events, world)
}
