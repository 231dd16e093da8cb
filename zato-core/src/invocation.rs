//! The record that travels: one request to one service, identified by its CID.

use std::fmt;

use smallvec::SmallVec;

use crate::{Cid, Labels, Moment, Options, Payload, ServiceName};

/// One request to one service. Made by intake (and, for callbacks, by settle), never changed afterwards.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Invocation {
    /// The CID, which the target runs under.
    pub cid: Cid,
    /// The target.
    pub service: ServiceName,
    /// The request.
    pub payload: Payload,
    /// How it was made.
    pub channel: Channel,
    /// The service whose handler made it; none when it came from outside.
    pub caller: Option<ServiceName>,
    /// The CID whose handler made it; for a callback, the CID whose outcome it carries.
    pub parent: Option<Cid>,
    /// The first CID of its causal tree.
    pub root: Cid,
    /// When it was called; for a callback, when what it answers had ended.
    pub called_at: Moment,
    /// When it may start, if not at once.
    pub due: Option<Moment>,
    /// How many invocations are above it in its tree.
    pub depth: u32,
    /// When it must have ended, if it must; inherited by what its handler invokes.
    pub deadline: Option<Moment>,
    /// What its call asked for; none where it asked for nothing.
    pub options: Option<Box<Options>>,
    /// The labels that its call attached, and those of the invocation whose handler made it.
    pub labels: Labels,
    /// The place in a group that its outcome fills, if it fills one.
    pub slot: Option<Slot>,
    /// The callbacks of its response; for a step of a chain, the steps after it.
    pub callbacks: Names,
    /// The callbacks of its failure.
    pub on_failure: Names,
}

/// One place in a group: a fan-out's members fill one each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The group's CID.
    pub group: Cid,
    /// The place, from 0.
    pub index: u32,
}

/// Names of services; one needs no allocation.
pub type Names = SmallVec<[ServiceName; 1]>;

impl Invocation {
    /// An invocation from outside: the root of a tree, without callbacks.
    pub fn root(cid: Cid, service: ServiceName, payload: Payload, channel: Channel) -> Self {
        Self::root_at(cid, service, payload, channel, cid.created_at().into())
    }

    /// The same where it is known when it was called.
    #[inline]
    pub fn root_at(
        cid: Cid,
        service: ServiceName,
        payload: Payload,
        channel: Channel,
        called_at: Moment,
    ) -> Self {
        Self {
            cid,
            service,
            payload,
            channel,
            caller: None,
            parent: None,
            root: cid,
            called_at,
            due: None,
            depth: 0,
            deadline: None,
            options: None,
            labels: Labels::default(),
            slot: None,
            callbacks: Names::new(),
            on_failure: Names::new(),
        }
    }

    /// For a callback: the CID whose outcome it carries.
    #[inline]
    pub fn in_reply_to(&self) -> Option<Cid> {
        self.parent.filter(|_| self.channel == Channel::InvokeAsyncCallback)
    }

    /// Returns `true` for a final callback, whose payload is the rows of a group and contains responses two levels deep.
    pub(crate) fn carries_rows(&self) -> bool {
        let groups = [Channel::Parallel, Channel::FanOut].map(Channel::group_name);
        self.channel == Channel::InvokeAsyncCallback
            && self.caller.is_some_and(|caller| groups.contains(&Some(caller.as_str())))
    }

    /// The dead letter that it runs again.
    #[inline]
    pub fn again_of(&self) -> Option<Cid> {
        self.options.as_deref()?.again_of
    }

    /// Returns `true` if it runs a dead letter again that is a root, and so has no parent to be a child of: it becomes a child of the
    /// dead letter.
    pub fn stands_below_what_it_runs_again(&self) -> bool {
        self.again_of().is_some() && self.parent.is_none() && self.slot.is_none()
    }

    /// An invocation that this one's handler makes.
    #[must_use]
    pub fn child(&self, cid: Cid, service: ServiceName, payload: Payload, channel: Channel) -> Self {
        self.child_at(cid, service, payload, channel, cid.created_at().into())
    }

    /// The same where it is known when it was called.
    #[inline]
    #[must_use]
    pub fn child_at(
        &self,
        cid: Cid,
        service: ServiceName,
        payload: Payload,
        channel: Channel,
        called_at: Moment,
    ) -> Self {
        Self {
            caller: Some(self.service),
            parent: Some(self.cid),
            root: self.root,
            depth: self.depth + 1,
            deadline: self.deadline,
            labels: self.labels.clone(),
            ..Self::root_at(cid, service, payload, channel, called_at)
        }
    }

    /// The step of a chain that takes this one's response; this one is the step before it.
    #[must_use]
    pub fn next_step(&self, cid: Cid, payload: Payload, called_at: Moment) -> Option<Self> {
        let (service, rest) = self.callbacks.split_first()?;
        Some(Self {
            cid,
            service: *service,
            payload,
            called_at,
            callbacks: rest.iter().copied().collect(),
            ..self.clone()
        })
    }

    /// The same invocation made again, after it has ended: in the same tree, with the callbacks and options of the
    /// first, but for its times and its idempotency key.
    #[must_use]
    pub fn again(&self, cid: Cid, called_at: Moment) -> Self {
        let mut options = self.options.as_deref().map(Options::without_times).unwrap_or_default();
        (options.idempotency_key, options.again_of) = (None, Some(self.cid));
        let options = Some(Box::new(options));
        Self { cid, called_at, due: None, deadline: None, options, slot: None, ..self.clone() }
    }

    /// The invocation of a callback that carries this one's outcome.
    #[must_use]
    #[inline]
    pub fn callback(&self, cid: Cid, service: ServiceName, payload: Payload, called_at: Moment) -> Self {
        let channel = Channel::InvokeAsyncCallback;
        Self { deadline: None, ..self.child_at(cid, service, payload, channel, called_at) }
    }
}

/// How an invocation was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Channel {
    /// Synchronously: somebody waits for the response.
    Invoke,
    /// Asynchronously, by `invoke_async`.
    InvokeAsync,
    /// By the bus, to deliver the outcome of another invocation.
    InvokeAsyncCallback,
    /// A group of asynchronous invocations, by `parallel`; it is not run itself.
    Parallel,
    /// A group of asynchronous invocations, by `fan_out`; it is not run itself.
    FanOut,
    /// Invocations one after the other, by `chain`; it is not run itself.
    Chain,
    /// By the bus, as a step of a chain.
    ChainStep,
}

impl Channel {
    /// `invoke`, `invoke-async`, `invoke-async-callback`, `parallel`, `fan-out`, `chain` or `chain-step`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invoke => "invoke",
            Self::InvokeAsync => "invoke-async",
            Self::InvokeAsyncCallback => "invoke-async-callback",
            Self::Parallel => "parallel",
            Self::FanOut => "fan-out",
            Self::Chain => "chain",
            Self::ChainStep => "chain-step",
        }
    }
}

impl Channel {
    /// The name that a group which was made this way has in the place of a service's. It is reserved, so no service has it.
    #[doc(hidden)]
    pub fn group_name(self) -> Option<&'static str> {
        match self {
            Self::Parallel => Some("zato.parallel"),
            Self::FanOut => Some("zato.fan-out"),
            Self::Chain => Some("zato.chain"),
            Self::Invoke | Self::InvokeAsync | Self::InvokeAsyncCallback | Self::ChainStep => None,
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl PartialEq<str> for Channel {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Channel {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}
