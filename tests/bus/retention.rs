//! What a durable engine forgets: so many are kept, and its file does not grow for ever.

use zato_core::{Context, Result, service};
use zato_runtime::{Filter, Runtime, Stage};

#[service(name = "retention.work")]
async fn work(_: &Context, text: String) -> Result<String> {
    if text.ends_with("77") { Err(zato_core::Failure::permanent("of no use")) } else { Ok(text) }
}

#[tokio::test]
async fn the_file_levels_off_under_constant_load() -> Result<(), zato_runtime::Error> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("zato.db");
    let runtime = Runtime::builder()
        .engine(format!("sqlite:{}", path.display()))
        .services([work::service().erased()])
        .keep_ended(500)
        .keep_dead(20)
        .start()
        .await?;
    let mut sizes = Vec::new();
    for round in 0..30_usize {
        let text = |number| format!("{}{:0>200}", "x".repeat(200), round * 200 + number);
        let answers = runtime.invoke_all((0..200_usize).map(|number| ("retention.work", text(number)))).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 2);
        sizes.push(std::fs::metadata(&path).expect("it is there").len());
    }
    let count = async |stage| {
        Ok::<_, zato_runtime::Error>(runtime.list(Filter::new().stage(stage).limit(10_000)).await?.len())
    };
    let ended = count(Stage::Ended).await?;
    assert!((500..=1_000).contains(&ended), "{ended} are kept");
    runtime.shutdown().await?;
    let size = std::fs::metadata(&path).expect("it is there").len();
    let kept_bytes = 1_000 * 1_200;
    assert!(size < 2 * kept_bytes, "{size} bytes for {ended}: {sizes:?}");
    Ok(())
}
