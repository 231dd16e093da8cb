//! Durations as texts: every setting reads the same ones, and refuses the same ones in the same words.

use std::time::Duration;

use tokio::time::Instant;
use zato_core::{Backoff, Context, Failure, IntoDuration, Result, service};
use zato_runtime::{Builder, Error, Outcome, Runtime};

use crate::builder::{builder, finish};

/// Texts and their milliseconds.
const READ: [(&str, u64); 9] = [
    ("500ms", 500),
    ("5s", 5_000),
    ("1min", 60_000),
    ("1m30s", 90_000),
    ("1m 30s", 90_000),
    ("1.5h", 5_400_000),
    ("1 day", 86_400_000),
    ("2 weeks", 1_209_600_000),
    (" 90 seconds ", 90_000),
];

/// Texts that are not durations, with the end of what is said about them.
const REFUSED: [(&str, &str); 7] = [
    ("", "`30s` would do"),
    ("soon", "`30s` would do"),
    ("5", "`5s` would do"),
    ("30s1m", "`1m30s` would do"),
    ("1 Min", "`1m` would do"),
    ("1 month", "`30d` would do"),
    ("300000d", "`30s` would do"),
];

#[service(name = "durations.works", max_attempts = 3)]
async fn works(ctx: &Context, fails: u32) -> Result<u32> {
    if ctx.attempt() <= fails { Err(Failure::new("not yet")) } else { Ok(ctx.attempt()) }
}

async fn start() -> Result<Runtime, Error> {
    builder().services([works::service().erased()]).start().await
}

/// A setting's name, and the method that sets it.
type Setting = (&'static str, fn(Builder, &'static str) -> Builder);

/// The settings of a runtime that take a duration.
fn settings() -> [Setting; 5] {
    [
        ("keep_ended_for", |builder, text| builder.keep_ended_for(text)),
        ("keep_dead_for", |builder, text| builder.keep_dead_for(text)),
        ("keep_keys", |builder, text| builder.keep_keys(text)),
        ("drain_limit", |builder, text| builder.drain_limit(text)),
        ("cancel_grace", |builder, text| builder.cancel_grace(text)),
    ]
}

#[tokio::test]
async fn every_setting_reads_the_same_texts() -> Result<(), Error> {
    let runtime = start().await?;
    for (text, millis) in READ {
        let expected = Duration::from_millis(millis);
        assert_eq!(text.into_duration(), Ok(expected), "{text}");
        assert_eq!(text.parse(), Ok(Backoff::Fixed(expected)), "{text}");
        assert_eq!(Failure::retry_after(text).delay(), Some(expected), "{text}");
        let call = || runtime.invoke_async(works::service(), 0).backoff(text).timeout(text).expires_in(text);
        call().await?;
        let delayed = call().expires_in(Duration::MAX).delay(text).await?;
        runtime.cancel(delayed).await?;
        runtime.invoke(works::service(), 0).backoff(text).await?;
        for (setting, set) in settings() {
            let checked = set(builder().services([works::service().erased()]), text).check();
            assert!(checked.is_ok(), "{setting} {text}: {checked:?}");
        }
    }
    finish(&runtime).await
}

#[tokio::test]
async fn every_setting_refuses_the_same_texts() -> Result<(), Error> {
    let runtime = start().await?;
    for (text, ends) in REFUSED {
        let error = text.into_duration().unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{text}` ")) && error.ends_with(ends), "{error}");
        let call = || runtime.invoke_async(works::service(), 0);
        for (option, refused) in [
            ("delay", call().delay(text).await.unwrap_err()),
            ("expires_in", call().expires_in(text).await.unwrap_err()),
            ("timeout", call().timeout(text).await.unwrap_err()),
            ("backoff", call().backoff(text).await.unwrap_err()),
            ("backoff", runtime.invoke(works::service(), 0).backoff(text).await.unwrap_err()),
        ] {
            assert_eq!(refused.to_string(), format!("`.{option}(..)`: {error}"));
        }
        for (setting, set) in settings() {
            let refused = set(builder(), text).check().unwrap_err();
            assert_eq!(refused.to_string(), format!("`.{setting}(..)`: {error}"));
            let refused = set(builder(), text).start().await.unwrap_err();
            assert_eq!(refused.to_string(), format!("`.{setting}(..)`: {error}"));
        }
        let failure = Failure::retry_after(text).because("busy");
        assert!(failure.delay().is_none() && !failure.is_permanent(), "{failure}");
        let said = failure.to_string();
        assert!(said.starts_with("busy; ") && said.ends_with(&error), "{said}");
    }
    assert!(runtime.list(zato_runtime::Filter::new()).await?.is_empty(), "nothing was accepted");
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn zero_is_a_duration_except_for_a_timeout() -> Result<(), Error> {
    let runtime = start().await?;
    let call = || runtime.invoke_async(works::service(), 2);
    let began = Instant::now();
    let cid = call().delay("0s").backoff("0s").await?;
    assert!(matches!(runtime.outcome(cid).await?, Outcome::Completed(_)));
    assert_eq!(began.elapsed(), Duration::ZERO);
    for refused in
        [call().timeout("0s").await.unwrap_err(), call().timeout(Duration::ZERO).await.unwrap_err()]
    {
        let expected =
            "`.timeout(..)`: a timeout of zero ends every attempt before it begins; `30s` would do";
        assert_eq!(refused.to_string(), expected);
    }
    let zero = Backoff::Exponential { from: Duration::ZERO, to: Duration::from_mins(1) };
    for refused in [call().backoff("0s..1m").await.unwrap_err(), call().backoff(zero).await.unwrap_err()] {
        let expected = "`.backoff(..)`: `0s..1m` never grows, because twice zero is zero; `1s..1m` would do";
        assert_eq!(refused.to_string(), expected);
    }
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn a_retry_never_comes_before_the_first_bound_of_its_backoff() -> Result<(), Error> {
    let runtime = start().await?;
    let mut waits = Vec::new();
    for _ in 0..50 {
        let began = Instant::now();
        let cid = runtime.invoke_async(works::service(), 1).backoff("1s..1m").await?;
        assert!(matches!(runtime.outcome(cid).await?, Outcome::Completed(_)));
        waits.push(began.elapsed());
    }
    let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    // A millisecond is what tokio's timers are late at the most.
    let allowed = Duration::from_secs(1)..=Duration::from_millis(2_001);
    assert!(allowed.contains(least) && allowed.contains(most), "{least:?} to {most:?}");
    assert!(
        most.saturating_sub(*least) > Duration::from_millis(100),
        "the waits differ: {least:?} to {most:?}"
    );
    finish(&runtime).await
}
