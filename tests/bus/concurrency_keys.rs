//! Concurrency keys: what has the same runs one at a time, in the order in which it was accepted.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use zato_core::{Cid, Context, Failure, InvokeAsync, Result, service, target::AnyResponse};
use zato_runtime::{Cancellation, Error, Outcome, Runtime, Status, WaitReason};

use crate::builder::{builder, finish};
use crate::journal::Journal;

/// When the test began.
#[derive(Clone, Copy)]
struct Began(Instant);

/// A name, and how the attempts of it end: after so many seconds each, and all but the last badly.
type Script = (String, Vec<u64>);

async fn act(ctx: &Context, script: Script, journal: &Journal, began: Began) -> Result<()> {
    let (name, attempts) = script;
    journal.write(ctx, format!("{name} at {}", began.0.elapsed().as_secs()));
    let attempt = ctx.attempt() as usize;
    sleep(seconds(attempts[attempt - 1])).await;
    if attempt < attempts.len() { Err(Failure::new("again")) } else { Ok(()) }
}

#[service(name = "keys.runs")]
async fn runs(ctx: &Context, script: Script, journal: &Journal, began: &Began) -> Result<()> {
    act(ctx, script, journal, *began).await
}

#[service(name = "keys.other")]
async fn other(ctx: &Context, script: Script, journal: &Journal, began: &Began) -> Result<()> {
    act(ctx, script, journal, *began).await
}

/// Calls what has the key that it runs under itself.
#[service(name = "keys.recurs")]
async fn recurs(ctx: &Context, left: u64, journal: &Journal, began: &Began) -> Result<()> {
    journal.write(ctx, format!("{left} at {}", began.0.elapsed().as_secs()));
    if left > 0 {
        ctx.invoke_async(recurs::service(), left - 1).concurrency_key("one").await?;
    }
    sleep(seconds(1)).await;
    Ok(())
}

async fn start(journal: &Journal) -> Result<Runtime, Error> {
    builder()
        .services([runs::service().erased(), other::service().erased(), recurs::service().erased()])
        .provide(journal.clone())
        .provide(Began(Instant::now()))
        .start()
        .await
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A call of something with this name, whose attempts take so many seconds each.
fn call<'a>(runtime: &'a Runtime, name: &str, attempts: &[u64]) -> InvokeAsync<'a, AnyResponse> {
    runtime.invoke_async(runs::NAME, (name, attempts)).concurrency_key("one")
}

/// What began when.
fn began(journal: &Journal) -> Vec<String> {
    journal.lines().into_iter().map(|line| line.text).collect()
}

