//! The log of a program whose `main` is this library's. The library itself installs no subscriber.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::args::LogFormat;
use super::given::Given;
use super::terminal::{self, Stderr, say};
use crate::base::format::escaped;
use crate::base::log_target;

/// What is left out of the log by default, where no levels are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quiet {
    /// Nothing above DEBUG.
    No,
    /// The numbers of a shutdown: the command says by itself what is left.
    Shutdowns,
    /// Those, and the failures of single invocations, because the command reports them by itself.
    Failures,
}

impl Quiet {
    fn filter(self) -> Targets {
        let info = Targets::new().with_default(LevelFilter::INFO);
        match self {
            Self::No => info,
            Self::Shutdowns => info.with_target(SHUTDOWNS, LevelFilter::WARN),
            Self::Failures => {
                info.with_target(SHUTDOWNS, LevelFilter::WARN).with_target(FAILURES, LevelFilter::OFF)
            }
        }
    }
}

/// The module that logs how invocations end.
const FAILURES: &str = log_target::SETTLE;

/// The module that logs how a runtime shuts down.
const SHUTDOWNS: &str = log_target::SHUTDOWN;

/// The variable that is read if neither `--log` nor `ZATO_LOG` is set.
const RUST_LOG: &str = "RUST_LOG";

/// A level that does not exist.
#[derive(Debug, thiserror::Error)]
#[error(
    "{given}: {part} is not a level: use off, error, warn, info, debug or trace, or a level for each module, as in \
     `warn,my_crate=debug`"
)]
pub(super) struct LogError {
    /// The option or variable, with its value.
    given: String,
    /// The part of the value that is at fault, as it is shown.
    part: String,
}

/// Logs to standard error. A subscriber that the program has installed already stays.
///
/// # Errors
///
/// [`LogError`] if `--log` or `ZATO_LOG` has a level that does not exist. What is wrong in `RUST_LOG`, which other
/// libraries read too, is skipped with a note.
pub(super) fn install(levels: Option<&Given>, format: LogFormat, default: Quiet) -> Result<(), LogError> {
    let filter = match levels {
        Some(levels) => strict(levels)?,
        None => match std::env::var(RUST_LOG) {
            Ok(levels) if !levels.trim().is_empty() => lenient(&levels),
            _ => default.filter(),
        },
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Stderr)
        .with_ansi(terminal::stderr_has_colours())
        // A reader of standard error that has gone away must not make the log panic.
        .log_internal_errors(false);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.with_ansi(false).json().flatten_event(true).boxed(),
    };
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
    Ok(())
}

fn strict(levels: &Given) -> Result<Targets, LogError> {
    let mut filter = Targets::new();
    for part in levels.value.split(',').map(str::trim) {
        let (module, text) =
            part.split_once('=').map_or((None, part), |(module, level)| (Some(module), level));
        let Some(level) = level(text) else {
            let part =
                if part.is_empty() { "an empty text".to_owned() } else { format!("`{}`", escaped(part)) };
            return Err(LogError { given: levels.to_string(), part });
        };
        filter = match module {
            Some(module) => filter.with_target(module, level),
            None => filter.with_default(level),
        };
    }
    Ok(filter)
}

/// A level by its name. Numbers, which tracing takes too, are not names.
fn level(text: &str) -> Option<LevelFilter> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_alphabetic()) && !text.is_empty())
}

/// Reads levels as `env_logger` and tracing do: a module without a level is logged in full.
fn lenient(levels: &str) -> Targets {
    let mut filter = Targets::new();
    for part in levels.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.parse::<Targets>() {
            Ok(one) => {
                filter = one.iter().fold(filter, |filter, (module, level)| filter.with_target(module, level));
                if let Some(level) = one.default_level() {
                    filter = filter.with_default(level);
                }
            }
            Err(_) => say(&format!("`{RUST_LOG}`: `{part}` is not a level, and is skipped")),
        }
    }
    filter
}
