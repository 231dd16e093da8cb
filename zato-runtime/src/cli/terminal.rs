//! The terminal: its width, its colours, and what is written to it beside a progress bar.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use indicatif::ProgressBar;

/// The bar that is drawn now, if there is one. Set by [`show`] and [`clear`].
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Returns the columns of the terminal that standard output is, or `None` if it is a file or a pipe.
pub(super) fn width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let known = terminal_size::terminal_size_of(stdout).map(|(width, _)| usize::from(width.0));
    Some(known.unwrap_or(USUAL_WIDTH))
}

/// The columns of a terminal that does not know its size, such as that of a build server.
const USUAL_WIDTH: usize = 80;

/// Returns `true` if standard error is a terminal, so that somebody may be watching.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// The colours of this command line. `NO_COLOR` and `CLICOLOR_FORCE` override the rule that colours are for terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// A heading.
    Heading,
    /// Something went well.
    Good,
    /// Something failed.
    Bad,
    /// Something is under way.
    Active,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Heading => Style::new().bold(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Active => AnsiColor::Yellow.on_default(),
        }
    }

    /// Returns the text in this colour, if standard output takes colours.
    pub(super) fn on_stdout(self, text: &str) -> String {
        self.paint(text, AutoStream::choice(&io::stdout()))
    }

    fn on_stderr(self, text: &str) -> String {
        self.paint(text, AutoStream::choice(&io::stderr()))
    }

    fn paint(self, text: &str, choice: ColorChoice) -> String {
        let style = self.style();
        if choice == ColorChoice::Never { text.to_owned() } else { format!("{style}{text}{style:#}") }
    }
}

/// Returns `true` if standard error takes colours.
pub(super) fn stderr_has_colours() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// Writes a line to standard error. A reader that has gone away is not an error: there is nobody left to hear of it.
pub(super) fn say(text: &str) {
    let _ = Stderr.write_all(format!("{text}\n").as_bytes());
}

/// Writes an error to standard error, as `error: ..`.
pub(super) fn say_error(error: &str) {
    say(&format!("{} {error}", Tone::Bad.on_stderr("error:")));
}

/// Writes a warning to standard error, as `warning: ..`.
pub(super) fn say_warning(warning: &str) {
    say(&format!("{} {warning}", Tone::Active.on_stderr("warning:")));
}

/// Draws a bar, until [`clear`] removes it.
pub(super) fn show(bar: ProgressBar) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
}

/// Removes the bar.
pub(super) fn clear() {
    if let Some(bar) = BAR.lock().unwrap_or_else(PoisonError::into_inner).take() {
        bar.finish_and_clear();
    }
}

/// Runs a function that writes to the terminal, with the bar out of its way.
pub(super) fn beside_bar<T>(write: impl FnOnce() -> T) -> T {
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Standard error, with the bar out of the way of what is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        beside_bar(|| io::stderr().write(bytes))
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        beside_bar(|| io::stderr().write_all(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