#[tokio::test(start_paused = true)]
async fn they_run_one_at_a_time_in_the_order_of_coming_whatever_their_priority() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    for (name, priority) in [("a", 0), ("b", -5), ("c", 0), ("d", 127)] {
        call(&runtime, name, &[2]).priority(priority).await?;
    }
    finish(&runtime).await?;
    assert_eq!(began(&journal), ["a at 0", "b at 2", "c at 4", "d at 6"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn other_keys_and_other_services_run_beside_them() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    for name in ["first", "second"] {
        call(&runtime, name, &[5]).await?;
    }
    runtime.invoke_async(runs::NAME, ("another key", [5])).concurrency_key("two").await?;
    runtime.invoke_async(other::NAME, ("another service", [5])).concurrency_key("one").await?;
    runtime.invoke_async(runs::NAME, ("no key", [5])).await?;
    finish(&runtime).await?;
    let mut began = began(&journal);
    assert_eq!(began.pop().as_deref(), Some("second at 5"));
    began.sort();
    assert_eq!(began, ["another key at 0", "another service at 0", "first at 0", "no key at 0"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_first_keeps_its_key_through_its_attempts() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    call(&runtime, "first", &[1, 1, 1]).max_attempts(3).backoff("10s").await?;
    let second = call(&runtime, "second", &[1]).await?;
    sleep(seconds(5)).await;
    let found = runtime.find(second).await?.expect("it is held");
    assert!(matches!(found.status, Status::Waiting(WaitReason::Key { .. })), "{:?}", found.status);
    finish(&runtime).await?;
    assert_eq!(began(&journal), ["first at 0", "first at 11", "first at 22", "second at 23"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn however_the_first_ends_the_next_has_its_turn() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let deadline = std::time::SystemTime::now() + seconds(20);
    call(&runtime, "completes", &[1]).await?;
    call(&runtime, "fails", &[1, 0]).await?;
    call(&runtime, "times out", &[60]).timeout(seconds(5)).await?;
    // No attempt of it is in its script, so that it panics.
    call(&runtime, "panics", &[]).await?;
    let cancelled = call(&runtime, "is cancelled", &[60]).await?;
    call(&runtime, "passes its deadline", &[60]).deadline(deadline).await?;
    call(&runtime, "last", &[1]).await?;
    sleep(seconds(10)).await;
    assert_eq!(runtime.cancel(cancelled).await?, Cancellation::Requested);
    assert!(matches!(runtime.outcome(cancelled).await?, Outcome::Cancelled(_)));
    finish(&runtime).await?;
    let expected = [
        "completes at 0",
        "fails at 1",
        "times out at 2",
        "panics at 7",
        "is cancelled at 7",
        "passes its deadline at 15",
    ];
    let began = began(&journal);
    assert_eq!(began[..6], expected);
    // The deadline is a time of day, which goes on while the test sets it.
    assert!(["last at 20", "last at 21"].contains(&&*began[6]), "{}", began[6]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_ends_before_its_turn_holds_nobody_up() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    call(&runtime, "first", &[10]).await?;
    let cancelled = call(&runtime, "cancelled", &[10]).await?;
    let expired = call(&runtime, "expired", &[10]).expires_in(seconds(3)).await?;
    let late = call(&runtime, "late", &[10]).deadline(std::time::SystemTime::now() + seconds(4)).await?;
    call(&runtime, "last", &[10]).await?;
    sleep(seconds(1)).await;
    assert_eq!(runtime.cancel(cancelled).await?, Cancellation::Cancelled);
    assert!(matches!(runtime.outcome(expired).await?, Outcome::Expired(_)));
    assert!(matches!(runtime.outcome(late).await?, Outcome::TimedOut(_)));
    finish(&runtime).await?;
    assert_eq!(began(&journal), ["first at 0", "last at 10"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_first_one_that_is_not_due_holds_the_others_until_it_has_ended() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let first = call(&runtime, "first", &[1]).delay(seconds(10)).await?;
    let second = call(&runtime, "second", &[1]).await?;
    // When its turn comes it is due already.
    call(&runtime, "third", &[1]).delay(seconds(3)).await?;
    // It is not, and is waited for.
    let fourth = call(&runtime, "fourth", &[1]).delay(seconds(30)).await?;
    call(&runtime, "fifth", &[1]).await?;
    let found = runtime.find(second).await?.expect("it is held");
    let Status::Waiting(WaitReason::Key { key, held_by }) = found.status else {
        panic!("{:?}", found.status)
    };
    assert_eq!((&*key, held_by), ("one", first));
    let page = runtime.explain(second).await?.to_string();
    let expected =
        format!("waiting for the concurrency key `one` of keys.runs: {first} holds it until it has");
    assert!(page.contains(&expected), "{page}");
    sleep(seconds(20)).await;
    assert_eq!(began(&journal), ["first at 10", "second at 11", "third at 12"]);
    // Whoever waits for it need not, once it is cancelled.
    assert_eq!(runtime.cancel(fourth).await?, Cancellation::Cancelled);
    finish(&runtime).await?;
    assert_eq!(began(&journal)[3..], ["fifth at 20"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_call_what_has_its_own_key() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    runtime.invoke_async(recurs::service(), 3).concurrency_key("one").await?;
    finish(&runtime).await?;
    assert_eq!(began(&journal), ["3 at 0", "2 at 1", "1 at 2", "0 at 3"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_is_run_again_has_its_key_and_stands_at_the_end() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let dead = call(&runtime, "dead", &[1, 1]).await?;
    runtime.outcome(dead).await?;
    for name in ["one", "two"] {
        call(&runtime, name, &[5]).await?;
    }
    runtime.run_again(dead).await?;
    call(&runtime, "three", &[5]).await?;
    finish(&runtime).await?;
    assert_eq!(began(&journal), ["dead at 0", "one at 1", "two at 6", "dead at 11", "three at 12"]);
    Ok(())
}

/// Two thousand of twenty keys, some of which fail, are cancelled or expire: those of one key never overlap, and keep
/// their order.
#[tokio::test(start_paused = true)]
async fn two_thousand_of_twenty_keys_keep_their_order() -> Result<(), Error> {
    const KEYS: usize = 20;
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let mut cids: Vec<Cid> = Vec::new();
    for number in 0..2_000_usize {
        let attempts: &[u64] = if number % 7 == 3 { &[1, 1] } else { &[1] };
        let call = runtime.invoke_async(runs::NAME, (number.to_string(), attempts)).max_attempts(2);
        let call = call.backoff("1s").concurrency_key((number % KEYS).to_string());
        cids.push(if number % 11 == 5 { call.expires_in(seconds(10)).await? } else { call.await? });
    }
    sleep(seconds(1) / 2).await;
    for cid in cids.iter().skip(100).step_by(13) {
        assert_eq!(runtime.cancel(*cid).await?, Cancellation::Cancelled);
    }
    for cid in &cids {
        runtime.outcome(*cid).await?;
    }
    let mut last = vec![(0, 0); KEYS];
    for line in journal.lines() {
        let (number, at) = line.text.split_once(" at ").expect("a number and a time");
        let (number, at): (usize, u64) =
            (number.parse().expect("a number"), at.parse().expect("a number of seconds"));
        let before = std::mem::replace(&mut last[number % KEYS], (number, at));
        assert!(before <= (number, at), "{before:?} before {number} at {at}");
        assert!(before == (0, 0) || before.1 < at, "{before:?} beside {number} at {at}");
    }
    finish(&runtime).await
}
