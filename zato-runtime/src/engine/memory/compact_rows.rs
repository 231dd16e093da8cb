//! Completed invocations with short payloads, as rows in a ring.
//!
//! Most of what ends is never asked for again. It is written once, and forgotten without being read: memory that nobody
//! has touched for long would have to come from far away, which takes longer than all else that is done for an end.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;
use zato_core::{Channel, Cid, Invocation, Kind, Moment, Outcome, Payload, ServiceName, Slot};

use crate::record::Ended;

/// What has completed by its first attempt or a later one, without anything else to say of it.
pub(super) struct Completed<'a> {
    pub(super) invocation: &'a Invocation,
    pub(super) response: &'a Payload,
    pub(super) attempts: u32,
    pub(super) started_at: Option<Moment>,
    pub(super) ended_at: Moment,
}

impl Completed<'_> {
    /// Whether there is no more to say than fits into a row.
    #[inline]
    pub(super) fn fits(&self) -> bool {
        let Self { invocation, response, .. } = self;
        let Invocation { due: None, options: None, callbacks, on_failure, payload, .. } = invocation else {
            return false;
        };
        let is_plain = invocation.labels.is_empty() && callbacks.len() <= 1 && on_failure.len() <= 1;
        is_plain && payload.len().max(response.len()) <= FEW_BYTES
    }
}

/// Up to so many bytes a request and a response each are kept here.
pub(super) const FEW_BYTES: usize = 1_024;

/// What has completed, in the order in which it did. Each has a number.
#[derive(Debug, Default)]
pub(super) struct CompactRows {
    all: VecDeque<Row>,
    /// Their requests and responses.
    texts: VecDeque<u8>,
    /// How many have gone from the front, in all: the number of the first.
    first: u64,
    /// The same of the bytes.
    first_text: u64,
}

/// One that has completed, but for its payloads.
#[derive(Debug, Clone, Copy)]
struct Row {
    cid: Cid,
    root: Cid,
    parent: Option<Cid>,
    slot: Option<Slot>,
    channel: Channel,
    service: ServiceName,
    caller: Option<ServiceName>,
    callback: Option<ServiceName>,
    on_failure: Option<ServiceName>,
    called_at: Moment,
    deadline: Option<Moment>,
    started_at: Option<Moment>,
    ended_at: Moment,
    depth: u32,
    attempts: u32,
    request: Text,
    response: Text,
    /// The number of the first byte of its payloads.
    text: u64,
}

/// The facts about a row that indexing or forgetting it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Brief {
    pub(super) cid: Cid,
    /// The invocation that it is below: its group or its parent.
    pub(super) above: Option<Cid>,
    pub(super) ended_at: Moment,
    pub(super) bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct Text {
    kind: Kind,
    len: u32,
}

impl Text {
    #[inline]
    fn of(payload: &Payload) -> Self {
        Self { kind: payload.kind(), len: u32::try_from(payload.len()).unwrap_or(u32::MAX) }
    }
}

impl Row {
    /// None where there is more to say than fits.
    #[inline]
    fn of(completed: &Completed<'_>) -> Option<Self> {
        let Completed { invocation, response, attempts, started_at, ended_at } = completed;
        completed.fits().then(|| Self {
            cid: invocation.cid,
            root: invocation.root,
            parent: invocation.parent,
            channel: invocation.channel,
            service: invocation.service,
            caller: invocation.caller,
            callback: invocation.callbacks.first().copied(),
            on_failure: invocation.on_failure.first().copied(),
            called_at: invocation.called_at,
            deadline: invocation.deadline,
            slot: invocation.slot,
            started_at: *started_at,
            ended_at: *ended_at,
            depth: invocation.depth,
            attempts: *attempts,
            request: Text::of(&invocation.payload),
            response: Text::of(response),
            text: 0,
        })
    }

    fn texts_len(&self) -> usize {
        self.request.len as usize + self.response.len as usize
    }
}

impl CompactRows {
    /// Keeps one, of `most` or about so many, and answers its number; none where there is more to say than fits.
    #[inline]
    pub(super) fn push(&mut self, completed: &Completed<'_>, most: usize) -> Option<u64> {
        let mut row = Row::of(completed)?;
        row.text = self.first_text + self.texts.len() as u64;
        for text in [completed.invocation.payload.as_bytes(), completed.response.as_bytes()] {
            if !text.is_empty() {
                self.texts.extend(text);
            }
        }
        grow(&mut self.all, most);
        self.all.push_back(row);
        Some(self.end() - 1)
    }

    /// The number that the next is given.
    pub(super) fn end(&self) -> u64 {
        self.first + self.all.len() as u64
    }

    /// The facts about one that indexing or forgetting it takes.
    #[inline]
    pub(super) fn brief(&self, number: u64) -> Option<Brief> {
        let row = self.all.get(usize::try_from(number.checked_sub(self.first)?).ok()?)?;
        let Row { cid, parent, slot, ended_at, .. } = *row;
        let above = slot.map(|slot| slot.group).or(parent);
        Some(Brief { cid, above, ended_at, bytes: row.texts_len() })
    }

    /// Forgets the first, whose number is this and whose payloads have so many bytes.
    #[inline]
    pub(super) fn pop(&mut self, number: u64, bytes: usize) {
        debug_assert_eq!(number, self.first, "they go in the order in which they came");
        if self.all.pop_front().is_some() {
            self.first += 1;
            self.first_text += bytes as u64;
            if bytes > 0 {
                drop(self.texts.drain(..bytes.min(self.texts.len())));
            }
        }
    }

    /// One that is there.
    pub(super) fn get(&self, number: u64) -> Option<Ended> {
        let row = self.all.get(usize::try_from(number.checked_sub(self.first)?).ok()?)?;
        let from = usize::try_from(row.text.checked_sub(self.first_text)?).ok()?;
        let mut texts = self.texts.range(from..from + row.texts_len()).copied();
        let mut next = |text: Text| {
            let bytes: Vec<u8> = texts.by_ref().take(text.len as usize).collect();
            Payload::from_parts(text.kind, bytes)
        };
        let (request, response) = (next(row.request)?, next(row.response)?);
        let names = |name: Option<ServiceName>| name.into_iter().collect::<SmallVec<_>>();
        let mut invocation = Invocation::root_at(row.cid, row.service, request, row.channel, row.called_at);
        invocation.root = row.root;
        invocation.parent = row.parent;
        invocation.caller = row.caller;
        invocation.depth = row.depth;
        invocation.deadline = row.deadline;
        invocation.slot = row.slot;
        invocation.callbacks = names(row.callback);
        invocation.on_failure = names(row.on_failure);
        Some(Ended {
            invocation: Arc::new(invocation),
            outcome: Outcome::Completed(response),
            attempts: row.attempts,
            started_at: row.started_at,
            ended_at: row.ended_at,
            before: None,
        })
    }
}

/// Makes room for one more; at the end for `most` and one, since a ring goes round in all the room that it has.
#[inline]
pub(super) fn grow<T>(ring: &mut VecDeque<T>, most: usize) {
    let len = ring.len();
    if len == ring.capacity() {
        ring.reserve_exact(most.saturating_sub(len).saturating_add(1).clamp(1, len.max(4)));
    }
}
