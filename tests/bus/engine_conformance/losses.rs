//! Deaths of the process: a copy of the store, taken at some moment, is what its death at that moment would leave.

use std::path::Path;

use zato_runtime::record::Task;

use super::*;
use crate::builder::directory;

/// A durable engine on a directory of its own.
struct Life {
    directory: tempfile::TempDir,
    engine: Rings,
}

impl Life {
    fn new() -> Self {
        BEGAN.set(Some((SystemTime::now(), Instant::now())));
        Self::on(directory())
    }

    fn on(directory: tempfile::TempDir) -> Self {
        let url = format!("sqlite:{}", directory.path().join("zato.db").display());
        let engine = open(&url, &Config::default()).expect("the engine opens");
        Self { directory, engine: Rings::announced(engine, &hosted(), Arc::new(Joined)) }
    }

    /// The process dies now, and the next one opens what it has left.
    fn dies(&self) -> Self {
        let copy = directory();
        for name in ["zato.db", "zato.db-wal"] {
            let to: &Path = copy.path();
            std::fs::copy(self.directory.path().join(name), to.join(name)).expect("the store can be copied");
        }
        Self::on(copy)
    }
}

fn losses(delivery: &Delivery) -> u32 {
    delivery.before.as_ref().map_or(0, |before| before.losses)
}

fn all_losses(deliveries: &[Delivery]) -> Vec<u32> {
    deliveries.iter().map(losses).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_death_counts_for_what_was_recorded_as_started_and_then_only_what_has_begun() {
    let first = Life::new();
    for number in 0..3 {
        take(&first.engine, invocation("a", number)).await;
    }
    let deliveries = deliver_all(&first.engine).await;
    assert!(
        deliveries.iter().all(|delivery| !delivery.begin_is_recorded()),
        "it is when they are handed out"
    );

    let second = first.dies();
    let deliveries = deliver_all(&second.engine).await;
    assert_eq!(all_losses(&deliveries), [1, 1, 1]);
    assert!(deliveries.iter().all(Delivery::begin_is_recorded));
    let found = find(&second.engine, 0).await.expect("it is held");
    assert!(matches!(found.status, Status::Waiting(WaitReason::Turn)), "{found:?}");
    assert_eq!(found.attempts, 1);
    // They are handed out, and none has begun.
    let third = second.dies();
    assert_eq!(all_losses(&deliver_all(&third.engine).await), [1, 1, 1]);

    assert!(second.engine.begin(&deliveries[1]).await);
    assert!(matches!(status(&second.engine, 1).await, Status::Running { .. }));
    let third = second.dies();
    let mut deliveries = deliver_all(&third.engine).await;
    // What ran comes first.
    assert_eq!(cids(&deliveries), [1, 0, 2].map(cid));
    assert_eq!(all_losses(&deliveries), [2, 1, 1]);
    deliveries.sort_by_key(|delivery| delivery.invocation.cid);
    // One that has begun and ended is as any other.
    assert!(third.engine.begin(&deliveries[0]).await);
    end(&third.engine, &deliveries[0]).await;
    assert!(!third.engine.begin(&deliveries[0]).await, "it has ended");
    let fourth = third.dies();
    assert_eq!(all_losses(&deliver_all(&fourth.engine).await), [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_has_not_begun_when_a_drain_begins_waits_for_the_next_start() {
    let first = Life::new();
    take(&first.engine, invocation("a", 0)).await;
    deliver(&first.engine).await;
    let second = first.dies();
    let delivery = deliver(&second.engine).await;
    assert!(!is_drained(&second.engine).await, "it has been handed out");
    assert!(!second.engine.begin(&delivery).await);
    second.engine.drain().await;
    assert!(!second.engine.is_running(delivery.id()));
    second.engine.close();
    let third = Life::on(second.directory);
    assert_eq!(losses(&deliver(&third.engine).await), 1);
}

#[tokio::test(start_paused = true)]
async fn what_ran_when_a_drain_began_has_not_lost_its_process() {
    let first = Life::new();
    for number in 0..3 {
        take(&first.engine, invocation("a", number)).await;
    }
    let running = deliver_all(&first.engine).await;
    assert!(!is_drained(&first.engine).await);
    // One ends, one is tried again, one runs on.
    end(&first.engine, &running[0]).await;
    record(&first.engine, settle_as(&running[1], again(&running[1], Some(now())), false)).await;
    let second = first.dies();
    let deliveries = deliver_all(&second.engine).await;
    assert_eq!(cids(&deliveries), [2, 1].map(cid));
    assert_eq!(all_losses(&deliveries), [0, 0]);
    let before = deliveries[0].before.as_ref().expect("it ran");
    assert_eq!((before.attempts, before.failed), (1, 0));
    // What runs now is another matter.
    let third = second.dies();
    assert_eq!(all_losses(&deliver_all(&third.engine).await), [1, 1]);
}

/// Those that may be what kills the process run one after the other; all else goes on.
#[tokio::test(start_paused = true)]
async fn many_suspects_run_one_after_the_other_and_hold_nothing_up() {
    const MANY: u32 = 300;
    let mut life = Life::new();
    for number in 0..MANY {
        take(&life.engine, invocation("a", number)).await;
    }
    for _ in 1..MAX_LOSSES {
        let deliveries = deliver_all(&life.engine).await;
        assert_eq!(deliveries.len(), MANY as usize);
        for delivery in deliveries.iter().filter(|delivery| delivery.begin_is_recorded()) {
            assert!(life.engine.begin(delivery).await);
        }
        life = life.dies();
    }
    // The same service, and another.
    for (service, number) in [("a", MANY), ("b", MANY + 1)] {
        take(&life.engine, invocation(service, number)).await;
    }
    let mut running = deliver_all(&life.engine).await;
    let mut now: Vec<_> = cids(&running);
    now.sort();
    assert_eq!(now, [0, MANY, MANY + 1].map(cid), "one suspect, and what is none");
    assert_eq!(waits(&life.engine, 1).await, WaitReason::Suspects);
    running.retain(|delivery| delivery.invocation.cid == cid(0));
    for number in 0..MANY {
        let suspect = running.pop().expect("the next suspect is handed out");
        assert_eq!((suspect.invocation.cid, losses(&suspect)), (cid(number), MAX_LOSSES - 1));
        assert!(life.engine.begin(&suspect).await);
        end(&life.engine, &suspect).await;
        if number + 1 < MANY {
            running.push(deliver(&life.engine).await);
        }
    }
    assert!(deliver_all(&life.engine).await.is_empty());
}

/// A suspect during which the process dies is lost, and nothing else is.
#[tokio::test(start_paused = true)]
async fn a_suspect_is_lost_alone() {
    let mut life = Life::new();
    for number in 0..3 {
        take(&life.engine, invocation("a", number)).await;
    }
    for _ in 1..MAX_LOSSES {
        for delivery in deliver_all(&life.engine).await.iter().filter(|delivery| delivery.begin_is_recorded())
        {
            assert!(life.engine.begin(delivery).await);
        }
        life = life.dies();
    }
    let suspect = deliver(&life.engine).await;
    assert!(life.engine.begin(&suspect).await);
    let life = life.dies();
    let deliveries = deliver_all(&life.engine).await;
    let tasks: Vec<_> = deliveries.iter().map(|delivery| (delivery.invocation.cid, delivery.task)).collect();
    assert_eq!(tasks, [(cid(0), Task::Lose), (cid(1), Task::Run)]);
}
