//! A service that has got another name takes what waits under the one before, also what others wait to tell it.

use zato_core::{Context, Result, service};
use zato_runtime::{Runtime, Status, Waits};

use crate::journal::Journal;

#[service(name = "formerly.bill")]
async fn bill(_: &Context, text: String, _journal: &Journal) -> Result<String> {
    Ok(text)
}

#[service(name = "formerly.billed")]
async fn billed(_: &Context, _text: String) -> Result<()> {
    Ok(())
}

#[service(name = "formerly.invoice", formerly = ["formerly.bill"])]
async fn invoice(_: &Context, text: String) -> Result<String> {
    Ok(format!("invoice for {text}"))
}

#[service(name = "formerly.invoiced", formerly = "formerly.billed")]
async fn invoiced(ctx: &Context, text: String, journal: &Journal) -> Result<()> {
    journal.write(ctx, text);
    Ok(())
}

#[tokio::test]
async fn what_waits_under_a_former_name_is_run_under_the_new_one() -> Result<(), zato_runtime::Error> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let url = format!("sqlite:{}", directory.path().join("zato.db").display());
    let (before, after) = (Journal::default(), Journal::default());
    let runtime = Runtime::builder()
        .engine(&url)
        .services([bill::service().erased(), billed::service().erased()])
        .provide(before)
        .start()
        .await?;
    runtime.pause("formerly.bill").await?;
    let cid = runtime.invoke_async("formerly.bill", "seven").callback("formerly.billed").await?;
    runtime.shutdown().await?;

    let runtime = Runtime::builder()
        .engine(&url)
        .services([invoice::service().erased(), invoiced::service().erased()])
        .provide(after.clone())
        .start()
        .await?;
    // It was paused, and still is.
    assert!(matches!(runtime.find(cid).await?.expect("it is held").status, Status::Waiting(Waits::Resume)));
    runtime.resume("formerly.invoice").await?;
    assert_eq!(runtime.outcome(cid).await?.to_string(), "Completed: invoice for seven");
    let found = runtime.find(cid).await?.expect("it is held");
    assert_eq!(found.service(), "formerly.invoice");
    let lines = after.wait_for(1).await;
    assert_eq!((&*lines[0].service, &*lines[0].text), ("formerly.invoiced", "invoice for seven"));
    runtime.shutdown().await
}
