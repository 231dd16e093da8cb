//! Attempts that are over while their handlers still hold a thread: what they hold comes free when they are released.

use zato_runtime::record::Task;

use super::*;

fn keyed(service: &'static str, number: u32) -> Arc<Invocation> {
    asking(service, number, |options| options.concurrency_key = Some("k".into()))
}

#[tokio::test(start_paused = true)]
async fn one_that_has_ended_keeps_its_place_until_it_is_released() {
    let mut config = Config::default();
    config.max_running = 3;
    for engine in engines(&config) {
        // Two places of `c`, and three in all.
        for number in 0..3 {
            take(&engine, invocation("c", number)).await;
        }
        let running = deliver_all(&engine).await;
        assert_eq!(running.len(), 2);
        let timed_out = Outcome::TimedOut(Ending::new("it took too long", false));
        let verdict = end_as(&running[0], timed_out, &[invocation("a", 3)]);
        let settled = record(&engine, settle_as(&running[0], verdict, true)).await;
        assert!(
            engine
                .outcome(cid(0))
                .await
                .expect("it can be read")
                .is_some_and(|outcome| outcome.error().is_some())
        );
        let found = find(&engine, 0).await.expect("it is held");
        assert!(found.overruns && matches!(found.status, Status::Ended { .. }), "{}", engine.url());
        assert!(!engine.is_running(running[0].id()), "it makes no more calls");
        // The callback has the third place.
        let mut all: Vec<_> = settled.granted.into_iter().collect();
        all.extend(deliver_all(&engine).await);
        assert_eq!(cids(&all), [cid(3)]);
        take(&engine, invocation("b", 4)).await;
        assert!(deliver_all(&engine).await.is_empty());

        engine.release(running[0].id());
        let next = deliver(&engine).await;
        assert!([2, 4].map(cid).contains(&next.invocation.cid));
        assert!(!find(&engine, 0).await.expect("it is held").overruns);
        // Once more is once.
        engine.release(running[0].id());
        assert!(deliver_all(&engine).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn it_keeps_its_key_as_well() {
    for engine in engines(&Config::default()) {
        for number in 0..2 {
            take(&engine, keyed("a", number)).await;
        }
        let first = deliver(&engine).await;
        record(&engine, settle_as(&first, end_as(&first, done(), &[]), true)).await;
        assert!(deliver_all(&engine).await.is_empty(), "{}", engine.url());
        engine.release(first.id());
        assert_eq!(deliver(&engine).await.invocation.cid, cid(1));
    }
}

#[tokio::test(start_paused = true)]
async fn another_attempt_starts_only_when_the_last_is_released() {
    for engine in engines(&Config::default()) {
        let began = now();
        take(&engine, keyed("a", 0)).await;
        take(&engine, keyed("a", 1)).await;
        let first = deliver(&engine).await;
        let at = Some(began + 10 * SECOND);
        record(&engine, settle_as(&first, again(&first, at), true)).await;
        assert_eq!(waits(&engine, 0).await, WaitReason::Release, "{}", engine.url());
        assert!(find(&engine, 0).await.is_some_and(|found| found.overruns));
        tokio::time::sleep(20 * SECOND).await;
        assert!(deliver_all(&engine).await.is_empty(), "though it is due");
        engine.release(first.id());
        let second = deliver(&engine).await;
        assert_eq!((second.invocation.cid, second.attempt), (cid(0), 2));
        end(&engine, &second).await;
        assert_eq!(deliver(&engine).await.invocation.cid, cid(1), "the key was its all the time");
    }
}

#[tokio::test(start_paused = true)]
async fn released_early_it_still_waits_for_its_time() {
    for engine in engines(&Config::default()) {
        let began = now();
        take(&engine, invocation("a", 0)).await;
        let first = deliver(&engine).await;
        let at = Some(began + 10 * SECOND);
        record(&engine, settle_as(&first, again(&first, at), true)).await;
        engine.release(first.id());
        assert!(matches!(waits(&engine, 0).await, WaitReason::Until(_)), "{}", engine.url());
        assert!(deliver_all(&engine).await.is_empty());
        let since = tokio::time::Instant::now();
        assert_eq!(deliver(&engine).await.attempt, 2);
        assert!((9..=11).contains(&passed(since)));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_a_release_can_be_cancelled() {
    for engine in engines(&Config::default()) {
        take(&engine, keyed("a", 0)).await;
        take(&engine, keyed("a", 1)).await;
        let first = deliver(&engine).await;
        let verdict = again(&first, Some(now()));
        record(&engine, settle_as(&first, verdict, true)).await;
        assert!(matches!(cancel(&engine, 0).await, Some(CancelAnswer::Ending)));
        let cancelled = deliver(&engine).await;
        assert_eq!((cancelled.invocation.cid, cancelled.task), (cid(0), Task::Cancel), "{}", engine.url());
        end(&engine, &cancelled).await;
        assert!(deliver_all(&engine).await.is_empty(), "its handler has the key");
        engine.release(first.id());
        assert_eq!(deliver(&engine).await.invocation.cid, cid(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_a_release_and_not_for_what_was_interrupted() {
    for engine in engines(&Config::default()) {
        take(&engine, invocation("a", 0)).await;
        let first = deliver(&engine).await;
        record(&engine, settle_as(&first, again(&first, None), true)).await;
        let drained = tokio::spawn({
            let engine = engine.clone();
            async move { engine.drain().await }
        });
        tokio::task::yield_now().await;
        assert!(!drained.is_finished(), "{}", engine.url());
        engine.release(first.id());
        drained.await.expect("it ends");
        assert_eq!(waits(&engine, 0).await, WaitReason::Restart);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_passes_while_it_waits_for_a_release() {
    for engine in engines(&Config::default()) {
        let deadline = now() + 10 * SECOND;
        take(&engine, asking("a", 0, |options| options.deadline = Some(deadline))).await;
        let first = deliver(&engine).await;
        let verdict = again(&first, Some(now() + SECOND));
        record(&engine, settle_as(&first, verdict, true)).await;
        let late = deliver(&engine).await;
        assert_eq!((late.task, late.attempt), (Task::TimeOut, 1), "{}", engine.url());
        end(&engine, &late).await;
        assert!(!is_drained(&engine).await);
        engine.release(first.id());
        assert!(is_drained(&engine).await);
    }
}
