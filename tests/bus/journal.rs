//! What services of a test write down, and how a test waits until all of it stands there.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use zato_core::{Cid, Context};

/// Who ran, in what role.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) service: String,
    pub(crate) cid: Cid,
    pub(crate) in_reply_to: Option<Cid>,
    pub(crate) parent: Option<Cid>,
    pub(crate) root: Cid,
    pub(crate) caller: Option<String>,
    pub(crate) channel: String,
    pub(crate) attempt: u32,
    pub(crate) text: String,
}

/// A resource that services write to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal {
    lines: Arc<Mutex<Vec<Line>>>,
    more: Arc<Notify>,
}

impl Journal {
    #[expect(clippy::needless_pass_by_value, reason = "tests hand over whatever they have")]
    pub(crate) fn write(&self, ctx: &Context, text: impl ToString) {
        let line = Line {
            service: ctx.service().to_owned(),
            cid: ctx.cid(),
            in_reply_to: ctx.in_reply_to(),
            parent: ctx.parent(),
            root: ctx.root(),
            caller: ctx.caller().map(str::to_owned),
            channel: ctx.channel().to_string(),
            attempt: ctx.attempt(),
            text: text.to_string(),
        };
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        self.more.notify_one();
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The lines of one service, in the order in which they were written.
    pub(crate) fn of(&self, service: &str) -> Vec<Line> {
        self.lines().into_iter().filter(|line| line.service == service).collect()
    }

    /// Waits until there are `count` lines.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Line> {
        loop {
            let lines = self.lines();
            if lines.len() >= count {
                return lines;
            }
            self.more.notified().await;
        }
    }
}
