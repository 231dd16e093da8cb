//! The progress of a long run: a bar on a terminal, a plain line now and then elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tokio::sync::Notify;
use tokio::time::sleep_until;
use zato_core::{Channel, Cid};

use super::lines::LineResults;
use super::terminal::{self, say};
use crate::bus::observer::Observer;
use crate::record::Ended;

/// The time between two plain lines where there is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// The time between two drawings of the bar.
const BAR_EVERY: Duration = Duration::from_millis(100);

/// The counts so far. Written by the threads in which things happen.
#[derive(Default)]
pub(super) struct Counts {
    accepted: AtomicU64,
    ended: AtomicU64,
    failed: AtomicU64,
    callbacks: AtomicU64,
    /// Woken when nothing is left of what was accepted.
    idle: Notify,
    lines: Mutex<LineResults>,
}

impl Counts {
    /// `keeps_all` is for a run whose failed lines are all reported.
    pub(super) fn new(keeps_all: bool) -> Self {
        Self { lines: Mutex::new(LineResults::new(keeps_all)), ..Self::default() }
    }

    fn live(&self) -> u64 {
        // What has ended is read first: an invocation is entered before it ends.
        let ended = self.ended.load(Ordering::SeqCst);
        self.accepted.load(Ordering::SeqCst).saturating_sub(ended)
    }

    /// Waits until nothing of what was accepted is left.
    pub(super) async fn all_ended(&self) {
        while self.live() > 0 {
            self.idle.notified().await;
        }
    }

    fn wake_if_idle(&self) {
        if self.live() == 0 {
            self.idle.notify_one();
        }
    }

    /// A line failed before it became an invocation.
    pub(super) fn refuse_line(&self, line: u64, error: &str) {
        self.failed.fetch_add(1, Ordering::SeqCst);
        self.lines().refused_line(line, error);
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }

    /// The results of the lines.
    pub(super) fn lines(&self) -> MutexGuard<'_, LineResults> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The part of the input that has been seen through, in bytes, where so many bytes have been read: a line that is
    /// read and has not ended is not done.
    fn done(&self, read: u64) -> u64 {
        let ended = u128::from(self.ended.load(Ordering::SeqCst));
        let accepted = u128::from(self.accepted.load(Ordering::SeqCst)).max(ended).max(1);
        u64::try_from(u128::from(read) * ended / accepted).unwrap_or(read)
    }
}

impl Observer for Counts {
    fn entering(&self, _: Cid, root: Cid, channel: Channel) {
        self.accepted.fetch_add(1, Ordering::SeqCst);
        if channel == Channel::InvokeAsyncCallback {
            self.callbacks.fetch_add(1, Ordering::SeqCst);
        }
        self.lines().entering(root);
    }

    fn refused(&self, _: Cid, root: Cid, channel: Channel) {
        if channel == Channel::InvokeAsyncCallback {
            self.callbacks.fetch_sub(1, Ordering::SeqCst);
        }
        self.lines().refused(root);
        // It may be reported again, where it takes another way.
        self.accepted.fetch_sub(1, Ordering::SeqCst);
        self.wake_if_idle();
    }

    fn ended(&self, ended: &Ended) {
        if !ended.outcome.is_completed() {
            self.failed.fetch_add(1, Ordering::SeqCst);
        }
        self.lines().ended_one(ended);
        self.ended.fetch_add(1, Ordering::SeqCst);
        self.wake_if_idle();
    }
}

/// Shows the counts while a run goes on.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    began: Instant,
    shown: Instant,
}

impl Progress {
    /// `length` is the size of the input in bytes, if it is known.
    pub(super) fn new(length: Option<u64>) -> Self {
        let began = Instant::now();
        let bar = terminal::is_watched().then(|| bar(length));
        if let Some(bar) = &bar {
            terminal::show(bar.clone());
        }
        Self { bar, began, shown: began }
    }

    /// Resolves when it is time to show something.
    pub(super) async fn next_show(&self) {
        let every = if self.bar.is_some() { BAR_EVERY } else { PLAIN_EVERY };
        sleep_until((self.shown + every).into()).await;
    }

    /// Shows how far the run is, where so many bytes and lines have been read.
    pub(super) fn show(&mut self, read: u64, lines: u64, counts: &Counts) {
        self.shown = Instant::now();
        let text = self.text(lines, counts);
        match &self.bar {
            Some(bar) => {
                bar.set_position(counts.done(read));
                bar.set_message(text);
            }
            None => say(&text),
        }
    }

    fn text(&self, lines: u64, counts: &Counts) -> String {
        let done = counts.lines().ended();
        format!(
            "{} of {} lines done, {} in flight, {} failed, {}/s",
            HumanCount(done),
            HumanCount(lines.max(done)),
            HumanCount(counts.live()),
            HumanCount(counts.failed()),
            HumanCount(rate(done, self.began.elapsed())),
        )
    }

    /// Removes the bar; returns the summary of the run.
    pub(super) fn finish(self, lines: u64, counts: &Counts) -> Summary {
        terminal::clear();
        Summary {
            lines,
            invocations: counts.ended.load(Ordering::SeqCst),
            callbacks: counts.callbacks.load(Ordering::SeqCst),
            failed: counts.failed(),
            took: self.began.elapsed(),
        }
    }
}

/// The results of a run.
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
        Some(length) => (ProgressBar::new(length), "{bar:20} {percent:>3}%  {msg}"),
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
    use crate::base::cid::mint;

    fn completed(cid: Cid, channel: Channel) -> Ended {
        let (service, at) = (ServiceName::linked("a"), SystemTime::UNIX_EPOCH.into());
        let invocation = Arc::new(Invocation::root(cid, service, Payload::empty(), channel));
        let outcome = Outcome::Completed(Payload::empty());
        Ended { invocation, outcome, attempts: 1, started_at: Some(at), ended_at: at, before: None }
    }

    #[test]
    fn what_is_refused_and_comes_again_is_counted_once() {
        let (counts, channel) = (Counts::default(), Channel::InvokeAsyncCallback);
        let [refused, taken] = [mint(None), mint(None)];
        counts.entering(refused, refused, channel);
        counts.refused(refused, refused, channel);
        counts.entering(taken, taken, channel);
        assert_eq!(counts.live(), 1);
        counts.ended(&completed(taken, channel));
        let summary = Progress::new(None).finish(1, &counts);
        assert_eq!((counts.live(), summary.invocations, summary.callbacks), (0, 1, 1));
    }

    #[test]
    fn a_line_that_is_read_and_has_not_ended_is_not_done() {
        let counts = Counts::default();
        let cids: Vec<_> = (0..40).map(|_| mint(None)).collect();
        for (line, &cid) in (1..).zip(&cids) {
            counts.entering(cid, cid, Channel::InvokeAsync);
            counts.lines().accepted(line, cid);
        }
        for &cid in &cids[..10] {
            counts.ended(&completed(cid, Channel::InvokeAsync));
        }
        assert_eq!(counts.done(4_000), 1_000, "a quarter of the lines has ended, though all are read");
        let text = Progress::new(None).text(40, &counts);
        assert!(text.starts_with("10 of 40 lines done, 30 in flight, 0 failed, "), "{text}");
        cids[10..].iter().for_each(|&cid| counts.ended(&completed(cid, Channel::InvokeAsync)));
        assert_eq!(counts.done(4_000), 4_000);
    }
}
