//! Idempotency keys: they live for a time and in a number, never shorter than what they lead to, and that is found as
//! long as they live.

use zato_runtime::record::Key;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

fn key(number: u32) -> Key {
    Key { name: format!("key {number}").into(), digest: number.into() }
}

/// Calls what has this number under its key; answers what was called under it before.
async fn call(engine: &Rings, number: u32, under: u32) -> Option<Cid> {
    let asked = asking("a", number, |options| options.idempotency_key = Some(key(under).name));
    let accept = Accept { key: Some(key(under)), ..plainly(&asked) };
    let mut answers = engine.accept([accept].into_iter().collect()).await;
    answers.pop().expect("one answer").expect("it is taken").repeats
}

/// Calls what has this number under its key, and has it end as it says.
async fn call_to_its_end(engine: &Rings, number: u32, outcome: Outcome) {
    // No two keys are given in one nanosecond.
    tokio::time::sleep(SECOND).await;
    assert_eq!(call(engine, number, number).await, None, "{}: {number}", engine.url());
    let delivery = deliver(engine).await;
    assert_eq!(delivery.invocation.cid, cid(number));
    let mut ended = ended(&delivery, outcome);
    ended.ended_at = now().into();
    record(engine, settle_as(&delivery, Verdict::End { ended, callbacks: Batch::new() }, false)).await;
}

fn failed() -> Outcome {
    Outcome::Failed(Ending::new("no", true))
}

/// Others come and end, so that what is too many is forgotten.
async fn others(engine: &Rings, from: u32, count: u32) {
    for number in from..from + count {
        take(engine, invocation("b", number)).await;
        let delivery = deliver(engine).await;
        end(engine, &delivery).await;
    }
    // An engine that writes sweeps along with what it writes, and in steps.
    tokio::time::sleep(60 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_key_leads_to_is_found_as_long_as_the_key_lives() {
    let mut config = Config::default();
    (config.keep_ended, config.keep_dead) = (Some(2), 2);
    config.keep_keys = HOUR;
    for engine in engines(&config) {
        for number in 0..8 {
            call_to_its_end(&engine, number, if number % 2 == 0 { done() } else { failed() }).await;
        }
        others(&engine, 100, 8).await;
        for number in 0..8 {
            assert_eq!(call(&engine, 50, number).await, Some(cid(number)), "{}", engine.url());
            let found = find(&engine, number).await.expect("it is found as long as its key lives");
            assert_eq!(found.outcome().expect("it has ended").is_completed(), number % 2 == 0);
        }
        assert!(find(&engine, 100).await.is_none(), "{}: what has no key goes as it did", engine.url());
        tokio::time::sleep(HOUR).await;
        others(&engine, 200, 8).await;
        // The last two dead letters are kept as others are.
        for number in [0, 1, 2, 3, 4, 6] {
            assert!(find(&engine, number).await.is_none(), "{}: {number}", engine.url());
        }
        assert_eq!(call(&engine, 51, 0).await, None, "{}", engine.url());
    }
}

#[tokio::test(start_paused = true)]
async fn the_oldest_keys_go_where_there_are_too_many() {
    let mut config = Config::default();
    (config.max_keys, config.keep_ended) = (Some(3), Some(1));
    for engine in engines(&config) {
        for number in 0..6 {
            call_to_its_end(&engine, number, done()).await;
        }
        others(&engine, 100, 8).await;
        for number in 0..3 {
            assert!(find(&engine, number).await.is_none(), "{}: {number}", engine.url());
        }
        for number in 3..6 {
            assert_eq!(call(&engine, 50, number).await, Some(cid(number)), "{}", engine.url());
            assert!(find(&engine, number).await.is_some(), "{}: {number}", engine.url());
        }
        assert_eq!(call(&engine, 51, 0).await, None, "{}", engine.url());
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_lives_at_least_as_long_as_what_it_leads_to() {
    let mut config = Config::default();
    (config.max_keys, config.keep_keys) = (Some(2), HOUR);
    for engine in engines(&config) {
        // One waits, one runs, both for longer than keys live, and there are more keys than are kept.
        assert_eq!(call(&engine, 1, 1).await, None);
        let runs = deliver(&engine).await;
        let due = asking("elsewhere", 0, |options| options.idempotency_key = Some(key(0).name));
        let accept = Accept { key: Some(key(0)), ..plainly(&due) };
        assert_eq!(accept_as(&engine, accept).await, Ok(()));
        for number in 2..6 {
            call_to_its_end(&engine, number, done()).await;
        }
        tokio::time::sleep(3 * HOUR).await;
        others(&engine, 100, 4).await;
        assert_eq!(call(&engine, 50, 1).await, Some(cid(1)), "{}", engine.url());
        let due = asking("elsewhere", 51, |options| options.idempotency_key = Some(key(0).name));
        let accept = Accept { key: Some(key(0)), ..plainly(&due) };
        let mut answers = engine.accept([accept].into_iter().collect()).await;
        let repeats = answers.pop().expect("one answer").expect("it is taken").repeats;
        assert_eq!(repeats, Some(cid(0)), "{}", engine.url());
        end(&engine, &runs).await;
        others(&engine, 200, 4).await;
        assert_eq!(
            call(&engine, 52, 1).await,
            None,
            "{}: it has ended, and its key was too old",
            engine.url()
        );
    }
}
