//! A wall clock that is set, or a machine that has slept: nothing is lost or hurried by more than the step.

use zato_core::When;
use zato_runtime::record::{Key, Task};

use super::*;

const HOUR: Duration = Duration::from_hours(1);

/// In this time at the most somebody looks at the wall clock while something is due later.
const LOOKED_IN: u64 = 30;

fn in_an_hour(options: &mut Options) {
    options.due = Some(When::In(HOUR));
}

/// What is delivered next where somebody waits already and the clock is then set by an hour, and how many seconds that
/// took.
async fn set_while_waiting(engine: &Rings, config: &Config, is_back: bool) -> (Delivery, u64) {
    let waits = tokio::spawn({
        let engine = engine.clone();
        async move { deliver(&engine).await }
    });
    tokio::time::sleep(SECOND).await;
    let began = Instant::now();
    config.clock.set(HOUR, is_back);
    (waits.await.expect("it does not panic"), passed(began))
}

#[tokio::test(start_paused = true)]
async fn what_came_to_be_due_while_a_machine_slept_starts_soon_after() {
    let config = Config::default();
    for engine in engines(&config) {
        take(&engine, asking("a", 0, in_an_hour)).await;
        let (delivery, took) = set_while_waiting(&engine, &config, false).await;
        assert_eq!((delivery.invocation.cid, delivery.task), (cid(0), Task::Run), "{}", engine.url());
        assert!(took <= LOOKED_IN, "{}: {took} s", engine.url());
        config.clock.set(HOUR, true);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_came_to_be_due_starts_soon_after() {
    let config = Config::default();
    for engine in engines(&config) {
        take(&engine, invocation("a", 0)).await;
        let first = deliver(&engine).await;
        record(&engine, settle_as(&first, again(&first, Some(now() + HOUR)), false)).await;
        let (second, took) = set_while_waiting(&engine, &config, false).await;
        assert_eq!((second.attempt, second.task), (2, Task::Run), "{}", engine.url());
        assert!(took <= LOOKED_IN, "{}: {took} s", engine.url());
        config.clock.set(HOUR, true);
    }
}

#[tokio::test(start_paused = true)]
async fn what_expired_or_passed_its_deadline_meanwhile_is_ended_soon_after() {
    let config = Config::default();
    let half = HOUR / 2;
    for task in [Task::Expire, Task::TimeOut] {
        for engine in engines(&config) {
            let asked = asking("elsewhere", 0, |options| {
                options.expires = (task == Task::Expire).then_some(When::At(now() + half));
                options.deadline = (task == Task::TimeOut).then_some(now() + half);
            });
            take(&engine, asked).await;
            let (delivery, took) = set_while_waiting(&engine, &config, false).await;
            assert_eq!(delivery.task, task, "{}", engine.url());
            assert!(took <= LOOKED_IN, "{}: {took} s", engine.url());
            config.clock.set(HOUR, true);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_wakes_an_engine_has_it_see_what_is_due() {
    let config = Config::default();
    for engine in engines(&config) {
        take(&engine, asking("a", 0, in_an_hour)).await;
        assert!(deliver_all(&engine).await.is_empty());
        config.clock.set(HOUR, false);
        // Nobody waits, and no time passes.
        take(&engine, invocation("a", 1)).await;
        assert_eq!(cids(&deliver_all(&engine).await), [0, 1].map(cid), "{}", engine.url());
        config.clock.set(HOUR, true);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_delays_by_as_much_and_no_more() {
    let config = Config::default();
    for engine in engines(&config) {
        take(&engine, asking("a", 0, |options| options.due = Some(When::In(60 * SECOND)))).await;
        let (delivery, took) = set_while_waiting(&engine, &config, true).await;
        assert_eq!(delivery.invocation.cid, cid(0));
        let expected = 3_600 + 59;
        assert!((expected..=expected + LOOKED_IN).contains(&took), "{}: {took} s", engine.url());
        config.clock.set(HOUR, false);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_does_not_go_by_the_wall_clock() {
    for is_back in [false, true] {
        let config = Config::default();
        for engine in engines(&config) {
            for number in 0..3 {
                take(&engine, invocation("rare", number)).await;
            }
            assert_eq!(deliver_all(&engine).await.len(), 2, "{}", engine.url());
            let (third, took) = set_while_waiting(&engine, &config, is_back).await;
            assert_eq!(third.invocation.cid, cid(2));
            assert!((3..=5).contains(&took), "{}: {took} s", engine.url());
            config.clock.set(HOUR, !is_back);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_idempotency_key_goes_by_the_wall_clock() {
    let mut config = Config::default();
    config.keep_keys = HOUR;
    for engine in engines(&config) {
        let call = async |number| {
            let key = Some(Key { name: "k".into(), digest: 7 });
            let accept = Accept { key, ..plainly(&invocation("a", number)) };
            let mut answers = engine.accept([accept].into_iter().collect()).await;
            answers.pop().expect("one answer").expect("it is taken").repeats
        };
        assert_eq!(call(0).await, None);
        end(&engine, &deliver(&engine).await).await;
        config.clock.set(HOUR / 2, false);
        assert_eq!(call(1).await, Some(cid(0)), "{}", engine.url());
        config.clock.set(HOUR, true);
        assert_eq!(call(1).await, Some(cid(0)), "{}", engine.url());
        config.clock.set(2 * HOUR, false);
        assert_eq!(call(1).await, None, "{}", engine.url());
        config.clock.set(3 * HOUR / 2, true);
    }
}

#[tokio::test(start_paused = true)]
async fn what_became_too_old_meanwhile_is_forgotten() {
    let mut config = Config::default();
    config.keep_ended_for = HOUR / 2;
    for engine in engines(&config) {
        for number in 0..2 {
            take(&engine, invocation("a", number)).await;
        }
        let both = deliver_all(&engine).await;
        let ended_at = config.clock.clone();
        let end_now = |delivery: &Delivery| {
            let mut ended = ended(delivery, done());
            ended.ended_at = now().into();
            Verdict::End { ended, callbacks: Batch::new() }
        };
        record(&engine, settle_as(&both[0], end_now(&both[0]), false)).await;
        ended_at.set(HOUR, false);
        tokio::time::sleep(Duration::from_secs(2 * LOOKED_IN)).await;
        // The memory engine forgets along with what ends.
        let mut later = ended(&both[1], done());
        later.ended_at = (now() + HOUR).into();
        let verdict = Verdict::End { ended: later, callbacks: Batch::new() };
        record(&engine, settle_as(&both[1], verdict, false)).await;
        assert!(find(&engine, 0).await.is_none(), "{}", engine.url());
        assert!(find(&engine, 1).await.is_some(), "{}", engine.url());
        ended_at.set(HOUR, true);
    }
}
