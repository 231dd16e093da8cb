//! Calls that were made before: by an earlier attempt, under an idempotency key, or under a CID that the caller brings.

use zato_runtime::record::{Key, digest};

use super::*;

/// The CID that an accepted call stands for, if it is another's.
async fn repeats(engine: &Rings, accept: Accept) -> Result<Option<Cid>, Refused> {
    let answer = engine.accept([accept].into_iter().collect()).await.pop().expect("one answer");
    answer.map(|accepted| accepted.repeats)
}

#[tokio::test(start_paused = true)]
async fn an_equal_call_of_a_later_attempt_is_answered_with_the_first_child() {
    for engine in engines(&Config::default()) {
        take(&engine, invocation("a", 0)).await;
        let first = deliver(&engine).await;
        let call = |delivery: &Delivery, number, kind: u32| {
            let (name, payload) = (ServiceName::linked("elsewhere"), Payload::text(kind.to_string()));
            let child = Arc::new(delivery.invocation.child(cid(number), name, payload, Channel::InvokeAsync));
            Accept { by: Some(delivery.id()), digest: Some(digest(&child)), ..plainly(&child) }
        };
        // Two equal calls of one attempt are two.
        for (number, kind) in [(1, 7), (2, 7), (3, 8)] {
            assert_eq!(repeats(&engine, call(&first, number, kind)).await, Ok(None), "{}", engine.url());
        }
        // One that ends in anything but success is called again.
        cancel(&engine, 3).await;
        let third = deliver(&engine).await;
        let cancelled = Outcome::Cancelled(Ending::new("no", false));
        record(&engine, settle_as(&third, end_as(&third, cancelled, &[]), false)).await;

        record(&engine, settle_as(&first, again(&first, Some(now())), false)).await;
        let second = deliver(&engine).await;
        let cases = [(8, None), (7, Some(cid(1))), (7, Some(cid(2))), (7, None), (9, None)];
        for (number, (kind, expected)) in (10..).zip(cases) {
            let answer = repeats(&engine, call(&second, number, kind)).await;
            assert_eq!(answer, Ok(expected), "{number}, {kind}");
            assert_eq!(find(&engine, number).await.is_some(), expected.is_none());
        }
        // The third is given what any before it was given or made.
        record(&engine, settle_as(&second, again(&second, Some(now())), false)).await;
        let third = deliver(&engine).await;
        for (number, expected) in [(20, 1), (21, 2), (22, 13)] {
            assert_eq!(repeats(&engine, call(&third, number, 7)).await, Ok(Some(cid(expected))));
        }
        assert_eq!(repeats(&engine, call(&third, 23, 8)).await, Ok(Some(cid(10))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_stands_for_its_first_call_as_long_as_it_lives() {
    let mut config = Config::default();
    config.keep_keys = 60 * SECOND;
    for engine in engines(&config) {
        let call = |service, number, name: &str, digest| Accept {
            key: Some(Key { name: name.into(), digest }),
            ..plainly(&invocation(service, number))
        };
        assert_eq!(repeats(&engine, call("a", 1, "k", 7)).await, Ok(None), "{}", engine.url());
        assert_eq!(repeats(&engine, call("a", 2, "k", 7)).await, Ok(Some(cid(1))));
        assert_eq!(repeats(&engine, call("a", 3, "l", 7)).await, Ok(None));
        assert_eq!(repeats(&engine, call("b", 4, "k", 7)).await, Ok(None), "of its service alone");
        let conflict = Refused::KeyConflict { first: cid(1) };
        assert_eq!(repeats(&engine, call("a", 5, "k", 8)).await, Err(conflict));
        // Also when that has ended, and however.
        for delivery in deliver_all(&engine).await {
            let failed = Outcome::Failed(Ending::new("no", true));
            record(&engine, settle_as(&delivery, end_as(&delivery, failed, &[]), false)).await;
        }
        assert_eq!(repeats(&engine, call("a", 6, "k", 7)).await, Ok(Some(cid(1))));
        tokio::time::sleep(61 * SECOND).await;
        assert_eq!(repeats(&engine, call("a", 7, "k", 8)).await, Ok(None));
        assert_eq!(repeats(&engine, call("a", 8, "k", 8)).await, Ok(Some(cid(7))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_lives_until_its_invocation_has_ended_and_that_is_found_as_long_as_it_lives() {
    let mut config = Config::default();
    config.keep_keys = 60 * SECOND;
    // Nothing is kept for its own sake.
    (config.keep_ended, config.keep_ended_for) = (Some(0), Duration::ZERO);
    for engine in engines(&config) {
        let call = |number, name: &str| Accept {
            key: Some(Key { name: name.into(), digest: 7 }),
            ..plainly(&asking("a", number, |options| options.idempotency_key = Some(name.into())))
        };
        assert_eq!(repeats(&engine, call(1, "k")).await, Ok(None), "{}", engine.url());
        for number in 2..5 {
            tokio::time::sleep(61 * SECOND).await;
            // A step that writes sweeps.
            take(&engine, invocation("elsewhere", 10 * number)).await;
            assert_eq!(repeats(&engine, call(number, "k")).await, Ok(Some(cid(1))), "it waits");
        }
        let delivery = deliver(&engine).await;
        end(&engine, &delivery).await;
        assert_eq!(repeats(&engine, call(5, "l")).await, Ok(None));
        let delivery = deliver(&engine).await;
        end(&engine, &delivery).await;
        for number in 6..9 {
            take(&engine, invocation("elsewhere", 10 * number)).await;
            assert_eq!(repeats(&engine, call(number, "l")).await, Ok(Some(cid(5))), "its key lives");
            assert_eq!(
                engine.outcome(cid(5)).await.expect("it can be read"),
                Some(done()),
                "{}",
                engine.url()
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cid_that_is_held_is_not_taken_twice() {
    for engine in engines(&Config::default()) {
        let brings = |number| Accept { brings_cid: true, ..plainly(&invocation("a", number)) };
        assert_eq!(accept_as(&engine, brings(1)).await, Ok(()), "{}", engine.url());
        assert_eq!(accept_as(&engine, brings(1)).await, Err(Refused::CidTaken));
        let delivery = deliver(&engine).await;
        assert_eq!(accept_as(&engine, brings(1)).await, Err(Refused::CidTaken), "it runs");
        end(&engine, &delivery).await;
        assert_eq!(accept_as(&engine, brings(1)).await, Err(Refused::CidTaken), "it is remembered");
        assert!(deliver_all(&engine).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_to_be_told_is_told() {
    for engine in engines(&Config::default()) {
        let (tell, mut told) = tokio::sync::oneshot::channel();
        accept_as(&engine, Accept { tell: Some(tell), ..plainly(&invocation("a", 1)) }).await.expect("room");
        let (asked, asked_too) = (engine.outcome(cid(1)), engine.outcome(cid(1)));
        let delivery = deliver(&engine).await;
        assert!(told.try_recv().is_err(), "{}: it has not ended", engine.url());
        end(&engine, &delivery).await;
        assert_eq!(told.await, Ok(done()));
        assert_eq!((asked.await, asked_too.await), (Ok(Some(done())), Ok(Some(done()))));
        assert_eq!(engine.outcome(cid(1)).await.expect("it can be read"), Some(done()));
        assert_eq!(engine.outcome(cid(2)).await.expect("it can be read"), None);
    }
}
