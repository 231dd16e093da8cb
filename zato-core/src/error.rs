//! The errors of calls.

use std::error::Error;
use std::fmt;

use crate::call_path;
use crate::{Cid, DecodeError, MAX_NAME, OptionError, Outcome, WriteError};

/// The error of a call: the reason why `invoke_async` accepted nothing, or why `invoke` returned no response.
///
/// By `?` it becomes a [`Failure`](crate::Failure) that keeps whether it is permanent.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No service of that name is known. Nothing was accepted.
    #[error(transparent)]
    Unknown(#[from] UnknownService),
    /// The payload cannot be written. Nothing was accepted.
    #[error("the payload for `{service}` was not sent: {source}")]
    Unwritable {
        /// The target's name.
        service: String,
        /// The error of serde.
        source: WriteError,
    },
    /// The payload is larger than `max_payload`. Nothing was accepted.
    #[error(
        "the payload for `{service}` is {bytes} bytes, above the limit of {limit} bytes: send a reference to the \
         data, or raise `max_payload`"
    )]
    TooLarge {
        /// The target's name.
        service: String,
        /// The payload's size in bytes.
        bytes: usize,
        /// `max_payload` in bytes.
        limit: usize,
    },
    /// The causal tree is `max_depth` deep already. Nothing was accepted.
    #[error(
        "`{service}` would be {depth} invocations below the root of its tree, above the limit of {limit}: \
         if this is intended, start a new tree with `.new_root()`, or raise `max_depth`"
    )]
    TooDeep {
        /// The target's name.
        service: String,
        /// The depth that the call asked for.
        depth: u32,
        /// `max_depth`.
        limit: u32,
    },
    /// Synchronous calls are nested too deeply. Nothing was run.
    #[error(
        "`{service}` would be the {level}th synchronous call inside another, above the limit of {limit}: \
         call it with `invoke_async`"
    )]
    TooNested {
        /// The target's name.
        service: String,
        /// The level that the call asked for.
        level: u32,
        /// The deepest level that is allowed.
        limit: u32,
    },
    /// An option of the call makes no sense. Nothing was accepted.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// The call would start after its deadline, or after the one that it inherits. Nothing was accepted.
    #[error(
        "`{service}` would not start before {}",
        if *is_inherited {
            "the deadline that it inherits from its caller: call it earlier, or start a new tree, without that \
             deadline, with `.new_root()`"
        } else {
            "its own deadline: let it start earlier, or set a later `.deadline(..)`"
        }
    )]
    DueAfterDeadline {
        /// The target's name.
        service: String,
        /// `true` if the deadline is inherited from the caller.
        is_inherited: bool,
    },
    /// A group has more members than may ever wait. Nothing was accepted.
    #[error(
        "a group of {members} members is above the limit of {limit}, which is half of `max_waiting`: raise \
         `max_waiting`, or make smaller groups"
    )]
    TooMany {
        /// The number of members of the group.
        members: usize,
        /// The largest number of members.
        limit: usize,
    },
    /// The CID of the call is already in use. Nothing was accepted.
    #[error("the CID `{0}` is already in use: give a new one, or leave out `.cid(..)`")]
    CidTaken(Cid),
    /// Another call was made under the same idempotency key. Nothing was accepted.
    #[error(
        "another call of `{service}`, CID `{first}`, has this idempotency key, but another payload or other callbacks: \
         use another key for another call"
    )]
    KeyConflict {
        /// The target's name.
        service: String,
        /// The CID of the first call under the key.
        first: Cid,
    },
    /// The attempt that this context belongs to is over. Nothing was accepted.
    #[error(
        "the attempt of `{service}` (CID {cid}) that this context belongs to has ended: await what uses the context \
         before the handler returns"
    )]
    Over {
        /// The service whose context it is.
        service: String,
        /// The CID of the invocation.
        cid: Cid,
    },
    /// The engine holds as much waiting work as it may. Nothing was accepted; try again later.
    #[error(
        "the engine is full ({waiting} invocations wait, {bytes} bytes): try again later, or raise `max_waiting` \
         and `max_waiting_bytes`"
    )]
    Full {
        /// The number of waiting invocations.
        waiting: usize,
        /// The bytes of their payloads.
        bytes: usize,
    },
    /// The engine's store could not be written or read, and it is unknown whether the call has been recorded: it may be found
    /// under its CID later. The same call made again may run twice, unless it has a CID or an idempotency key.
    #[error("{}: {error}", unknown(*cid))]
    Store {
        /// The CID of the invocation that may have been recorded: for a call, the one that it would have returned.
        cid: Option<Cid>,
        /// The fault of the store, and the cure.
        error: String,
    },
    /// The engine's store cannot be written or read at present. Nothing was accepted or changed: the call can be made again.
    #[error("nothing has been recorded, because the store has failed: {error}")]
    Unavailable {
        /// The fault of the store, and the cure.
        error: String,
    },
    /// The runtime is shutting down, or has been shut down, and takes nothing from outside. Nothing was accepted.
    #[error(
        "the runtime is shutting down, or has been shut down, and accepts no more calls: make the call again after the \
         next start"
    )]
    ShuttingDown,
    /// The tokio runtime that the bus was started on has ended, and the bus with it. Nothing was accepted.
    #[error(
        "the tokio runtime that this bus was started on has ended, and the bus with it: start one bus in each tokio \
         runtime, for example in each test, and shut it down before that runtime ends"
    )]
    TokioEnded,
    /// The bus ended while a synchronous call from outside waited for its target. It is not made again.
    #[error(
        "the bus ended before `{service}` (CID {cid}) did, so there is no response: make the call again after the next \
         start"
    )]
    Interrupted {
        /// The target's name.
        service: String,
        /// The CID that the call ran under.
        cid: Cid,
    },
    /// The invocation that was to be cancelled is not held.
    #[error(
        "the engine has no invocation with the CID `{0}`: it was never accepted, it was discarded, or it ended so long \
         ago that retention has deleted it"
    )]
    NotHeld(Cid),
    /// The invocation cannot be run again or discarded. Nothing was changed.
    #[error("{cid} is not a dead letter that can be run again or discarded: {why}")]
    NotDead {
        /// The CID.
        cid: Cid,
        /// The reason.
        why: String,
    },
    /// The target of a synchronous call ended in anything but `Completed`.
    #[error("{}", call_path::describe(service, *cid, outcome.name(), outcome.error().unwrap_or_default()))]
    Ended {
        /// The target's name.
        service: String,
        /// The CID that the call ran under.
        cid: Cid,
        /// The outcome.
        outcome: Outcome,
    },
    /// The response of a synchronous call is not what the caller's type says.
    #[error("the response of `{service}` cannot be read: {source}")]
    Unreadable {
        /// The target's name.
        service: String,
        /// The fault, and its place in the value.
        source: DecodeError,
    },
}

