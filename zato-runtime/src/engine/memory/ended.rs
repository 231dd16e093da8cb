//! What has ended and is remembered: the last so many, with so many bytes.

use std::collections::VecDeque;

use zato_core::Cid;

/// The order in which invocations ended, and what they hold; the oldest are forgotten first.
#[derive(Debug)]
pub(super) struct Remembered {
    order: VecDeque<(Cid, usize)>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
}

impl Remembered {
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Self { order: VecDeque::new(), bytes: 0, most, most_bytes }
    }

    /// Notes one more.
    pub(super) fn push(&mut self, cid: Cid, bytes: usize) {
        self.order.push_back((cid, bytes));
        self.bytes += bytes;
    }

    /// The oldest, as long as there are too many.
    pub(super) fn pop_surplus(&mut self) -> Option<Cid> {
        if self.order.len() <= self.most && self.bytes <= self.most_bytes {
            return None;
        }
        let (cid, bytes) = self.order.pop_front()?;
        self.bytes -= bytes;
        Some(cid)
    }
}
