//! Many synchronous calls at once: each has its own result, in the order given.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use zato_core::{CallError, Context, Failure, Result, service};
use zato_runtime::{Error, Outcome, Runtime};

use crate::builder::{builder, finish};

/// Takes so many seconds and returns them; 3 fails, 5 panics.
#[service(name = "all.takes")]
async fn takes(_: &Context, seconds: u64) -> Result<u64> {
    sleep(Duration::from_secs(seconds)).await;
    match seconds {
        3 => Err(Failure::permanent("three is out")),
        5 => panic!("five"),
        _ => Ok(seconds),
    }
}

/// Calls all of them, and says what came of each, and how long it took.
#[service(name = "all.caller")]
async fn caller(ctx: &Context, how: String) -> Result<Vec<String>> {
    let began = Instant::now();
    let mut said: Vec<_> = match how.as_str() {
        "typed" => told(ctx.invoke_all(SECONDS.map(|seconds| (takes::service(), seconds))).await),
        "by name" => told(ctx.invoke_all(named()).await),
        _ => told(ctx.invoke_all(std::iter::empty::<(&str, ())>()).await),
    };
    said.push(began.elapsed().as_secs().to_string());
    Ok(said)
}

const SECONDS: [u64; 5] = [6, 1, 3, 5, 2];

/// Two of them cannot be called at all.
fn named() -> [(&'static str, &'static str); 5] {
    [
        ("zato.helpers.echo", "first"),
        ("all.taeks", "1"),
        ("all.takes", "no number"),
        ("all.takes", "2"),
        ("zato.helpers.echo", "last"),
    ]
}

fn told<T: std::fmt::Display>(answers: Vec<Result<T, CallError>>) -> Vec<String> {
    let tell = |answer: Result<T, CallError>| match answer {
        Ok(response) => response.to_string(),
        Err(CallError::Ended { outcome, .. }) => outcome.to_string(),
        Err(refused) => refused.to_string(),
    };
    answers.into_iter().map(tell).collect()
}

/// What is said begins so.
#[track_caller]
fn assert_told(said: &[String], expected: &[&str]) {
    let begins = |(said, expected): (&String, &&str)| said.starts_with(expected);
    assert!(
        said.len() == expected.len() && said.iter().zip(expected).all(begins),
        "{said:#?} instead of {expected:#?}"
    );
}

const TYPED: [&str; 5] =
    ["6", "1", "Failed: three is out", "Failed: the handler panicked: five (attempt 1 of 1", "2"];

const NAMED: [&str; 5] = [
    "first",
    "no service is named `all.taeks`: did you mean `all.takes`?",
    "Undecodable: `all.takes` cannot read its request",
    "2",
    "last",
];

async fn start(max_running: usize) -> Result<Runtime, Error> {
    let services = [takes::service().erased(), caller::service().erased()];
    builder().services(services).max_running(max_running).start().await
}

#[tokio::test(start_paused = true)]
async fn each_has_its_own_result_in_the_order_given() -> Result<(), Error> {
    // One place is enough: they run inside the attempt of their caller.
    let runtime = start(1).await?;
    let said = runtime.invoke(caller::service(), "typed").await?;
    assert_told(&said[..5], &["6", "1", "Failed: three is out", "Failed: the handler panicked: five", "2"]);
    assert_eq!(said[5], "6", "as long as the longest");
    let said = runtime.invoke(caller::service(), "by name").await?;
    assert_told(&said, &[&NAMED[..], &["2"]].concat());
    assert_eq!(runtime.invoke(caller::service(), "none").await?, ["0"]);
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn from_outside_likewise() -> Result<(), Error> {
    let runtime = start(100).await?;
    let began = Instant::now();
    let typed = runtime.invoke_all(SECONDS.map(|seconds| (takes::service(), seconds))).await;
    assert_told(&told(typed), &TYPED);
    assert_eq!(began.elapsed().as_secs(), 6, "as long as the longest");
    assert_told(&told(runtime.invoke_all(named()).await), &NAMED);
    assert!(runtime.invoke_all(std::iter::empty::<(&str, ())>()).await.is_empty());
    // Each takes its turn.
    let runtime = start(1).await?;
    let began = Instant::now();
    assert_told(&told(runtime.invoke_all([(takes::service(), 1); 4]).await), &["1"; 4]);
    assert_eq!(began.elapsed().as_secs(), 4);
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn a_thousand_come_back_in_the_order_given() -> Result<(), Error> {
    let runtime = start(10).await?;
    let numbers = (0..1_000_u64).map(|number| 7 + number * 7_919 % 1_000);
    let answers = runtime.invoke_all(numbers.clone().map(|number| (takes::service(), number))).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("it completed")).collect();
    assert_eq!(answers, numbers.collect::<Vec<_>>());
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn they_are_parts_of_their_callers_attempt() -> Result<(), Error> {
    let runtime = start(10).await?;
    let cid = runtime.invoke_async(caller::service(), "typed").await?;
    runtime.outcome(cid).await?;
    let tree = runtime.tree(cid).await?;
    assert_eq!(tree.len(), 6);
    let mut ended: Vec<_> = tree[1..].iter().filter_map(|found| found.outcome()).map(Outcome::name).collect();
    ended.sort_unstable();
    assert_eq!(ended, ["Completed", "Completed", "Completed", "Failed", "Failed"]);
    assert!(tree[1..].iter().all(|found| found.invocation.channel == "invoke" && !found.is_dead()));
    // The limit of the attempt is theirs.
    let cid = runtime.invoke_async(caller::service(), "typed").timeout(Duration::from_secs(4)).await?;
    assert_eq!(runtime.outcome(cid).await?.name(), "TimedOut");
    finish(&runtime).await
}
