//! Groups are joined once, with their rows in order, while other threads look.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::Semaphore;
use zato_core::{Context, Result, service};
use zato_runtime::{Cid, Error, Outcome, Runtime, Status};

use super::{Called, Dice, Ran, child, looks, reply, report, work};
use crate::builder::{builder, finish, is_durable};

/// The rows of each group, by its CID, as often as somebody has been told of them.
#[derive(Clone)]
struct Joined {
    rows: Arc<Mutex<HashMap<Cid, Vec<Vec<Value>>>>>,
    /// A permit for each time.
    told: Arc<Semaphore>,
}

impl Joined {
    fn new() -> Self {
        Self { rows: Arc::default(), told: Arc::new(Semaphore::new(0)) }
    }

    fn of(&self, group: Cid) -> Vec<Vec<Value>> {
        let all = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&group).cloned().unwrap_or_default()
    }
}

#[service(name = "observed.rows")]
async fn rows(ctx: &Context, rows: Vec<Value>, joined: &Joined) -> Result<()> {
    let group = ctx.in_reply_to().unwrap_or(ctx.cid());
    joined.rows.lock().unwrap_or_else(PoisonError::into_inner).entry(group).or_default().push(rows);
    joined.told.add_permits(1);
    Ok(())
}

async fn start(ran: &Ran, joined: &Joined) -> Result<Runtime, Error> {
    let services = [
        work::service().erased(),
        child::service().erased(),
        reply::service().erased(),
        report::service().erased(),
        rows::service().erased(),
    ];
    let builder = builder().services(services).provide(ran.clone()).provide(joined.clone());
    builder.keep_ended(1_000_000).start().await
}

/// Calls groups, and a few single ones between them.
async fn calls(runtime: Runtime, called: Called, seed: u64, count: u64) {
    let mut dice = Dice(seed);
    for _ in 0..count {
        let members: Vec<_> = (0..=dice.next(60)).map(|_| dice.next(64)).collect();
        let several = dice.next(4) == 0;
        let name = |number: &u64| if several && number.is_multiple_of(2) { child::NAME } else { work::NAME };
        let targets: Vec<_> = members.iter().map(|number| (name(number), *number)).collect();
        let group = runtime.fan_out(targets).on_final(rows::NAME);
        let group = if dice.next(5) == 0 { group.on_target(reply::NAME) } else { group };
        called.add(group.await.expect("it is accepted"));
        if dice.next(8) == 0 {
            tokio::task::yield_now().await;
        }
        if dice.next(3) == 0 {
            runtime.invoke_async(work::service(), 9).no_callback().await.expect("it is accepted");
        }
    }
}

/// A row tells of a member what the engine says of it.
fn check_row(row: &Value, outcome: &Outcome) {
    match outcome {
        Outcome::Completed(response) => {
            assert_eq!(row["ok"], true, "{row}");
            assert_eq!(row["response"].to_string(), response.to_string(), "{row}");
        }
        failure => {
            assert_eq!((&row["ok"], &row["outcome"]), (&false.into(), &failure.name().into()), "{row}");
            assert_eq!(row["error"].as_str(), failure.error(), "{row}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_group_is_joined_once_whoever_looks_meanwhile() -> Result<(), Error> {
    let seeds = std::env::var("ZATO_TEST_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let (seeds, each) = (seeds.unwrap_or(12_u64), if is_durable() { 5 } else { 60 });
    for seed in 0..seeds {
        let (ran, called, joined) = (Ran::default(), Called::default(), Joined::new());
        let runtime = start(&ran, &joined).await?;
        let callers = (0..3)
            .map(|caller| tokio::spawn(calls(runtime.clone(), called.clone(), seed * 100 + caller, each)));
        let lookers = (0..2).map(|looker| {
            let (runtime, called) = (runtime.clone(), called.clone());
            // Some runs are looked at all the time, and some never.
            tokio::spawn(looks(runtime, called, seed * 100 + 50 + looker, (3 << (seed % 8)) - 3))
        });
        for task in callers.chain(lookers).collect::<Vec<_>>() {
            task.await.expect("it goes through");
        }
        let called = called.all();
        for group in &called {
            let outcome = runtime.outcome(*group).await?;
            assert!(outcome.is_completed(), "seed {seed}: {outcome}");
        }
        finish(&runtime).await?;
        for group in called {
            let tree = runtime.tree(group).await?;
            let mut members: Vec<_> =
                tree.iter().filter_map(|found| Some((found.invocation.slot?.index, found))).collect();
            members.sort_by_key(|(index, _)| *index);
            let told = joined.of(group);
            let is_cancelled = tree.iter().any(|found| {
                found.service() == rows::NAME && matches!(found.outcome(), Some(Outcome::Cancelled(_)))
            });
            let told = match &told[..] {
                [told] => told,
                // With the tree that it is of.
                [] if is_cancelled => continue,
                told => panic!("seed {seed}: {group} was joined {} times", told.len()),
            };
            assert_eq!(told.len(), members.len(), "seed {seed}: {group}");
            for (row, (_, member)) in told.iter().zip(members) {
                assert!(matches!(&member.status, Status::Ended { .. }), "seed {seed}: {member:?}");
                let cid = member.cid();
                assert_eq!(row["cid"], cid.to_string(), "seed {seed}");
                let outcome = member.outcome().expect("it has ended");
                check_row(row, outcome);
                let times = ran.times("work", cid) + ran.times("child", cid);
                let most = if matches!(outcome, Outcome::Cancelled(_)) { 0..=1 } else { 1..=1 };
                // A child notes who has called it.
                assert!(
                    most.contains(&times) || member.service() == work::NAME && times == 2,
                    "seed {seed}: {cid} ran {times} times and ended as {outcome}"
                );
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_stand_in_the_order_of_the_members_whoever_ends_first() -> Result<(), Error> {
    let (ran, joined) = (Ran::default(), Joined::new());
    let runtime = start(&ran, &joined).await?;
    let (mut dice, mut called) = (Dice(1), Vec::new());
    for _ in 0..if is_durable() { 10 } else { 200 } {
        // Each its own. Some block their thread, so that others behind them end first.
        let number = |index| 64 * index + if dice.next(60) == 0 { 37 } else { 9 };
        let numbers: Vec<_> = (0..=Dice(called.len() as u64).next(400)).map(number).collect();
        let targets = numbers.iter().map(|number| (work::service(), *number));
        called.push((runtime.fan_out(targets).on_final(rows::service()).await?, numbers));
    }
    let all_are_told = joined.told.acquire_many(u32::try_from(called.len()).expect("they are few"));
    drop(all_are_told.await.expect("it stays open"));
    for (group, numbers) in called {
        let rows = joined.of(group).concat();
        let told: Vec<_> =
            rows.iter().map(|row| row["response"].as_u64().expect("it has completed")).collect();
        assert_eq!(told, numbers);
        let cids: BTreeSet<_> = rows.iter().filter_map(|row| row["cid"].as_str()).collect();
        assert_eq!(cids.len(), numbers.len(), "each has its own");
    }
    finish(&runtime).await
}
