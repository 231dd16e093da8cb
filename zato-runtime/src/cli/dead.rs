//! `dead`: lists dead letters, runs them again and discards them.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use serde_json::json;
use zato_core::{CallError, Cid};

use super::args::{Page, Which};
use super::error::CliError;
use super::find_cid::find_all;
use super::follow::Follow;
use super::listing::{StoreView, say_if_unknown};
use super::output::Output;
use super::resources::Setup;
use super::terminal::{say, say_error};
use super::{signals, store};
use crate::base::format::{count, escaped, grouped};
use crate::engine::ReadOnlyStore;
use crate::record::lookup::{Filter, InvocationInfo, StatusFilter};
use crate::runtime::builder::Builder;
use crate::runtime::handle::Runtime;

/// The number of dead letters that are looked up at once.
const PAGE: usize = 1_000;

/// Prints a page of dead letters.
pub(super) async fn list(builder: Builder, page: Page, output: Output) -> Result<bool, CliError> {
    let look = StoreView::open(builder, output)?;
    let filter = page.filter(&look).await?.stage(StatusFilter::Dead);
    look.list(filter, output).await?;
    Ok(true)
}

/// Runs dead letters again, and prints every outcome as it comes, and then a summary.
pub(super) async fn retry(setup: Setup, which: Which, output: Output) -> Result<bool, CliError> {
    let follow = Arc::new(Follow::new(output));
    let setup = setup.map(|builder| builder.observer(follow.clone()));
    let (runtime, store) = store::start_at_once(setup, "dead retry").await?;
    let (mut refused, mut again) = (0, 0);
    let all = async {
        for cid in which.of(&runtime, &*store).await? {
            match runtime.run_again(cid).await {
                Ok(new) => {
                    again += 1;
                    if output.json {
                        Output::value(&json!({ "cid": cid, "run_again_as": new }));
                    } else {
                        Output::line(&format!("{cid} runs again as {new}"));
                    }
                }
                Err(error) => refused += refuse(cid, &error, output),
            }
        }
        follow.open();
        follow.all_ended(&runtime).await;
        Ok::<_, CliError>(())
    };
    tokio::select! {
        all = all => {
            all?;
            runtime.shutdown().await?;
        }
        drained = signals::shutdown_on_signal(&runtime) => {
            drained?;
            follow.open();
        }
    }
    let counts = follow.counts();
    if output.json {
        Output::value(&json!({ "summary": {
            "run_again": again, "refused": refused, "invocations": counts.ended, "failed": counts.failed,
        } }));
    } else {
        let not_again =
            if refused > 0 { format!(", {} could not be", grouped(refused)) } else { String::new() };
        let (ended, failed) = (count(counts.ended, "invocation"), grouped(counts.failed));
        let again = count(again, "dead letter");
        Output::line(&format!(
            "{again} run again{not_again}: {ended} with all that followed, {failed} failed"
        ));
    }
    Ok(refused + counts.failed == 0)
}

/// Deletes dead letters, and prints a summary; asks first where all are meant.
pub(super) async fn discard(setup: Setup, which: Which, yes: bool, output: Output) -> Result<bool, CliError> {
    let (runtime, store) = store::start_at_once(setup, "dead discard").await?;
    let asks = which.all && !yes;
    let of = which.service.as_deref().map(|service| format!(" of {}", escaped(service))).unwrap_or_default();
    let (mut refused, mut discarded) = (0, 0);
    let all = async {
        let cids = which.of(&runtime, &*store).await?;
        if asks && !cids.is_empty() {
            let letters = format!("{}{of}", count(cids.len(), "dead letter"));
            if !agrees(letters).await? {
                say("nothing was discarded");
                return Ok(false);
            }
        }
        for cid in cids {
            match runtime.discard(cid).await {
                Ok(()) => {
                    discarded += 1;
                    if output.json {
                        Output::value(&json!({ "cid": cid, "discarded": true }));
                    }
                }
                Err(error) => refused += refuse(cid, &error, output),
            }
        }
        Ok::<_, CliError>(true)
    };
    let agreed = tokio::select! {
        all = all => {
            let agreed = all?;
            runtime.shutdown().await?;
            agreed
        }
        drained = signals::shutdown_on_signal(&runtime) => {
            drained?;
            discarded > 0
        }
    };
    if output.json {
        Output::value(&json!({ "summary": { "discarded": discarded, "refused": refused } }));
    } else if agreed {
        Output::line(&format!("{} discarded", count(discarded, "dead letter")));
    }
    Ok(agreed && refused == 0)
}

/// Asks on the terminal whether these dead letters are to be deleted.
///
/// # Errors
///
/// [`CliError::NeedsYes`] if standard input is not a terminal.
async fn agrees(letters: String) -> Result<bool, CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::NeedsYes { letters });
    }
    say(&format!("delete {letters} for good? Type `yes` to do it:"));
    // On a thread of its own, so that ctrl-C is heard meanwhile.
    let (send, answer) = tokio::sync::oneshot::channel();
    let read = move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        let _ = send.send(read.is_ok() && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"));
    };
    std::thread::Builder::new().spawn(read).map_err(CliError::NoThread)?;
    Ok(answer.await.unwrap_or(false))
}

/// Says why one was refused; counts as one.
fn refuse(cid: Cid, error: &CallError, output: Output) -> usize {
    let error = escaped(&error.to_string());
    if output.json {
        Output::value(&json!({ "cid": cid, "error": error }));
    }
    let named = if error.contains(&cid.to_string()) { String::new() } else { format!("{cid}: ") };
    say_error(&format!("{named}{error}"));
    1
}

impl Which {
    /// Those that were named, or all that there are, the oldest first.
    async fn of(self, runtime: &Runtime, store: &dyn ReadOnlyStore) -> Result<Vec<Cid>, CliError> {
        if !self.all {
            return find_all(self.cids, store).await;
        }
        let service = self.service.clone();
        let mut filter = Filter { service: self.service, ..Filter::dead().limit(PAGE) };
        let mut all = Vec::new();
        loop {
            let page = runtime.list(filter.clone()).await?;
            all.extend(page.iter().map(InvocationInfo::cid));
            match page.last() {
                Some(last) if page.len() == PAGE => filter.before = Some(last.cid()),
                _ => break,
            }
        }
        if all.is_empty() {
            say("no dead letter matches");
            say_if_unknown(&runtime.shared().registry, service.as_deref());
        }
        all.reverse();
        Ok(all)
    }
}
