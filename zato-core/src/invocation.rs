//! The record that travels: one request to one service, identified by its CID.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

use smallvec::SmallVec;

use crate::{Cid, Options, Payload};

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
    /// For a callback: the CID whose outcome it carries.
    pub in_reply_to: Option<Cid>,
    /// How many invocations are above it in its tree.
    pub depth: u32,
    /// When it must have ended, if it must; inherited by what its handler invokes.
    pub deadline: Option<SystemTime>,
    /// What its call asked for; none where it asked for nothing.
    pub options: Option<Box<Options>>,
    /// The place in a group that its outcome fills, if it fills one.
    pub slot: Option<Slot>,
    /// Who receives its response.
    pub callbacks: Names,
    /// Who is told if it ends in anything but success.
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
        Self {
            cid,
            service,
            payload,
            channel,
            caller: None,
            parent: None,
            root: cid,
            in_reply_to: None,
            depth: 0,
            deadline: None,
            options: None,
            slot: None,
            callbacks: Names::new(),
            on_failure: Names::new(),
        }
    }

    /// An invocation that this one's handler makes.
    #[must_use]
    pub fn child(&self, cid: Cid, service: ServiceName, payload: Payload, channel: Channel) -> Self {
        Self {
            caller: Some(self.service.clone()),
            parent: Some(self.cid),
            root: self.root,
            depth: self.depth + 1,
            deadline: self.deadline,
            ..Self::root(cid, service, payload, channel)
        }
    }

    /// The invocation of a callback that carries this one's outcome.
    #[must_use]
    pub fn callback(&self, cid: Cid, service: ServiceName, payload: Payload) -> Self {
        Self {
            in_reply_to: Some(self.cid),
            deadline: None,
            ..self.child(cid, service, payload, Channel::InvokeAsyncCallback)
        }
    }
}

/// A service's name as it travels: free to clone where the service is linked into this program.
#[derive(Clone)]
pub enum ServiceName {
    /// The name of a linked service.
    Linked(&'static str),
    /// Any other, for example of a service that another process hosts.
    Other(Arc<str>),
}

impl ServiceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Linked(name) => name,
            Self::Other(name) => name,
        }
    }
}

impl std::ops::Deref for ServiceName {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl std::borrow::Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for ServiceName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for ServiceName {}

impl Hash for ServiceName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
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
}

impl Channel {
    /// `invoke`, `invoke-async`, `invoke-async-callback`, `parallel` or `fan-out`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invoke => "invoke",
            Self::InvokeAsync => "invoke-async",
            Self::InvokeAsyncCallback => "invoke-async-callback",
            Self::Parallel => "parallel",
            Self::FanOut => "fan-out",
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
