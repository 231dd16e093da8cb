//! What a context knows, and for how long.

use tokio::sync::oneshot;
use zato_core::{CallError, Context, Result, service};
use zato_runtime::{Error, Runtime};

use std::sync::{Arc, Mutex, PoisonError};

use crate::builder::{builder, finish};
use crate::journal::Journal;

/// Where a handler leaves its context behind.
#[derive(Clone)]
struct Left(Arc<Mutex<Option<oneshot::Sender<Context>>>>);

#[service(name = "context.leaves")]
async fn leaves(ctx: &Context, left: &Left) -> Result<()> {
    let sender = left.0.lock().expect("no one panics").take().expect("it runs once");
    sender.send(ctx.clone()).expect("the test waits");
    Ok(())
}

/// Leaves the context of a synchronous call behind, while the outer attempt goes on.
#[service(name = "context.outer")]
async fn outer(ctx: &Context, left: &Left, journal: &Journal) -> Result<()> {
    let (sender, receiver) = oneshot::channel();
    let own = left.0.lock().expect("no one panics").replace(sender);
    ctx.invoke(leaves::service(), ()).await?;
    let inner = receiver.await?;
    assert_eq!(inner.parent(), Some(ctx.cid()));
    assert_eq!(inner.caller(), Some("context.outer"));
    assert_eq!(inner.channel(), "invoke");
    assert_eq!(inner.root(), ctx.root());
    let error = inner.invoke_async("zato.ping", ()).await.unwrap_err();
    journal.write(ctx, error);
    drop(own);
    Ok(())
}

async fn start(left: Left, journal: &Journal) -> Result<Runtime, Error> {
    builder()
        .services([leaves::service().erased(), outer::service().erased()])
        .provide(left)
        .provide(journal.clone())
        .start()
        .await
}

#[tokio::test]
async fn a_context_is_over_with_its_attempt() -> Result<(), Error> {
    let (sender, receiver) = oneshot::channel();
    let runtime = start(Left(Arc::new(Mutex::new(Some(sender)))), &Journal::default()).await?;
    let cid = runtime.invoke_async(leaves::service(), ()).await?;
    runtime.outcome(cid).await?;
    let context = receiver.await.expect("the handler ran");
    let asynchronous = context.invoke_async("zato.ping", ()).await.unwrap_err();
    let synchronous = context.invoke("zato.ping", ()).await.unwrap_err();
    for error in [asynchronous, synchronous] {
        assert!(matches!(&error, CallError::Over { cid: over, .. } if *over == cid), "{error}");
        assert!(error.is_permanent());
    }
    finish(&runtime).await
}

#[tokio::test]
async fn the_context_of_a_synchronous_call_is_over_when_it_returns() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(Left(Arc::new(Mutex::new(None))), &journal).await?;
    runtime.invoke(outer::service(), ()).await?;
    assert!(
        journal.lines()[0].text.contains("has ended: await what uses the context"),
        "{}",
        journal.lines()[0].text
    );
    finish(&runtime).await
}

/// Hands its context to a task that outlives it.
#[service(name = "context.listens")]
async fn listens(ctx: &Context, tasks: &Tasks) -> Result<()> {
    let ctx = ctx.clone();
    let listening = Arc::new(tokio::sync::Notify::new());
    let listens = listening.clone();
    tasks.lock().unwrap_or_else(PoisonError::into_inner).push(tokio::spawn(async move {
        let cancelled = ctx.cancelled();
        tokio::pin!(cancelled);
        let first = std::future::poll_fn(|cx| std::task::Poll::Ready(cancelled.as_mut().poll(cx))).await;
        assert!(first.is_pending(), "the attempt runs");
        listens.notify_one();
        cancelled.await;
    }));
    listening.notified().await;
    Ok(())
}

type Tasks = Arc<Mutex<Vec<tokio::task::JoinHandle<()>>>>;

#[tokio::test]
async fn who_waits_to_be_told_is_told_when_the_attempt_is_over() -> Result<(), Error> {
    let tasks = Tasks::default();
    let runtime = builder().services([listens::service().erased()]).provide(tasks.clone()).start().await?;
    runtime.invoke(listens::service(), ()).await?;
    let waits = tasks.lock().unwrap_or_else(PoisonError::into_inner).pop().expect("a task");
    waits.await.expect("it does not panic");
    finish(&runtime).await
}
