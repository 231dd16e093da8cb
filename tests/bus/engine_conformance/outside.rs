//! Synchronous calls from outside: a durable engine records them when they end, and what a caller observes is the same on
//! every engine.

use std::path::Path;

use zato_runtime::record::Task;
use zato_runtime::{Filter, StatusFilter};

use super::*;
use crate::builder::directory;

/// A synchronous call from outside.
fn call(service: &'static str, number: u32) -> Arc<Invocation> {
    let mut call = Invocation::clone(&invocation(service, number));
    call.channel = Channel::Invoke;
    Arc::new(call)
}

/// What the handler of `parent` calls in the background.
fn child_of(parent: &Invocation, number: u32) -> Arc<Invocation> {
    let payload = Payload::text(number.to_string());
    Arc::new(parent.child(cid(number), ServiceName::linked("b"), payload, Channel::InvokeAsync))
}

fn is_durable(engine: &Rings) -> bool {
    !engine.capabilities().is_empty()
}

/// The CIDs of what passes the filter.
async fn listed(engine: &Rings, filter: Filter) -> Vec<Cid> {
    let found = engine.list(&filter).await.expect("it can be read");
    found.iter().map(InvocationInfo::cid).collect()
}

/// The CIDs of a tree, and how many it names that are not held.
async fn tree(engine: &Rings, root: u32) -> (Vec<Cid>, usize) {
    let tree = engine.tree(cid(root)).await.expect("it can be read");
    (tree.found.iter().map(InvocationInfo::cid).collect(), tree.swept)
}

async fn below(engine: &Rings, number: u32) -> Vec<Cid> {
    engine.below(cid(number)).await.expect("it can be read")
}

/// Another engine on what a death of the process at this moment leaves.
fn after_death(directory: &Path, config: &Config) -> (tempfile::TempDir, Rings) {
    let copy = copy(directory);
    let engine = on(copy.path(), config);
    (copy, engine)
}

fn copy(directory: &Path) -> tempfile::TempDir {
    let copy = crate::builder::directory();
    for name in ["zato.db", "zato.db-wal"] {
        std::fs::copy(directory.join(name), copy.path().join(name)).expect("the store can be copied");
    }
    copy
}

/// A durable engine in this directory.
fn on(directory: &Path, config: &Config) -> Rings {
    let url = format!("sqlite:{}", directory.join("zato.db").display());
    let engine = open(&url, config).expect("the engine opens");
    Rings::announced(engine, &hosted(), Arc::new(Joined))
}

fn begin() {
    BEGAN.set(Some((SystemTime::now(), Instant::now())));
}

