//! `run`: one asynchronous invocation for every line of a file.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use serde_json::json;
use zato_core::CallError;

use super::args;
use super::error::CliError;
use super::input::{Lines, Unread};
use super::output::Output;
use super::progress::{Counts, Progress, Summary};
use super::resources::Setup;
use super::terminal::{say, say_error};
use super::{signals, store};
use crate::runtime::handle::Runtime;

/// Runs all lines; returns whether all went well.
pub(super) async fn run(setup: Setup, run: args::Run, output: Output) -> Result<bool, CliError> {
    let (file, most) = (run.lines.clone(), setup.builder.config().max_payload);
    let lines = signals::unless_asked(move || Unread::open(&file, most)).await??;
    let lines = lines.read().map_err(CliError::NoThread)?;
    let counts = Arc::new(Counts::new(output.json));
    let runtime = store::start(setup.map(|builder| builder.observer(counts.clone()))).await?;
    let progress = Progress::new(lines.length);
    let (summary, ended) = invoke_all(&runtime, &run, lines, &counts, progress).await;
    let ended = ended.and(runtime.shutdown().await.map_err(CliError::from));
    match ended {
        // A run that never began has no summary.
        Err(error) if summary.lines == 0 => Err(error),
        ended if output.json => {
            print_value(&summary, &counts, ended.as_ref().err());
            if let Err(error) = &ended {
                // It is in the value.
                say_error(&error.to_string());
            }
            Ok(ended.is_ok() && summary.failed == 0)
        }
        ended => {
            counts.lines().listed(&file_name(&run.lines)).iter().for_each(|line| say(line));
            Output::line(&summary.to_string());
            ended.map(|()| summary.failed == 0)
        }
    }
}

fn print_value(summary: &Summary, counts: &Counts, error: Option<&CliError>) {
    let mut value = json!({
        "lines": summary.lines,
        "invocations": summary.invocations,
        "callbacks": summary.callbacks,
        "failed": summary.failed,
        "failed_lines": counts.lines().value(),
        "seconds": summary.took.as_secs_f64(),
    });
    if let Some(error) = error {
        value["error"] = error.to_string().into();
    }
    Output::value(&value);
}

/// The name of the input before the number of a line.
fn file_name(path: &Path) -> String {
    if path.as_os_str() == "-" { "stdin".to_owned() } else { path.display().to_string() }
}

/// Stops reading when the program is asked to stop, or a call is refused; what was accepted is finished.
async fn invoke_all(
    runtime: &Runtime,
    run: &args::Run,
    lines: Lines,
    counts: &Counts,
    mut progress: Progress,
) -> (Summary, Result<(), CliError>) {
    let mut reading = Reading { read: 0, lines: 0, is_asked: false };
    let read = read_all(runtime, run, lines, counts, &mut progress, &mut reading).await;
    if reading.is_asked {
        say(
            "stopping: no more lines are read, and accepted invocations may finish; ask again to stop at once",
        );
    }
    let stops = reading.is_asked || read.is_err();
    // After a request to stop the shutdown begins here, so that handlers hear of it and its limit holds.
    let mut ended = pin!(async {
        if stops {
            runtime.shutdown().await
        } else {
            tokio::select! {
                () = counts.all_ended() => Ok(()),
                drained = signals::shutdown_on_signal(runtime) => drained,
            }
        }
    });
    let ended = loop {
        tokio::select! {
            ended = &mut ended => break ended,
            () = progress.next_show() => progress.show(reading.read, reading.lines, counts),
        }
    };
    let summary = progress.finish(reading.lines, counts);
    (summary, read.and(ended.map_err(CliError::from)))
}

/// How far the input has been read.
struct Reading {
    /// In bytes.
    read: u64,
    /// In lines that were accepted, or refused for themselves.
    lines: u64,
    /// Whether the program was asked to stop meanwhile.
    is_asked: bool,
}

/// Makes an invocation of every line.
async fn read_all(
    runtime: &Runtime,
    run: &args::Run,
    mut lines: Lines,
    counts: &Counts,
    progress: &mut Progress,
    reading: &mut Reading,
) -> Result<(), CliError> {
    let mut stop = pin!(signals::asked());
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut stop => {
                reading.is_asked = true;
                return Ok(());
            }
            () = progress.next_show() => {
                progress.show(reading.read, reading.lines, counts);
                continue;
            }
            line = lines.next() => {
                let Some(line) = line.transpose()? else { return Ok(()) };
                reading.read = line.read;
                match line.request {
                    Ok(request) => run.callbacks.apply(runtime.invoke_async(&run.name, request)).into_future(),
                    Err(bytes) => {
                        let limit = runtime.shared().config.max_payload;
                        let error = CallError::TooLarge { service: run.name.clone(), bytes, limit };
                        reading.lines += 1;
                        counts.refuse_line(reading.lines, &error.to_string());
                        continue;
                    }
                }
            }
        };
        let mut accepted = pin!(accepted);
        let accepted = loop {
            tokio::select! {
                biased;
                _ = &mut stop => {
                    reading.is_asked = true;
                    return Ok(());
                }
                accepted = &mut accepted => break accepted,
                // A call waits for room as long as much is under way.
                () = progress.next_show() => progress.show(reading.read, reading.lines, counts),
            }
        };
        match accepted {
            Ok(cid) => {
                reading.lines += 1;
                counts.lines().accepted(reading.lines, cid);
            }
            // This line alone is at fault.
            Err(error @ (CallError::TooLarge { .. } | CallError::Unwritable { .. })) => {
                reading.lines += 1;
                counts.refuse_line(reading.lines, &error.to_string());
            }
            Err(error) => return Err(error.into()),
        }
    }
}
