//! The log of a program whose `main` is ours: the library itself installs nothing.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// A level that is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "`--log {given}`: `{part}` is no level: use off, error, warn, info, debug or trace, for some modules as in \
     `warn,my_crate=debug`"
)]
pub(super) struct LogError {
    given: String,
    part: String,
}

/// Logs to standard error, with colours only on a terminal. A program that logs already keeps its own way.
pub(super) fn install(levels: &str) -> Result<(), LogError> {
    let mut filter = Targets::new();
    for part in levels.split(',').map(str::trim) {
        let (module, level) =
            part.split_once('=').map_or((None, part), |(module, level)| (Some(module), level));
        let level: LevelFilter =
            level.parse().map_err(|_| LogError { given: levels.to_owned(), part: part.to_owned() })?;
        filter = match module {
            Some(module) => filter.with_target(module, level),
            None => filter.with_default(level),
        };
    }
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(colours);
    // A subscriber that the program installed before stays.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Ok(())
}
