//! Paused services: nothing of them starts, and everything else goes on.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use zato_core::{CallError, Context, Failure, Result, service};
use zato_runtime::{Error, Outcome, Runtime, Status, WaitReason};

use crate::builder::{builder, finish, is_durable};
use crate::journal::Journal;

/// When the test began.
#[derive(Clone, Copy)]
struct Began(Instant);

/// Takes so many seconds; at its first attempt 7 fails.
#[service(name = "pause.works", max_attempts = 2, backoff = "1s")]
async fn works(ctx: &Context, seconds: u64, journal: &Journal, began: &Began) -> Result<String> {
    journal.write(ctx, format!("{seconds} at {}", began.0.elapsed().as_secs()));
    sleep(Duration::from_secs(seconds)).await;
    if seconds == 7 && ctx.attempt() == 1 { Err(Failure::new("again")) } else { Ok("worked".to_owned()) }
}

#[service(name = "pause.hears")]
async fn hears(ctx: &Context, text: String, journal: &Journal, began: &Began) -> Result<()> {
    journal.write(ctx, format!("{text} at {}", began.0.elapsed().as_secs()));
    Ok(())
}

async fn start(journal: &Journal) -> Result<Runtime, Error> {
    builder()
        .services([works::service().erased(), hears::service().erased()])
        .provide(journal.clone())
        .provide(Began(Instant::now()))
        .drain_limit(Duration::MAX)
        .start()
        .await
}

fn texts(journal: &Journal) -> Vec<String> {
    journal.lines().into_iter().map(|line| line.text).collect()
}

#[tokio::test(start_paused = true)]
async fn calls_are_accepted_and_start_in_their_order_when_it_is_resumed() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    // Twice is once.
    runtime.pause(works::NAME).await?;
    runtime.pause("pause.works").await?;
    let first = runtime.invoke_async(works::service(), 1).await?;
    runtime.invoke_async(works::service(), 2).await?;
    runtime.invoke_async(works::service(), 3).delay(Duration::from_secs(5)).await?;
    runtime.invoke_async(works::service(), 4).priority(1).await?;
    sleep(Duration::from_secs(10)).await;
    let found = runtime.find(first).await?.expect("it is held");
    assert!(matches!(found.status, Status::Waiting(WaitReason::Resume)), "{:?}", found.status);
    let page = runtime.explain(first).await?.to_string();
    assert!(page.contains("paused: pause.works starts nothing until it is resumed"), "{page}");
    assert!(page.contains("`resume(\"pause.works\")` lets it start"), "{page}");
    assert!(journal.lines().is_empty());
    runtime.resume(works::NAME).await?;
    runtime.resume(works::NAME).await?;
    finish(&runtime).await?;
    assert_eq!(texts(&journal), ["4 at 10", "1 at 10", "2 at 10", "3 at 10"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_runs_goes_on_and_tells_others() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let cid = runtime.invoke_async(works::service(), 5).callback(hears::service()).await?;
    journal.wait_for(1).await;
    runtime.pause(works::NAME).await?;
    assert_eq!(runtime.outcome(cid).await?.to_string(), "Completed: worked");
    finish(&runtime).await?;
    assert_eq!(texts(&journal), ["5 at 0", "worked at 5"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_retry_and_a_callback_wait_as_well() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let retried = runtime.invoke_async(works::service(), 7).await?;
    let called_back = runtime.invoke_async(works::service(), 1).callback(hears::service()).await?;
    journal.wait_for(2).await;
    runtime.pause(works::NAME).await?;
    runtime.pause(hears::NAME).await?;
    assert!(runtime.outcome(called_back).await?.is_completed());
    sleep(Duration::from_secs(20)).await;
    let found = runtime.find(retried).await?.expect("it is held");
    assert!(matches!(found.status, Status::Waiting(WaitReason::Resume)), "{:?}", found.status);
    assert_eq!(found.attempts, 1);
    assert_eq!(journal.lines().len(), 2);
    runtime.resume(hears::NAME).await?;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(texts(&journal)[2..], ["worked at 21"]);
    runtime.resume(works::NAME).await?;
    finish(&runtime).await?;
    assert_eq!(texts(&journal)[3..], ["7 at 22"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn it_holds_up_no_other_service() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    runtime.pause(works::NAME).await?;
    for _ in 0..100 {
        runtime.invoke_async(works::service(), 1).priority(127).await?;
    }
    runtime.invoke(hears::service(), "through").await?;
    assert_eq!(texts(&journal), ["through at 0"]);
    // A synchronous call from outside takes its turn as every other does.
    let waits =
        tokio::time::timeout(Duration::from_hours(1), runtime.invoke(works::service(), 1).into_future());
    assert!(waits.await.is_err());
    runtime.resume(works::NAME).await?;
    finish(&runtime).await?;
    assert_eq!(journal.of(works::NAME).len(), 101, "who no longer waits for it has called it nonetheless");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_name_that_no_service_has_is_an_error_with_the_nearest() -> Result<(), Error> {
    let runtime = start(&Journal::default()).await?;
    for error in [runtime.pause("pause.wroks").await, runtime.resume("pause.wroks".to_owned()).await] {
        let error = error.unwrap_err();
        assert!(matches!(error, CallError::Unknown(_)));
        let text = error.to_string();
        assert!(text.starts_with("no service is named `pause.wroks`: did you mean `pause.works`?"), "{text}");
    }
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_what_is_paused() -> Result<(), Error> {
    if is_durable() {
        // It waits for nothing that waits.
        return Ok(());
    }
    // Paused before the shutdown begins, and while it waits.
    for paused_later in [false, true] {
        let journal = Journal::default();
        let runtime = start(&journal).await?;
        let running = runtime.invoke_async(works::service(), 3).await?;
        journal.wait_for(1).await;
        if !paused_later {
            runtime.pause(works::NAME).await?;
        }
        let delay = Duration::from_secs(if paused_later { 60 } else { 0 });
        let waits = runtime.invoke_async(works::service(), 1).delay(delay).on_failure(hears::NAME).await?;
        let (told, shutdown, paused) =
            tokio::join!(runtime.outcome(waits), timed(runtime.shutdown()), async {
                sleep(Duration::from_secs(10)).await;
                runtime.pause(works::NAME).await
            });
        paused?;
        let expected = if paused_later { 10 } else { 3 };
        assert_eq!(shutdown, expected, "paused later: {paused_later}");
        assert!(runtime.outcome(running).await?.is_completed(), "what runs is waited for");
        let told = told?;
        assert!(matches!(&told, Outcome::Cancelled(_)), "{told}");
        let ran: Vec<_> = journal.lines().into_iter().map(|line| line.service).collect();
        assert_eq!(ran, [works::NAME, hears::NAME], "nothing else ran but its failure callback");
    }
    Ok(())
}

/// How many seconds it takes.
async fn timed<T>(future: impl Future<Output = T>) -> u64 {
    let began = Instant::now();
    future.await;
    began.elapsed().as_secs()
}
