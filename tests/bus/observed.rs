//! Calls of every kind run while other threads list, find, cancel and pause at random: each call has one outcome and each
//! callback runs once, whoever looks meanwhile.

mod groups;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zato_core::{Context, Failure, FailureReport, Result, service};
use zato_runtime::{Cid, Error, Filter, Outcome, Runtime, Status};

use crate::builder::{builder, finish, is_durable};
use crate::journal::Journal;

/// Numbers that look random, the same for each seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % below
    }
}

/// What each service has run for.
#[derive(Clone, Default)]
struct Ran(Arc<Mutex<HashMap<(&'static str, Cid), u32>>>);

impl Ran {
    fn note(&self, role: &'static str, cid: Cid) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry((role, cid)).or_default() += 1;
    }

    fn times(&self, role: &'static str, cid: Cid) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(role, cid)).copied().unwrap_or_default()
    }
}

/// Does what its number says.
#[service(name = "observed.work")]
async fn work(ctx: &Context, number: u64, ran: &Ran) -> Result<u64> {
    ran.note("work", ctx.cid());
    match number % 16 {
        0 => tokio::task::yield_now().await,
        1 => drop(ctx.invoke_async(child::service(), number).no_callback().await?),
        2 => return Err(Failure::permanent("as it should")),
        3 => drop(ctx.invoke(child::service(), number).await?),
        4 => tokio::time::sleep(Duration::from_micros(200)).await,
        // So long that others take what this worker has in hand.
        5 if number % 64 == 37 => std::thread::sleep(Duration::from_millis(3)),
        _ => {}
    }
    Ok(number)
}

#[service(name = "observed.child")]
async fn child(ctx: &Context, number: u64, ran: &Ran) -> Result<u64> {
    ran.note("child", ctx.parent().unwrap_or(ctx.cid()));
    Ok(number)
}

#[service(name = "observed.reply")]
async fn reply(ctx: &Context, _number: u64, ran: &Ran) -> Result<()> {
    ran.note("reply", ctx.in_reply_to().unwrap_or(ctx.cid()));
    Ok(())
}

#[service(name = "observed.report")]
async fn report(ctx: &Context, _report: FailureReport, ran: &Ran) -> Result<()> {
    ran.note("report", ctx.in_reply_to().unwrap_or(ctx.cid()));
    Ok(())
}

async fn start(ran: &Ran) -> Result<Runtime, Error> {
    let services = [
        work::service().erased(),
        child::service().erased(),
        reply::service().erased(),
        report::service().erased(),
    ];
    builder().services(services).provide(ran.clone()).keep_ended(1_000_000).start().await
}

/// All that has been called, and by whom it may be looked at.
#[derive(Clone, Default)]
struct Called(Arc<Mutex<Vec<Cid>>>);

impl Called {
    fn add(&self, cid: Cid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(cid);
    }

    fn all(&self) -> Vec<Cid> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn one(&self, dice: &mut Dice) -> Option<Cid> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = usize::try_from(dice.next(all.len().max(1) as u64)).expect("not that many");
        all.get(number).copied()
    }
}

/// Calls, nearly always without asking for anything.
async fn calls(runtime: Runtime, called: Called, seed: u64, count: u64) {
    let mut dice = Dice(seed);
    for number in 0..count {
        let call = runtime.invoke_async(work::service(), number).callback(reply::service());
        let call = call.on_failure(report::service());
        let call = match dice.next(40) {
            0 => call.delay(Duration::from_micros(dice.next(900))),
            1 => call.priority(1),
            2 => call.timeout(Duration::from_mins(1)),
            _ => call,
        };
        called.add(call.await.expect("it is accepted"));
        if dice.next(64) == 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Looks at whatever there is, and changes it.
async fn looks(runtime: Runtime, called: Called, seed: u64, count: u64) {
    let mut dice = Dice(seed);
    for _ in 0..count {
        let one = called.one(&mut dice);
        match (dice.next(12), one) {
            (0, _) => {
                let paused = ["observed.work", "observed.reply"][usize::try_from(dice.next(2)).expect("few")];
                runtime.pause(paused).await.expect("it is known");
                tokio::time::sleep(Duration::from_micros(dice.next(300))).await;
                runtime.resume(paused).await.expect("it is known");
            }
            (1..=3, Some(cid)) => drop(runtime.cancel(cid).await.expect("it is held")),
            (4, Some(cid)) => drop(runtime.cancel(cid).with_tree().await.expect("it is held")),
            (5..=7, Some(cid)) => {
                assert!(runtime.find(cid).await.expect("it can be read").is_some(), "{cid} is held");
            }
            (8, Some(cid)) => drop(runtime.tree(cid).await.expect("it is held")),
            (9, _) => drop(runtime.list(Filter::new().limit(5)).await.expect("it can be read")),
            _ => tokio::time::sleep(Duration::from_micros(dice.next(500))).await,
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_has_one_outcome_whoever_looks_meanwhile() -> Result<(), Error> {
    let seeds = std::env::var("ZATO_TEST_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let (seeds, each) = (seeds.unwrap_or(12_u64), if is_durable() { 100 } else { 1_500 });
    for seed in 0..seeds {
        let (ran, called) = (Ran::default(), Called::default());
        let runtime = start(&ran).await?;
        let tasks: Vec<_> = (0..3)
            .map(|caller| tokio::spawn(calls(runtime.clone(), called.clone(), seed * 100 + caller, each)))
            // Some runs are looked at all the time, and some hardly ever.
            .chain((0..2).map(|looker| {
                let looks_at =
                    looks(runtime.clone(), called.clone(), seed * 100 + 50 + looker, 3 << (seed % 8));
                tokio::spawn(looks_at)
            }))
            .collect();
        for task in tasks {
            task.await.expect("it goes through");
        }
        let called = called.all();
        assert_eq!(called.len() as u64, 3 * each);
        let mut completed = 0;
        for cid in &called {
            let outcome = runtime.outcome(*cid).await?;
            completed += usize::from(outcome.is_completed());
            let found = runtime.find(*cid).await?.expect("it is kept");
            assert!(matches!(&found.status, Status::Ended { .. }), "seed {seed}: {found:?}");
            let most = if matches!(outcome, Outcome::Cancelled(_)) { 0..=1 } else { 1..=1 };
            let runs = ran.times("work", *cid);
            assert!(most.contains(&runs), "seed {seed}: {cid} ran {runs} times and ended as {outcome}");
        }
        finish(&runtime).await?;
        let (mut replies, mut reports) = (0, 0);
        for cid in &called {
            let tree = runtime.tree(*cid).await?;
            let told: Vec<_> =
                tree.iter().filter(|found| found.invocation.in_reply_to() == Some(*cid)).collect();
            let [told] = told[..] else { panic!("seed {seed}: {cid} has one callback, not {told:?}") };
            let outcome = told.outcome().unwrap_or_else(|| panic!("seed {seed}: {told:?} has ended"));
            let times = ran.times("reply", *cid) + ran.times("report", *cid);
            let ran = match outcome {
                Outcome::Completed(_) => 1..=1,
                // With the tree that it is of.
                Outcome::Cancelled(_) => 0..=1,
                other => panic!("seed {seed}: {cid} has a callback that ended as {other}"),
            };
            assert!(ran.contains(&times), "seed {seed}: the callback of {cid} ran {times} times");
            let is_reply = told.service() == reply::NAME;
            (replies, reports) = (replies + usize::from(is_reply), reports + usize::from(!is_reply));
        }
        assert_eq!((replies, reports), (completed, called.len() - completed), "seed {seed}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_run_in_the_order_of_coming_whoever_looks_meanwhile() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = builder().workers(1).services([in_order::service().erased()]).provide(journal.clone());
    let runtime = runtime.start().await?;
    let mut dice = Dice(7);
    let (mut order, mut others) = (Vec::new(), 0);
    for number in 0..if is_durable() { 300_u64 } else { 20_000 } {
        let cid = runtime.invoke_async(in_order::service(), number).await?;
        order.push(cid);
        match dice.next(200) {
            0 => drop(runtime.find(cid).await?),
            1 => {
                runtime.invoke_async(in_order::service(), number).priority(-1).await?;
                others += 1;
            }
            2 => tokio::task::yield_now().await,
            _ => {}
        }
    }
    let ran = journal.wait_for(order.len() + others).await;
    let of_ours: Vec<_> =
        ran.iter().map(|line| line.cid).filter(|cid| order.binary_search(cid).is_ok()).collect();
    assert_eq!(of_ours.len(), order.len());
    assert!(of_ours == order, "in the order in which they came");
    finish(&runtime).await
}

#[service(name = "observed.in_order")]
async fn in_order(ctx: &Context, _number: u64, journal: &Journal) -> Result<()> {
    journal.write(ctx, "");
    Ok(())
}
