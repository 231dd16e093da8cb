//! Calls: what is refused before a CID exists, recursion, callbacks of callbacks, synchronous calls.

use zato_core::{CallError, Context, Failure, Payload, Result, service};
use zato_runtime::{Error, Outcome, Runtime};

use crate::builder::{builder, finish};
use crate::journal::Journal;

#[service(name = "calls.countdown")]
async fn countdown(ctx: &Context, number: u32, journal: &Journal) -> Result<u32> {
    journal.write(ctx, number);
    if number > 0 {
        ctx.invoke_async(countdown::service(), number - 1).await?;
    }
    Ok(number)
}

/// Its own callback: what it returns comes back to it, until it is small enough.
#[service(name = "calls.halving")]
async fn halving(ctx: &Context, number: u32, journal: &Journal) -> Result<u32> {
    journal.write(ctx, number);
    if number > 1 {
        ctx.invoke_async(half::service(), number).callback(halving::service()).await?;
    }
    Ok(number)
}

#[service(name = "calls.half")]
async fn half(_: &Context, number: u32) -> Result<u32> {
    Ok(number / 2)
}

#[service(name = "calls.nested")]
async fn nested(ctx: &Context, depth: u32) -> Result<u32> {
    if depth == 0 {
        return Ok(0);
    }
    Ok(ctx.invoke(nested::service(), depth - 1).await? + 1)
}

#[service(name = "calls.fails")]
async fn fails(_: &Context, permanent: bool) -> Result<()> {
    Err(if permanent { Failure::permanent("for good") } else { Failure::new("for now") })
}

/// Passes on the failure of what it invokes.
#[service(name = "calls.passes-on")]
async fn passes_on(ctx: &Context, permanent: bool) -> Result<()> {
    ctx.invoke(fails::service(), permanent).await?;
    Ok(())
}

#[service(name = "calls.refused")]
async fn refused(ctx: &Context, journal: &Journal) -> Result<()> {
    let errors = [
        ctx.invoke_async("calls.countdwn", 1).await.unwrap_err(),
        ctx.invoke_async(half::service(), 1).callback("calls.no-such").await.unwrap_err(),
        ctx.invoke_async(half::service(), 1).on_failure("nope").await.unwrap_err(),
        ctx.invoke_async(half::NAME, std::collections::BTreeMap::from([((1, 2), 3)])).await.unwrap_err(),
    ];
    for error in errors {
        journal.write(ctx, &error);
        assert!(error.is_permanent());
        assert!(Failure::from(error).is_permanent());
    }
    Ok(())
}

async fn start(journal: &Journal) -> Result<Runtime, Error> {
    builder()
        .services([
            countdown::service().erased(),
            halving::service().erased(),
            half::service().erased(),
            nested::service().erased(),
            fails::service().erased(),
            passes_on::service().erased(),
            refused::service().erased(),
        ])
        .provide(journal.clone())
        .start()
        .await
}

#[tokio::test]
async fn a_service_may_invoke_itself() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    runtime.invoke_async(countdown::service(), 100).await?;
    finish(&runtime).await?;
    let lines = journal.of(countdown::NAME);
    assert_eq!(lines.len(), 101);
    assert!(lines.iter().all(|line| line.root == lines[0].cid));
    assert!(lines.windows(2).all(|pair| pair[1].parent == Some(pair[0].cid)));
    Ok(())
}

#[tokio::test]
async fn a_service_may_be_its_own_callback() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    runtime.invoke_async(halving::service(), 64).await?;
    finish(&runtime).await?;
    let numbers: Vec<_> = journal.of(halving::NAME).into_iter().map(|line| line.text).collect();
    assert_eq!(numbers, ["64", "32", "16", "8", "4", "2", "1"]);
    Ok(())
}

#[tokio::test]
async fn a_refused_call_says_why_and_what_would_do() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    runtime.invoke(refused::service(), ()).await?;
    finish(&runtime).await?;
    let errors: Vec<_> = journal.lines().into_iter().map(|line| line.text).collect();
    assert!(errors[0].contains("no service is named `calls.countdwn`"), "{}", errors[0]);
    assert!(errors[0].contains(": did you mean `calls.countdown`?"), "{}", errors[0]);
    assert!(errors.iter().take(3).all(|error| error.contains("`use the_crate as _;`")), "{errors:?}");
    assert!(errors[1].contains("which was given as the callback"), "{}", errors[1]);
    assert!(errors[2].contains("which was given as the failure callback"), "{}", errors[2]);
    assert!(errors[3].contains("key must be a string"), "{}", errors[3]);
    Ok(())
}

#[tokio::test]
async fn synchronous_calls_nest_to_sixty_four() -> Result<(), Error> {
    let runtime = start(&Journal::default()).await?;
    assert_eq!(runtime.invoke(nested::service(), 64).await?, 64);
    let error = runtime.invoke(nested::service(), 65).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(text.matches("65th synchronous call").count(), 1, "{text}");
    assert!(text.contains("`calls.nested` -> ... -> `calls.nested` (CID "), "{text}");
    assert!(text.contains(" (65 deep) ended as Failed: "), "{text}");
    assert!(text.ends_with("call it with `invoke_async`") && text.len() < 500, "{text}");
    finish(&runtime).await
}

#[tokio::test]
async fn a_failure_keeps_its_kind_through_a_synchronous_call() -> Result<(), Error> {
    let runtime = start(&Journal::default()).await?;
    for permanent in [true, false] {
        let cid = runtime.invoke_async(passes_on::service(), permanent).await?;
        match runtime.outcome(cid).await? {
            Outcome::Failed(ending) => {
                assert_eq!(ending.permanent, permanent);
                assert!(
                    ending.error.contains(if permanent { "for good" } else { "for now" }),
                    "{}",
                    ending.error
                );
            }
            other => panic!("{other}"),
        }
    }
    finish(&runtime).await
}

#[tokio::test]
async fn a_synchronous_call_by_name_returns_the_payload() -> Result<(), Error> {
    let runtime = start(&Journal::default()).await?;
    let pong: Payload = runtime.invoke("zato.ping", ()).await?;
    assert_eq!(pong.to_string(), r#"{"pong":"zato"}"#);
    assert_eq!(pong.decode::<serde_json::Value>()?["pong"], "zato");
    let error = runtime.invoke("zato.pong", ()).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Unknown(unknown) if unknown.nearest.as_deref() == Some("zato.ping")),
        "{error}"
    );
    finish(&runtime).await
}
