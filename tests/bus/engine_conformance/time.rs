//! What time does to what waits: it becomes due, expires, runs out, and is tried again.

use std::sync::mpsc::channel;

use tokio::time::sleep;
use zato_core::When;
use zato_runtime::record::Task;

use super::*;

fn due(service: &'static str, number: u32, seconds: u32) -> Arc<Invocation> {
    asking(service, number, |options| options.due = Some(When::In(seconds * SECOND)))
}

/// What is delivered next, and how many seconds it took.
async fn wait(engine: &Rings) -> (Delivery, u64) {
    let began = Instant::now();
    let delivery = deliver(engine).await;
    (delivery, passed(began))
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_before_it_is_due() {
    for engine in engines(&Config::default()) {
        take(&engine, due("a", 0, 20)).await;
        take(&engine, due("b", 1, 10)).await;
        take(&engine, invocation("b", 2)).await;
        assert_eq!(cids(&deliver_all(&engine).await), [cid(2)], "{}", engine.url());
        assert!(matches!(waits(&engine, 1).await, WaitReason::Until(_)));
        for (number, seconds) in [(1, 10), (0, 10)] {
            let (delivery, took) = wait(&engine).await;
            assert_eq!((delivery.invocation.cid, took), (cid(number), seconds));
        }
    }
}

/// The worker that waits for the time may be blocked when it comes.
#[tokio::test(start_paused = true)]
async fn who_watches_from_outside_learns_of_what_is_due_and_has_a_worker_woken() {
    for engine in engines(&Config::default()) {
        let (tell, told) = channel();
        engine.on_ends(Arc::new(move |at| tell.send(at).expect("the test listens")));
        let began = Instant::now();
        take(&engine, due("a", 0, 10)).await;
        assert_eq!(engine.has_rung(), engine.wakes_workers(), "{}", engine.url());
        let at = told.try_recv().expect("a time");
        assert_eq!((at - began).as_secs(), 10, "{}", engine.url());
        sleep(11 * SECOND).await;
        let (ends, next) = engine.deliver_ends();
        assert!(ends.is_empty() && next.is_none(), "{}", engine.url());
        assert_eq!(engine.has_rung(), engine.wakes_workers(), "{}", engine.url());
        assert_eq!(deliver(&engine).await.invocation.cid, cid(0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_waits_learns_of_what_is_due_earlier() {
    for engine in engines(&Config::default()) {
        take(&engine, due("a", 0, 100)).await;
        let waits = tokio::spawn({
            let engine = engine.clone();
            async move { wait(&engine).await }
        });
        sleep(SECOND).await;
        take(&engine, due("a", 1, 10)).await;
        let (delivery, took) = waits.await.expect("it does not panic");
        assert_eq!((delivery.invocation.cid, took), (cid(1), 11), "{}", engine.url());
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_due_earlier_goes_first_whoever_looked_when() {
    for engine in engines(&Config::default()) {
        take(&engine, due("a", 0, 20)).await;
        take(&engine, due("a", 1, 10)).await;
        take(&engine, due("a", 2, 10)).await;
        take(&engine, invocation("b", 3)).await;
        let other = deliver(&engine).await;
        // Nobody looks in between.
        sleep(30 * SECOND).await;
        take(&engine, invocation("a", 4)).await;
        let settled = record(&engine, settle(&other, &[invocation("a", 5)])).await;
        assert!(settled.granted.is_empty(), "{}", engine.url());
        assert_eq!(cids(&deliver_all(&engine).await), [1, 2, 0, 4, 5].map(cid));
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_become_due_goes_before_a_callback_that_comes_later() {
    for engine in engines(&Config::default()) {
        take(&engine, invocation("b", 0)).await;
        let other = deliver(&engine).await;
        take(&engine, due("a", 1, 10)).await;
        sleep(30 * SECOND).await;
        let settled = record(&engine, settle(&other, &[invocation("a", 2)])).await;
        assert!(settled.granted.is_empty(), "{}", engine.url());
        assert_eq!(cids(&deliver_all(&engine).await), [1, 2].map(cid));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_again_is_delivered_when_its_time_has_come() {
    for engine in engines(&Config::default()) {
        let began = now();
        take(&engine, invocation("a", 0)).await;
        let first = deliver(&engine).await;
        assert_eq!((first.attempt, first.failed()), (1, 0));
        let at = Some(began + 10 * SECOND);
        record(&engine, settle_as(&first, again(&first, at), false)).await;
        assert!(deliver_all(&engine).await.is_empty(), "{}", engine.url());
        let answers = engine.settle(settle(&first, &[])).await;
        assert!(answers[0].is_err(), "its lease is used up");
        let (second, took) = wait(&engine).await;
        assert!((9..=11).contains(&took), "{took}");
        assert_eq!((second.attempt, second.failed(), second.task), (2, 1, Task::Run));
        let tried = &second.before.as_ref().expect("there was one before").tried;
        assert_eq!((tried.len(), &*tried[0].error), (1, "not yet"));
        assert!(engine.is_running(AttemptId { cid: cid(0), number: 2 }));
        assert!(!engine.is_running(AttemptId { cid: cid(0), number: 1 }));
        end(&engine, &second).await;
        let found = find(&engine, 0).await.expect("it is held");
        assert_eq!((found.attempts, found.before.map(|before| before.failed)), (2, Some(1)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_shutdown_interrupted_is_not_delivered_again() {
    for engine in engines(&Config::default()) {
        for number in 0..3 {
            take(&engine, invocation("a", number)).await;
        }
        let running = deliver_all(&engine).await;
        for delivery in &running[..2] {
            record(&engine, settle_as(delivery, again(delivery, None), false)).await;
        }
        assert!(deliver_all(&engine).await.is_empty(), "{}", engine.url());
        assert_eq!(waits(&engine, 0).await, WaitReason::Restart);
        let before = find(&engine, 0).await.expect("it is held").before.expect("an attempt was made");
        assert_eq!((before.attempts, before.failed), (1, 0), "it does not count");
        assert!(!is_drained(&engine).await, "one runs");
        // One of them can still be cancelled.
        assert!(matches!(cancel(&engine, 1).await, Some(CancelAnswer::Ending)));
        let cancelled = deliver(&engine).await;
        assert_eq!((cancelled.invocation.cid, cancelled.task), (cid(1), Task::Cancel));
        end(&engine, &cancelled).await;
        end(&engine, &running[2]).await;
        assert!(is_drained(&engine).await, "the other is not waited for");
        // What this engine does not keep it ends.
        let keeps = !engine.capabilities().is_empty();
        assert_eq!(engine.close(), usize::from(!keeps));
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_not_started_in_time_is_delivered_to_be_ended() {
    for engine in engines(&Config::default()) {
        let began = now();
        let held = |options: &mut Options| options.due = Some(When::In(3600 * SECOND));
        take(
            &engine,
            asking("a", 0, |options| {
                held(options);
                options.expires = Some(When::In(10 * SECOND));
            }),
        )
        .await;
        take(
            &engine,
            asking("a", 1, |options| {
                held(options);
                options.deadline = Some(began + 20 * SECOND);
            }),
        )
        .await;
        for (number, task) in [(0, Task::Expire), (1, Task::TimeOut)] {
            let delivery = deliver(&engine).await;
            assert_eq!((delivery.invocation.cid, delivery.task), (cid(number), task), "{}", engine.url());
            assert_eq!((delivery.attempt, delivery.last_started_at()), (0, None));
            assert!(!engine.is_running(delivery.id()), "nothing runs");
            end(&engine, &delivery).await;
        }
        assert!(is_drained(&engine).await);
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_started_does_not_expire_and_still_has_its_deadline() {
    for engine in engines(&Config::default()) {
        let began = now();
        take(
            &engine,
            asking("a", 0, |options| {
                options.expires = Some(When::In(10 * SECOND));
                options.deadline = Some(began + 30 * SECOND);
            }),
        )
        .await;
        let first = deliver(&engine).await;
        let at = Some(began + 3600 * SECOND);
        record(&engine, settle_as(&first, again(&first, at), false)).await;
        let (second, took) = wait(&engine).await;
        assert_eq!((second.task, second.attempt), (Task::TimeOut, 1), "{}", engine.url());
        assert!((29..=31).contains(&took), "{took}");
        assert_eq!(second.last_started_at(), Some(first.started_at));
    }
}
