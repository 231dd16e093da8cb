//! `run`: one asynchronous invocation for every line of a file.

use std::pin::pin;
use std::sync::Arc;

use serde_json::json;
use zato_core::CallError;

use super::args;
use super::error::CliError;
use super::input::Lines;
use super::output::Output;
use super::progress::{Counts, Progress, Summary};
use super::{stop, store};
use crate::builder::Builder;
use crate::runtime::Runtime;

/// Runs all lines; answers whether all went well.
pub(super) async fn run(builder: Builder, run: args::Run, output: Output) -> Result<bool, CliError> {
    let lines = Lines::open(&run.lines)?;
    let counts = Arc::new(Counts::default());
    let runtime = store::start(builder.observer(counts.clone())).await?;
    let progress = Progress::new(lines.length);
    let summary = invoke_all(&runtime, &run, lines, &counts, progress).await;
    runtime.shutdown().await?;
    let summary = summary?;
    if output.json {
        Output::value(&json!({
            "lines": summary.lines,
            "invocations": summary.invocations,
            "callbacks": summary.callbacks,
            "failed": summary.failed,
            "seconds": summary.took.as_secs_f64(),
        }));
    } else {
        Output::line(&summary.to_string());
    }
    Ok(summary.failed == 0)
}

/// Stops reading when the program is asked to stop; what was accepted is finished.
async fn invoke_all(
    runtime: &Runtime,
    run: &args::Run,
    mut lines: Lines,
    counts: &Counts,
    mut progress: Progress,
) -> Result<Summary, CliError> {
    let mut stop = Box::pin(stop::asked());
    let (mut count, mut read, mut is_asked) = (0, 0, false);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => {
                is_asked = true;
                break;
            }
            () = progress.next_show() => {
                progress.show(read, counts);
                continue;
            }
            line = lines.next() => {
                let Some(line) = line.transpose()? else { break };
                read = line.read;
                count += 1;
                run.callbacks.apply(runtime.invoke_async(&run.name, line.request)).into_future()
            }
        };
        let accepted = tokio::select! {
            biased;
            () = &mut stop => {
                is_asked = true;
                count -= 1;
                break;
            }
            accepted = accepted => accepted,
        };
        match accepted {
            Ok(_) => {}
            // The fault of this line alone.
            Err(error @ (CallError::TooLarge { .. } | CallError::Unwritable { .. })) => {
                eprintln!("line {count}: {error}");
                counts.fail();
            }
            Err(error) => return Err(error.into()),
        }
    }
    if is_asked {
        eprintln!(
            "asked to stop: no more lines are read, what was accepted is finished; once more stops at once"
        );
    }
    // Asked to stop, the runtime is shut down here: handlers are told, and its limit holds.
    let mut ended = pin!(async {
        if is_asked {
            runtime.shutdown().await
        } else {
            tokio::select! {
                () = counts.all_ended() => Ok(()),
                drained = stop::drained(runtime) => drained,
            }
        }
    });
    loop {
        tokio::select! {
            ended = &mut ended => break ended?,
            () = progress.next_show() => progress.show(read, counts),
        }
    }
    Ok(progress.finish(count, counts))
}
