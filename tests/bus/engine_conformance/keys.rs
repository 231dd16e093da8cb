//! Concurrency keys: what has the same runs one at a time, in the order in which it was accepted.

use zato_core::When;

use super::*;

fn keyed(service: &'static str, number: u32, key: &str) -> Arc<Invocation> {
    asking(service, number, |options| options.concurrency_key = Some(key.into()))
}

/// What is delivered now, which is this alone.
async fn next(engine: &Rings, number: u32) -> Delivery {
    let mut all = deliver_all(engine).await;
    assert_eq!(cids(&all), [cid(number)], "{}", engine.url());
    all.remove(0)
}

#[tokio::test(start_paused = true)]
async fn one_runs_at_a_time_whatever_the_priorities() {
    for engine in engines(&Config::default()) {
        for (number, priority) in [(0, 0), (1, -5), (2, 127)] {
            let ask = |options: &mut Options| {
                (options.concurrency_key, options.priority) = (Some("k".into()), Some(priority));
            };
            take(&engine, asking("a", number, ask)).await;
        }
        let WaitReason::Key { key, held_by } = waits(&engine, 2).await else {
            panic!("it waits for its key")
        };
        assert_eq!((&*key, held_by), ("k", cid(0)));
        for number in 0..3 {
            let delivery = next(&engine, number).await;
            end(&engine, &delivery).await;
        }
        assert!(deliver_all(&engine).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn another_key_another_service_and_none_at_all_run_beside_it() {
    for engine in engines(&Config::default()) {
        let all = [keyed("a", 0, "k"), keyed("a", 1, "k"), keyed("a", 2, "l"), keyed("b", 3, "k")];
        for invocation in all.into_iter().chain([invocation("a", 4)]) {
            take(&engine, invocation).await;
        }
        let mut delivered = deliver_all(&engine).await;
        delivered.sort_by_key(|delivery| delivery.invocation.cid);
        assert_eq!(cids(&delivered), [0, 2, 3, 4].map(cid), "{}", engine.url());
        // Another's end changes nothing.
        for delivery in &delivered[1..] {
            end(&engine, delivery).await;
        }
        assert!(deliver_all(&engine).await.is_empty());
        end(&engine, &delivered[0]).await;
        next(&engine, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_keeps_its_key_until_it_has_ended() {
    let began = now();
    for engine in engines(&Config::default()) {
        for number in 0..2 {
            take(&engine, keyed("a", number, "k")).await;
        }
        let first = next(&engine, 0).await;
        let at = Some(began + 3600 * SECOND);
        record(&engine, settle_as(&first, again(&first, at), false)).await;
        assert!(deliver_all(&engine).await.is_empty(), "{}", engine.url());
        assert!(matches!(waits(&engine, 0).await, WaitReason::Until(_)));
        assert!(matches!(waits(&engine, 1).await, WaitReason::Key { .. }));
        // It ends without another attempt.
        cancel(&engine, 0).await;
        let first = next(&engine, 0).await;
        end(&engine, &first).await;
        next(&engine, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_before_its_turn_holds_nobody_up() {
    for engine in engines(&Config::default()) {
        for number in 0..4 {
            take(&engine, keyed("a", number, "k")).await;
        }
        let first = next(&engine, 0).await;
        for number in [1, 2] {
            assert!(matches!(cancel(&engine, number).await, Some(CancelAnswer::Ending)));
        }
        let cancelled = deliver_all(&engine).await;
        assert_eq!(cids(&cancelled), [1, 2].map(cid), "{}", engine.url());
        // The one is recorded before the first has ended, the other later.
        end(&engine, &cancelled[0]).await;
        assert!(deliver_all(&engine).await.is_empty());
        end(&engine, &first).await;
        next(&engine, 3).await;
        end(&engine, &cancelled[1]).await;
        assert!(deliver_all(&engine).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_due_has_its_key_already() {
    for engine in engines(&Config::default()) {
        let due = now() + 10 * SECOND;
        let ask = |options: &mut Options| {
            (options.concurrency_key, options.due) = (Some("k".into()), Some(When::At(due)));
        };
        take(&engine, asking("a", 0, ask)).await;
        take(&engine, keyed("a", 1, "k")).await;
        take(&engine, asking("a", 2, ask)).await;
        assert!(deliver_all(&engine).await.is_empty(), "{}", engine.url());
        let began = tokio::time::Instant::now();
        let first = deliver(&engine).await;
        assert_eq!(first.invocation.cid, cid(0));
        assert!((9..=11).contains(&passed(began)));
        end(&engine, &first).await;
        let second = next(&engine, 1).await;
        tokio::time::sleep(20 * SECOND).await;
        end(&engine, &second).await;
        next(&engine, 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_settle_creates_stands_at_the_end() {
    for engine in engines(&Config::default()) {
        take(&engine, keyed("a", 0, "k")).await;
        let first = next(&engine, 0).await;
        take(&engine, keyed("a", 1, "k")).await;
        let settled = record(&engine, settle(&first, &[keyed("a", 2, "k"), keyed("a", 3, "l")])).await;
        let mut running: Vec<_> = settled.granted.into_iter().collect();
        running.extend(deliver_all(&engine).await);
        running.sort_by_key(|delivery| delivery.invocation.cid);
        assert_eq!(cids(&running), [1, 3].map(cid), "{}", engine.url());
        end(&engine, &running[0]).await;
        next(&engine, 2).await;
    }
}
