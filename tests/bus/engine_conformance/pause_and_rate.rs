//! What may not start: of a paused service, of one that no process hosts, of one whose rate is used up. It stands in
//! nobody's way.

use tokio::time::{Instant, sleep};
use zato_core::When;
use zato_runtime::record::Task;

use super::*;

#[tokio::test(start_paused = true)]
async fn nothing_of_a_paused_service_starts_until_it_is_resumed() {
    for engine in engines(&Config::default()) {
        take(&engine, invocation("a", 0)).await;
        let runs = deliver(&engine).await;
        take(&engine, invocation("a", 1)).await;
        pause(&engine, "a", true).await;
        take(&engine, invocation("a", 2)).await;
        take(&engine, invocation("b", 3)).await;
        assert_eq!(cids(&deliver_all(&engine).await), [cid(3)], "{}", engine.url());
        assert_eq!(waits(&engine, 1).await, WaitReason::Resume);
        // What runs goes on, and what it calls back waits.
        let settled = record(&engine, settle(&runs, &[invocation("a", 4)])).await;
        assert!(settled.granted.is_empty());
        assert!(deliver_all(&engine).await.is_empty());
        pause(&engine, "a", true).await;
        pause(&engine, "a", false).await;
        assert_eq!(cids(&deliver_all(&engine).await), [1, 2, 4].map(cid));
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_waits_learns_that_a_service_is_resumed() {
    for engine in engines(&Config::default()) {
        pause(&engine, "a", true).await;
        take(&engine, invocation("a", 0)).await;
        let waits = tokio::spawn({
            let engine = engine.clone();
            async move { deliver(&engine).await }
        });
        tokio::task::yield_now().await;
        pause(&engine, "a", false).await;
        assert_eq!(waits.await.expect("it does not panic").invocation.cid, cid(0), "{}", engine.url());
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_process_hosts_is_parked() {
    let mut config = Config::default();
    config.max_running = 1;
    for engine in engines(&config) {
        for number in 0..3 {
            take(&engine, asking("elsewhere", number, |options| options.priority = Some(127))).await;
        }
        take(&engine, invocation("a", 3)).await;
        assert_eq!(waits(&engine, 0).await, WaitReason::Host);
        let runs = deliver(&engine).await;
        assert_eq!(runs.invocation.cid, cid(3), "{}", engine.url());
        let settled = record(&engine, settle(&runs, &[invocation("elsewhere", 4), invocation("a", 5)])).await;
        let runs = match settled.granted.into_iter().next() {
            Some(granted) => granted,
            None => deliver(&engine).await,
        };
        assert_eq!(runs.invocation.cid, cid(5), "a callback is parked too");
        assert_eq!(waits(&engine, 4).await, WaitReason::Host);
        end(&engine, &runs).await;
        assert!(deliver_all(&engine).await.is_empty());
        assert!(matches!(cancel(&engine, 1).await, Some(CancelAnswer::Ending)));
        let cancelled = deliver(&engine).await;
        assert_eq!((cancelled.invocation.cid, cancelled.task), (cid(1), Task::Cancel));
        end(&engine, &cancelled).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_parked_expires() {
    for engine in engines(&Config::default()) {
        pause(&engine, "a", true).await;
        for (service, number) in [("elsewhere", 0), ("a", 1)] {
            let ask = |options: &mut Options| options.expires = Some(When::In(10 * SECOND));
            take(&engine, asking(service, number, ask)).await;
        }
        for number in 0..2 {
            let delivery = deliver(&engine).await;
            assert_eq!((delivery.invocation.cid, delivery.task), (cid(number), Task::Expire));
            end(&engine, &delivery).await;
        }
        assert!(deliver_all(&engine).await.is_empty(), "{}", engine.url());
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_neither() {
    for engine in engines(&Config::default()) {
        take(&engine, invocation("elsewhere", 0)).await;
        take(&engine, invocation("a", 1)).await;
        take(&engine, invocation("b", 2)).await;
        pause(&engine, "a", true).await;
        let runs = deliver(&engine).await;
        let drained = tokio::spawn({
            let engine = engine.clone();
            async move { engine.drain().await }
        });
        tokio::task::yield_now().await;
        assert!(!drained.is_finished(), "{}: one runs", engine.url());
        end(&engine, &runs).await;
        drained.await.expect("it ends");
        let keeps = !engine.capabilities().is_empty();
        assert_eq!(engine.close(), if keeps { 0 } else { 2 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_when_the_last_that_it_waits_for_is_paused() {
    for engine in engines(&Config::default()) {
        let ask = |options: &mut Options| options.due = Some(When::In(3600 * SECOND));
        take(&engine, asking("a", 0, ask)).await;
        let drained = tokio::spawn({
            let engine = engine.clone();
            async move { engine.drain().await }
        });
        tokio::task::yield_now().await;
        let keeps = !engine.capabilities().is_empty();
        assert!(keeps || !drained.is_finished(), "{}: one that keeps it leaves it", engine.url());
        pause(&engine, "a", true).await;
        drained.await.expect("it ends");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_start_than_the_rate_allows() {
    for engine in engines(&Config::default()) {
        for number in 0..4 {
            take(&engine, invocation("rare", number)).await;
        }
        take(&engine, invocation("a", 4)).await;
        let running = deliver_all(&engine).await;
        assert_eq!(cids(&running), [0, 4, 1].map(cid), "{}", engine.url());
        assert!(matches!(waits(&engine, 2).await, WaitReason::Rate(rate) if rate.starts == 2));
        // That one has ended makes no room; a callback is not granted.
        let settled = record(&engine, settle(&running[0], &[invocation("rare", 5)])).await;
        assert!(settled.granted.is_empty());
        assert!(deliver_all(&engine).await.is_empty());
        let began = Instant::now();
        for (number, seconds) in [(2, 5), (3, 10), (5, 15)] {
            assert_eq!(deliver(&engine).await.invocation.cid, cid(number));
            assert_eq!(passed(began), seconds);
        }
        sleep(60 * SECOND).await;
        for number in 6..9 {
            take(&engine, invocation("rare", number)).await;
        }
        assert_eq!(cids(&deliver_all(&engine).await), [6, 7].map(cid), "never more than that at once");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_cancelled_or_paused_takes_nothing_of_the_rate() {
    for engine in engines(&Config::default()) {
        for number in 0..3 {
            take(&engine, invocation("rare", number)).await;
        }
        for number in 0..2 {
            cancel(&engine, number).await;
        }
        pause(&engine, "rare", true).await;
        let cancelled = deliver_all(&engine).await;
        assert_eq!(cids(&cancelled), [0, 1].map(cid), "{}", engine.url());
        for delivery in &cancelled {
            end(&engine, delivery).await;
        }
        pause(&engine, "rare", false).await;
        take(&engine, invocation("rare", 3)).await;
        take(&engine, invocation("rare", 4)).await;
        assert_eq!(cids(&deliver_all(&engine).await), [2, 3].map(cid));
    }
}
