//! `dead`: what has ended in anything but `Completed`: listed, run again, forgotten.

use std::sync::Arc;

use serde_json::json;
use zato_core::{CallError, Cid};

use super::args::{Page, Which};
use super::error::CliError;
use super::follow::Follow;
use super::output::Output;
use super::stands::Look;
use super::{stop, store};
use crate::builder::Builder;
use crate::found::{Filter, Found, Stage};
use crate::runtime::Runtime;
use crate::words::{count, shown};

/// How many dead letters are looked up at once.
const PAGE: usize = 1_000;

/// Prints a page of dead letters.
pub(super) async fn list(builder: Builder, page: Page, output: Output) -> Result<bool, CliError> {
    let filter = page.filter().stage(Stage::Dead);
    Look::open(builder)?.list(&filter, output).await?;
    Ok(true)
}

/// Runs dead letters again, and prints every outcome as it comes.
pub(super) async fn retry(builder: Builder, which: Which, output: Output) -> Result<bool, CliError> {
    let follow = Arc::new(Follow::new(output));
    let runtime = store::start_at_once(builder.observer(follow.clone()), "dead retry").await?;
    let all = async {
        let mut refused = 0;
        for cid in which.of(&runtime).await? {
            match runtime.run_again(cid).await {
                Ok(again) if output.json => Output::value(&json!({ "cid": cid, "run_again_as": again })),
                Ok(again) => Output::line(&format!("{cid} runs again as {again}")),
                Err(error) => refused += refuse(cid, &error),
            }
        }
        follow.open();
        Ok::<_, CliError>(refused + follow.all_ended(&runtime).await.failed)
    };
    let failed = tokio::select! {
        failed = all => failed?,
        drained = stop::drained(&runtime) => return drained.map(|()| false).map_err(Into::into),
    };
    runtime.shutdown().await?;
    Ok(failed == 0)
}

/// Forgets dead letters.
pub(super) async fn discard(builder: Builder, which: Which, output: Output) -> Result<bool, CliError> {
    let runtime = store::start_at_once(builder, "dead discard").await?;
    let all = async {
        let (mut refused, mut discarded) = (0, 0);
        for cid in which.of(&runtime).await? {
            match runtime.discard(cid).await {
                Ok(()) if output.json => Output::value(&json!({ "cid": cid, "discarded": true })),
                Ok(()) => discarded += 1,
                Err(error) => refused += refuse(cid, &error),
            }
        }
        Ok::<_, CliError>((refused, discarded))
    };
    let (refused, discarded) = tokio::select! {
        all = all => all?,
        drained = stop::drained(&runtime) => return drained.map(|()| false).map_err(Into::into),
    };
    runtime.shutdown().await?;
    if !output.json {
        Output::line(&format!("{} discarded", count(discarded, "dead letter")));
    }
    Ok(refused == 0)
}

fn refuse(cid: Cid, error: &CallError) -> usize {
    let error = shown(&error.to_string());
    let named = if error.contains(&cid.to_string()) { String::new() } else { format!("{cid}: ") };
    eprintln!("error: {named}{error}");
    1
}

impl Which {
    /// Those that were named, or all that there are, the oldest first.
    async fn of(self, runtime: &Runtime) -> Result<Vec<Cid>, CliError> {
        if !self.all {
            return Ok(self.cids);
        }
        let mut filter = Filter { service: self.service, ..Filter::dead().limit(PAGE) };
        let mut all = Vec::new();
        loop {
            let page = runtime.list(filter.clone()).await?;
            all.extend(page.iter().map(Found::cid));
            match page.last() {
                Some(last) if page.len() == PAGE => filter.before = Some(last.cid()),
                _ => break,
            }
        }
        if all.is_empty() {
            eprintln!("there are no such dead letters");
        }
        all.reverse();
        Ok(all)
    }
}