#[tokio::test(start_paused = true)]
async fn it_is_found_in_every_way_while_it_waits_and_runs() {
    for engine in engines(&Config::default()) {
        take(&engine, invocation("b", 1)).await;
        take(&engine, call("a", 2)).await;
        take(&engine, invocation("b", 3)).await;
        assert_eq!(waits(&engine, 2).await, WaitReason::Turn, "{}", engine.url());
        let waiting = Filter::new().stage(StatusFilter::Waiting);
        assert_eq!(listed(&engine, waiting.clone()).await, [3, 2, 1].map(cid));
        assert_eq!(listed(&engine, waiting.clone().limit(2)).await, [3, 2].map(cid));
        assert_eq!(listed(&engine, waiting.clone().before(cid(3))).await, [2, 1].map(cid));
        assert_eq!(listed(&engine, waiting.before(cid(2))).await, [1].map(cid));
        assert_eq!(listed(&engine, Filter::new().service("a")).await, [cid(2)]);
        assert_eq!(tree(&engine, 2).await, (vec![cid(2)], 0));

        let deliveries = deliver_all(&engine).await;
        let runs = deliveries.iter().find(|delivery| delivery.invocation.cid == cid(2)).expect("it runs");
        assert!(matches!(status(&engine, 2).await, Status::Running { .. }));
        assert_eq!(listed(&engine, Filter::new().stage(StatusFilter::Running).service("a")).await, [cid(2)]);
        let child = child_of(&runs.invocation, 4);
        accept(&engine, &child, Some(runs.id())).await.expect("it runs");
        let grandchild = child_of(&child, 5);
        let child = deliver(&engine).await;
        accept(&engine, &grandchild, Some(child.id())).await.expect("it runs");
        assert_eq!(tree(&engine, 2).await, ([2, 4, 5].map(cid).to_vec(), 0));
        assert_eq!(below(&engine, 2).await.len(), 2);
        let found = find(&engine, 4).await.expect("it is held").invocation;
        assert_eq!((found.parent, found.root), (Some(cid(2)), cid(2)));

        let outcome = engine.outcome(cid(2));
        tokio::pin!(outcome);
        assert!(std::future::poll_fn(|cx| Poll::Ready(outcome.as_mut().poll(cx).is_pending())).await);
        end(&engine, runs).await;
        assert!(outcome.await.expect("it can be read").is_some_and(|outcome| outcome.is_completed()));
        assert_eq!(listed(&engine, Filter::new().stage(StatusFilter::Ended)).await, [cid(2)]);
        assert_eq!(listed(&engine, Filter::new()).await, [5, 4, 3, 2, 1].map(cid), "it keeps its place");
        assert_eq!(tree(&engine, 2).await, ([2, 4, 5].map(cid).to_vec(), 0));
        assert_eq!(below(&engine, 2).await.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn its_end_is_kept_and_it_is_no_dead_letter() {
    for engine in engines(&Config::default()) {
        let (tell, told) = tokio::sync::oneshot::channel();
        accept_as(&engine, Accept { tell: Some(tell), ..plainly(&call("a", 1)) }).await.expect("room");
        let runs = deliver(&engine).await;
        let failed = Outcome::Failed(Ending::new("no", true));
        record(&engine, settle_as(&runs, end_as(&runs, failed, &[]), false)).await;
        assert!(matches!(told.await, Ok(Outcome::Failed(_))), "{}", engine.url());
        assert!(!find(&engine, 1).await.expect("it is held").is_dead());
        assert!(listed(&engine, Filter::new().stage(StatusFilter::Dead)).await.is_empty());
        let taken = accept_as(&engine, Accept { brings_cid: true, ..plainly(&invocation("a", 1)) }).await;
        assert_eq!(taken, Err(Refused::CidTaken));
        let cancelled = cancel(&engine, 1).await;
        assert!(matches!(cancelled, Some(CancelAnswer::Ended(Outcome::Failed(_)))), "{cancelled:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_cancelled_as_any_other() {
    for engine in engines(&Config::default()) {
        pause(&engine, "a", true).await;
        take(&engine, call("a", 1)).await;
        take(&engine, call("b", 2)).await;
        assert_eq!(waits(&engine, 1).await, WaitReason::Resume, "{}", engine.url());
        assert!(matches!(cancel(&engine, 1).await, Some(CancelAnswer::Ending)));
        assert!(matches!(status(&engine, 1).await, Status::Waiting(_)));
        let deliveries = deliver_all(&engine).await;
        let ends = deliveries.iter().find(|delivery| delivery.invocation.cid == cid(1)).expect("it ends");
        assert_eq!(ends.task, Task::Cancel);
        end(&engine, ends).await;
        let runs = deliveries.iter().find(|delivery| delivery.invocation.cid == cid(2)).expect("it runs");
        assert!(matches!(cancel(&engine, 2).await, Some(CancelAnswer::Noted(_))));
        assert!(matches!(status(&engine, 2).await, Status::Running { is_cancelled: true, .. }));
        end(&engine, runs).await;
        assert!(matches!(cancel(&engine, 2).await, Some(CancelAnswer::Ended(_))));
    }
}

/// Its next attempt finds what earlier ones have called, and so does a limit of what runs.
#[tokio::test(start_paused = true)]
async fn it_is_tried_again_and_counts_as_any_other() {
    for engine in engines(&Config::default()) {
        take(&engine, call("c", 1)).await;
        let first = deliver(&engine).await;
        let call_of = |number, attempt| Accept {
            by: Some(AttemptId { cid: cid(1), number: attempt }),
            digest: Some(zato_runtime::record::digest(&child_of(&first.invocation, number))),
            ..plainly(&child_of(&first.invocation, number))
        };
        accept_as(&engine, call_of(7, 1)).await.expect("it runs");
        let at = now() + SECOND;
        record(&engine, settle_as(&first, again(&first, Some(at)), false)).await;
        assert!(matches!(waits(&engine, 1).await, WaitReason::Until(_)), "{}", engine.url());
        assert_eq!(find(&engine, 1).await.expect("it is held").attempts, 1);
        let child = deliver(&engine).await;
        assert_eq!(child.invocation.cid, cid(7));
        let second = deliver(&engine).await;
        assert_eq!((second.invocation.cid, second.attempt), (cid(1), 2));
        let equal = Accept { digest: call_of(7, 2).digest, ..call_of(7, 2) };
        let answers = engine.accept([equal].into_iter().collect()).await;
        let repeats = answers.into_iter().next().expect("one answer").expect("it runs").repeats;
        assert_eq!(repeats, Some(cid(7)), "{}", engine.url());
        // `c` has two places.
        take(&engine, call("c", 2)).await;
        take(&engine, call("c", 3)).await;
        assert_eq!(cids(&deliver_all(&engine).await), [cid(2)]);
        assert_eq!(waits(&engine, 3).await, WaitReason::Concurrency(2));
        end(&engine, &second).await;
        assert_eq!(cids(&deliver_all(&engine).await), [cid(3)]);
        let found = find(&engine, 1).await.expect("it is held");
        assert_eq!((found.attempts, found.before.map(|before| before.failed)), (2, Some(1)));
    }
}

/// Where next to nothing of what waits is held, it stands where it was accepted, and is never held in the file alone.
#[tokio::test(start_paused = true)]
async fn it_has_its_turn_among_many() {
    let mut config = Config::default();
    (config.window, config.max_running) = (3, 1);
    for paused in [false, true] {
        for engine in engines(&config) {
            pause(&engine, "a", paused).await;
            take(&engine, invocation("b", 99)).await;
            let holds = deliver(&engine).await;
            let is_call = |number: u32| number.is_multiple_of(4);
            for number in 0..60 {
                take(&engine, if is_call(number) { call("a", number) } else { invocation("a", number) })
                    .await;
            }
            // What is written and beyond is let go of.
            for number in 0..60 {
                assert!(find(&engine, number).await.is_some(), "{number} on {}", engine.url());
            }
            cancel(&engine, 32).await;
            let cancelled = engine.deliver_ends().0;
            for delivery in &cancelled {
                end(&engine, delivery).await;
            }
            pause(&engine, "a", false).await;
            end(&engine, &holds).await;
            let mut order = Vec::new();
            while order.len() < 60 - cancelled.len() {
                let delivery = deliver(&engine).await;
                end(&engine, &delivery).await;
                order.push(delivery.invocation.cid);
            }
            order.retain(|other| *other != cid(32));
            let expected: Vec<_> = (0..60).filter(|number| *number != 32).map(cid).collect();
            assert_eq!(order, expected, "{}, paused: {paused}", engine.url());
        }
    }
}

/// What cannot be left to another process is finished, as `memory:` does with all.
#[tokio::test(start_paused = true)]
async fn a_drain_finishes_it() {
    let mut config = Config::default();
    (config.window, config.max_running) = (2, 1);
    for engine in engines(&config) {
        take(&engine, invocation("b", 0)).await;
        let runs = deliver(&engine).await;
        for number in 1..20 {
            let one = if number % 3 == 0 { call("a", number) } else { invocation("a", number) };
            take(&engine, one).await;
        }
        assert!(!is_drained(&engine).await);
        let refused = accept(&engine, &call("a", 50), None).await;
        assert_eq!(refused, Err(Refused::Draining), "{}", engine.url());
        end(&engine, &runs).await;
        let mut ran = Vec::new();
        for delivery in deliver_all_one_by_one(&engine).await {
            ran.push(delivery.invocation.cid);
        }
        let left: Vec<_> =
            (1..20).filter(|number| !is_durable(&engine) || number % 3 == 0).map(cid).collect();
        assert_eq!(ran, left, "{}", engine.url());
        assert!(is_drained(&engine).await);
    }
}

/// Everything that is handed out, each ended before the next.
async fn deliver_all_one_by_one(engine: &Rings) -> Vec<Delivery> {
    let mut all = Vec::new();
    while let Ok(batch) = timeout(Duration::from_millis(1), engine.deliver(1)).await {
        for delivery in batch {
            end(engine, &delivery).await;
            all.push(delivery);
        }
    }
    all
}

/// One that waits, one that runs, one that is to be tried again and one that cannot start.
#[tokio::test(start_paused = true)]
async fn what_a_shutdown_does_not_finish_is_ended_by_it() {
    for engine in engines(&Config::default()) {
        let mut told = Vec::new();
        pause(&engine, "b", true).await;
        for (service, number) in [("a", 1), ("a", 2), ("b", 3)] {
            let (tell, tells) = tokio::sync::oneshot::channel();
            let accepted = Accept { tell: Some(tell), ..plainly(&call(service, number)) };
            accept_as(&engine, accepted).await.expect("room");
            told.push(tells);
        }
        let running = deliver_all(&engine).await;
        let again = again(&running[1], Some(now() + 3600 * SECOND));
        record(&engine, settle_as(&running[1], again, false)).await;
        assert!(!is_drained(&engine).await, "{}", engine.url());
        let mut left = engine.abandon();
        left.sort_by_key(|delivery| delivery.invocation.cid);
        assert_eq!(cids(&left), [1, 2, 3].map(cid), "{}", engine.url());
        let tasks: Vec<_> = left.iter().map(|delivery| delivery.task).collect();
        assert_eq!(tasks, [Task::Run, Task::GiveUp, Task::GiveUp]);
        for delivery in &left {
            let cancelled = Outcome::Cancelled(Ending::new("shut down", false));
            record(&engine, settle_as(delivery, end_as(delivery, cancelled, &[]), false)).await;
        }
        assert!(engine.abandon().is_empty());
        for told in told {
            assert!(matches!(told.await, Ok(Outcome::Cancelled(_))), "{}", engine.url());
        }
        assert_eq!(engine.close(), 0);
    }
}

/// What it has called stays, and is of the tree of a root that is not held.
#[tokio::test(start_paused = true)]
async fn it_dies_with_its_process_and_what_it_called_does_not() {
    begin();
    let (place, config) = (directory(), Config::default());
    let engine = on(place.path(), &config);
    for number in 1..=3 {
        take(&engine, call("a", number)).await;
    }
    let running = deliver_all(&engine).await;
    accept(&engine, &child_of(&running[0].invocation, 4), Some(running[0].id())).await.expect("it runs");
    end(&engine, &running[2]).await;
    pause(&engine, "b", true).await;
    cancel(&engine, 2).await;

    let (_copy, next) = after_death(place.path(), &config);
    for number in [1, 2] {
        assert!(find(&next, number).await.is_none(), "{number} was never recorded");
    }
    assert!(find(&next, 3).await.is_some_and(|found| found.outcome().is_some_and(Outcome::is_completed)));
    let child = find(&next, 4).await.expect("it was recorded").invocation;
    assert_eq!((child.parent, child.root), (Some(cid(1)), cid(1)));
    assert_eq!(tree(&next, 1).await, (vec![cid(4)], 1));
    assert_eq!(listed(&next, Filter::new()).await, [4, 3].map(cid));
    pause(&next, "b", false).await;
    assert_eq!(cids(&deliver_all(&next).await), [cid(4)]);
}

/// Nothing is forgotten that was made by something that has not ended.
#[tokio::test(start_paused = true)]
async fn what_it_called_is_kept_until_it_has_ended() {
    begin();
    let mut config = Config::default();
    (config.keep_ended, config.keep_ended_for) = (Some(0), Duration::ZERO);
    let place = directory();
    let engine = on(place.path(), &config);
    take(&engine, call("a", 1)).await;
    let runs = deliver(&engine).await;
    let by = Some(runs.id());
    accept(&engine, &child_of(&runs.invocation, 2), by).await.expect("it runs");
    // What is called inside a synchronous call of its attempt is its own.
    let mut inside =
        runs.invocation.child(cid(3), ServiceName::linked("b"), Payload::empty(), Channel::Invoke);
    inside.parent = Some(cid(1));
    accept(&engine, &child_of(&inside, 4), by).await.expect("it runs");
    for delivery in deliver_all(&engine).await {
        end(&engine, &delivery).await;
    }
    let sweep = async |from: u32| {
        for number in from..from + 40 {
            take(&engine, invocation("b", number)).await;
            end(&engine, &deliver(&engine).await).await;
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    };
    sweep(100).await;
    assert!(find(&engine, 100).await.is_none(), "others are forgotten");
    for number in [2, 4] {
        assert!(find(&engine, number).await.is_some(), "{number} was made by what runs");
    }
    end(&engine, &runs).await;
    sweep(200).await;
    for number in [1, 2, 4] {
        assert!(find(&engine, number).await.is_none(), "{number} has had its time");
    }
}

/// A key that outlived its call would lead to nothing.
#[tokio::test(start_paused = true)]
async fn its_idempotency_key_is_recorded_with_it() {
    use zato_runtime::record::Key;

    begin();
    let (place, config) = (directory(), Config::default());
    let engine = on(place.path(), &config);
    let under = |number, digest| {
        let key = Key { name: "once".into(), digest };
        Accept { key: Some(key), ..plainly(&call("a", number)) }
    };
    let repeats = async |engine: &Rings, accept| {
        let answers = engine.accept([accept].into_iter().collect()).await;
        answers.into_iter().next().expect("one answer").map(|accepted| accepted.repeats)
    };
    assert_eq!(repeats(&engine, under(1, 7)).await, Ok(None));
    let runs = deliver(&engine).await;
    assert_eq!(repeats(&engine, under(2, 7)).await, Ok(Some(cid(1))));
    assert_eq!(repeats(&engine, under(2, 8)).await, Err(Refused::KeyConflict { first: cid(1) }));
    take(&engine, invocation("b", 9)).await;
    let (_copy, next) = after_death(place.path(), &config);
    assert_eq!(repeats(&next, under(3, 8)).await, Ok(None), "it has gone with its call");
    end(&engine, &runs).await;
    assert_eq!(repeats(&engine, under(2, 7)).await, Ok(Some(cid(1))));
    let (_copy, next) = after_death(place.path(), &config);
    assert_eq!(repeats(&next, under(3, 7)).await, Ok(Some(cid(1))), "it is there with its call");
}

/// A program of before recorded it when it was accepted. Its caller is gone.
#[tokio::test(start_paused = true)]
async fn what_a_program_of_before_has_left_of_it_is_lost_and_does_not_run() {
    begin();
    let (place, config) = (directory(), Config::default());
    let engine = on(place.path(), &config);
    for number in 1..=3 {
        take(&engine, invocation("a", number)).await;
    }
    // Two run, one of which is to stop; one is to be tried again, and one waits.
    let running = deliver_all(&engine).await;
    let again = again(&running[2], Some(now() + SECOND));
    record(&engine, settle_as(&running[2], again, false)).await;
    cancel(&engine, 2).await;
    take(&engine, invocation("a", 4)).await;
    let copy = copy(place.path());
    let file = rusqlite::Connection::open(copy.path().join("zato.db")).expect("it opens");
    assert_eq!(file.execute("UPDATE invocation SET channel = 0", []), Ok(4));
    file.close().expect("it closes");

    let next = on(copy.path(), &config);
    let mut ends = Vec::new();
    while ends.len() < 4 {
        ends.push(deliver(&next).await);
    }
    ends.sort_by_key(|delivery| delivery.invocation.cid);
    let tasks: Vec<_> = ends.iter().map(|delivery| delivery.task).collect();
    assert_eq!(tasks, [Task::Lose, Task::Cancel, Task::Lose, Task::Lose]);
    for delivery in &ends {
        let lost = Outcome::Lost(Ending::new("gone", false));
        record(&next, settle_as(delivery, end_as(delivery, lost, &[]), false)).await;
    }
    assert_eq!(listed(&next, Filter::new().stage(StatusFilter::Ended)).await, [4, 3, 2, 1].map(cid));
}
