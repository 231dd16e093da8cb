//! The progress of a long run: a bar on a terminal, a plain line now and then elsewhere.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tokio::sync::Notify;
use tokio::time::sleep_until;
use zato_core::{Channel, Cid};

use crate::observer::Observer;
use crate::record::Ended;

/// How often a plain line is written where there is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// How often the bar is drawn.
const BAR_EVERY: Duration = Duration::from_millis(100);

/// What has happened so far. Written by the threads in which it happens.
#[derive(Default)]
pub(super) struct Counts {
    accepted: AtomicU64,
    ended: AtomicU64,
    lines_ended: AtomicU64,
    failed: AtomicU64,
    callbacks: AtomicU64,
    /// Woken when nothing is left of what was accepted.
    idle: Notify,
}

impl Counts {
    fn live(&self) -> u64 {
        // What has ended is counted first: an invocation is entered before it ends.
        let ended = self.ended.load(Ordering::SeqCst);
        self.accepted.load(Ordering::SeqCst).saturating_sub(ended)
    }

    /// Waits until nothing of what was accepted is left.
    pub(super) async fn all_ended(&self) {
        while self.live() > 0 {
            self.idle.notified().await;
        }
    }

    fn look(&self) {
        if self.live() == 0 {
            self.idle.notify_one();
        }
    }

    /// A line failed before it became an invocation.
    pub(super) fn fail(&self) {
        self.failed.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }
}

impl Observer for Counts {
    fn entering(&self, _: Cid, channel: Channel) {
        self.accepted.fetch_add(1, Ordering::SeqCst);
        if channel == Channel::InvokeAsyncCallback {
            self.callbacks.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn refused(&self, _: Cid, channel: Channel) {
        if channel == Channel::InvokeAsyncCallback {
            self.callbacks.fetch_sub(1, Ordering::SeqCst);
        }
        // It may be told of again, where it takes another way.
        self.accepted.fetch_sub(1, Ordering::SeqCst);
        self.look();
    }

    fn ended(&self, ended: &Ended) {
        if ended.invocation.parent.is_none() {
            self.lines_ended.fetch_add(1, Ordering::SeqCst);
        }
        if !ended.outcome.is_completed() {
            self.failed.fetch_add(1, Ordering::SeqCst);
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
        self.look();
    }
}

/// Shows the counts while a run goes on.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    began: Instant,
    shown: Instant,
}

impl Progress {
    /// `length` is the size of the input in bytes, where it is known.
    pub(super) fn new(length: Option<u64>) -> Self {
        let began = Instant::now();
        let bar = io::stderr().is_terminal().then(|| bar(length));
        Self { bar, began, shown: began }
    }

    /// Resolves when it is time to show something.
    pub(super) async fn next_show(&self) {
        let every = if self.bar.is_some() { BAR_EVERY } else { PLAIN_EVERY };
        sleep_until((self.shown + every).into()).await;
    }

    /// Shows how far the run is, where so many bytes have been read.
    pub(super) fn show(&mut self, read: u64, counts: &Counts) {
        self.shown = Instant::now();
        match &self.bar {
            Some(bar) => {
                bar.set_position(read);
                bar.set_message(self.text(counts));
            }
            None => eprintln!("{}", self.text(counts)),
        }
    }

    fn text(&self, counts: &Counts) -> String {
        let done = counts.lines_ended.load(Ordering::SeqCst);
        format!(
            "{} done, {} in flight, {} failed, {}/s",
            HumanCount(done),
            HumanCount(counts.live()),
            HumanCount(counts.failed()),
            HumanCount(rate(done, self.began.elapsed())),
        )
    }

    /// Takes the bar away; answers with the summary of the run.
    pub(super) fn finish(self, lines: u64, counts: &Counts) -> Summary {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        Summary {
            lines,
            invocations: counts.ended.load(Ordering::SeqCst),
            callbacks: counts.callbacks.load(Ordering::SeqCst),
            failed: counts.failed(),
            took: self.began.elapsed(),
        }
    }
}

/// What a run came to.
pub(super) struct Summary {
    pub(super) lines: u64,
    pub(super) invocations: u64,
    pub(super) callbacks: u64,
    pub(super) failed: u64,
    pub(super) took: Duration,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let several = |count: u64, what: &str| {
            format!("{} {what}{}", HumanCount(count), if count == 1 { "" } else { "s" })
        };
        write!(
            f,
            "{}: {} failed; {} in all, {} of them callbacks; in {:.1?}",
            several(self.lines, "line"),
            HumanCount(self.failed),
            several(self.invocations, "invocation"),
            HumanCount(self.callbacks),
            self.took,
        )?;
        // Below a second a rate says more about starting than about running.
        if self.took >= Duration::from_secs(1) {
            write!(f, " ({} lines/s)", HumanCount(rate(self.lines, self.took)))?;
        }
        Ok(())
    }
}

fn rate(count: u64, took: Duration) -> u64 {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1000) / millis
}

fn bar(length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (ProgressBar::new(length), "{bar:30} {percent:>3}%  {msg}"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use zato_core::{Invocation, Outcome, Payload, ServiceName};

    use super::*;
    use crate::cid::mint;

    #[test]
    fn what_is_refused_and_comes_again_is_counted_once() {
        let (counts, channel) = (Counts::default(), Channel::InvokeAsyncCallback);
        let [refused, taken] = [mint(None), mint(None)];
        counts.entering(refused, channel);
        counts.refused(refused, channel);
        counts.entering(taken, channel);
        assert_eq!(counts.live(), 1);
        let (service, at) = (ServiceName::linked("a"), SystemTime::UNIX_EPOCH.into());
        let invocation = Arc::new(Invocation::root(taken, service, Payload::empty(), channel));
        let outcome = Outcome::Completed(Payload::empty());
        let (attempts, started_at) = (1, Some(at));
        counts.ended(&Ended { invocation, outcome, attempts, started_at, ended_at: at, before: None });
        let summary = Progress::new(None).finish(1, &counts);
        assert_eq!((counts.live(), summary.invocations, summary.callbacks), (0, 1, 1));
    }
}
