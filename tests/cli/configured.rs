//! A program with settings and resources for `tests/cli`. Variables of the environment say what is wrong with it.

use std::process::ExitCode;

use zato_core::{Context, Failure, Result, service};
use zato_runtime::App;

/// A resource that is there from the beginning.
#[derive(Clone)]
struct Currency(String);

/// A resource that is made on tokio.
#[derive(Clone)]
struct Rates(Vec<f64>);

#[service(name = "configured.price")]
async fn price(_: &Context, amount: f64, currency: &Currency, rates: &Rates) -> Result<String> {
    Ok(format!("{:.2} {}", amount * rates.0[0], currency.0))
}

#[service(name = "configured.fails")]
async fn fails(_: &Context, number: u32) -> Result<u32> {
    if number.is_multiple_of(2) { Ok(number) } else { Err(Failure::permanent("odd")) }
}

/// Ends once nothing else runs: `max_running` is 1, so a second one waits for it.
#[service(name = "configured.alone")]
async fn alone(ctx: &Context) -> Result<()> {
    let second = ctx.invoke_async("zato.ping", ()).await?;
    println!("{second}");
    Ok(())
}

async fn load(rate: String) -> std::result::Result<Rates, std::num::ParseFloatError> {
    // Only a tokio runtime with timers gets over this.
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    eprintln!("the rates are made");
    Ok(Rates(vec![rate.parse()?]))
}

fn main() -> ExitCode {
    let set = |name: &str| std::env::var(name).ok();
    let currency = Currency("USD".to_owned());
    let rate = set("CONFIGURED_RATE").unwrap_or_else(|| "1.5".to_owned());
    let mut app = App::new().version("7.8.9").configure(|builder| builder.max_running(1));
    if let Some(engine) = set("CONFIGURED_ENGINE") {
        app = app.configure(|builder| builder.engine(engine));
    }
    if set("CONFIGURED_WITHOUT").is_none() {
        app = app.provide(currency);
    }
    app = app.provide_with(async move || load(rate).await);
    if set("CONFIGURED_INSIDE_TOKIO").is_some() {
        let Ok(tokio) = tokio::runtime::Runtime::new() else { return ExitCode::FAILURE };
        return tokio.block_on(async { app.main() });
    }
    app.main()
}