impl CallError {
    /// Returns `true` if the same call made again would be refused again.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Full { .. }
            | Self::Store { .. }
            | Self::Unavailable { .. }
            | Self::ShuttingDown
            | Self::Interrupted { .. } => false,
            Self::Ended { outcome, .. } => outcome.ending().is_some_and(|ending| ending.permanent),
            _ => true,
        }
    }

    /// The failure's code, where a synchronous call ended in a failure to which its handler gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Ended { outcome, .. } => outcome.code(),
            _ => None,
        }
    }
}

/// Says what is unknown after the store has failed.
fn unknown(cid: Option<Cid>) -> String {
    match cid {
        Some(cid) => format!("whether {cid} has been recorded is unknown, because the store has failed"),
        None => "whether the change has been recorded is unknown, because the store has failed".to_owned(),
    }
}

/// `main` and `unwrap` show this text with its cure, not the fields.
impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A name that no linked service has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownService {
    /// The use of the name: `target`, `callback` or `failure callback`.
    pub role: &'static str,
    /// The name that was asked for.
    pub name: String,
    /// The linked name that is most like it.
    pub nearest: Option<String>,
    /// Linked names that are nearly as like it as the nearest.
    pub also_near: Box<[String]>,
    /// The user's names that are linked, in order; empty if there are more than a screenful of them.
    pub linked: Vec<String>,
    /// The number of the user's services that are linked.
    pub linked_count: usize,
    /// `true` if the service is linked, but `.services([..])` does not name it.
    pub is_left_out: bool,
}

impl UnknownService {
    /// An error for a name that no service has. `nearest` are the names to suggest, the best first; `linked` are the
    /// user's names to list, of `linked_count`.
    pub fn new(
        role: &'static str,
        name: &str,
        nearest: &[&str],
        linked: Vec<String>,
        linked_count: usize,
    ) -> Self {
        let mut nearest = nearest.iter().map(|&name| name.to_owned());
        let best = nearest.next();
        let also_near = nearest.collect();
        let name = name.to_owned();
        Self { role, name, nearest: best, also_near, linked, linked_count, is_left_out: false }
    }

    /// The same error for a service that is linked, but that `.services([..])` leaves out.
    #[must_use]
    pub fn left_out(self, is_left_out: bool) -> Self {
        Self { is_left_out, ..self }
    }
}

impl fmt::Display for UnknownService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            return write!(f, "the name of the {} is empty", self.role);
        }
        // It came from outside: it is shown, and not obeyed.
        let name: String = self.name.chars().take(MAX_NAME).flat_map(char::escape_debug).collect();
        let more = if self.name.chars().nth(MAX_NAME).is_some() { "..." } else { "" };
        write!(f, "no service is named `{name}{more}`")?;
        if self.role != "target" && self.role != "service" {
            write!(f, ", which was given as the {}", self.role)?;
        }
        if self.is_left_out {
            return f.write_str(" in this runtime: it is linked, but `.services([..])` does not name it");
        }
        if let Some(nearest) = &self.nearest {
            write!(f, ": did you mean `{nearest}`")?;
            self.also_near.iter().try_for_each(|name| write!(f, " or `{name}`"))?;
            f.write_str("?")?;
        }
        match (self.linked_count, &*self.linked) {
            (0, _) => f.write_str("\n  linked: none of your services")?,
            (count, []) => write!(f, "\n  linked: {count} of your services")?,
            (_, linked) => write!(f, "\n  linked: {}", linked.join(", "))?,
        }
        f.write_str("\n  a crate of services is linked only if the program names it: `use the_crate as _;`")
    }
}

impl Error for UnknownService {}
