//! What is not as it was promised.

use std::fmt;

/// A promise that was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) rule: Rule,
    pub(crate) text: String,
}

/// What was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// The file and the journal can be read, and are whole.
    Whole,
    /// What was acknowledged is there, and is what was asked for.
    Receipt,
    /// What was told is so.
    Told,
    /// Everything has one outcome, and all that belongs to it.
    Outcome,
    /// Its outcome is one that it can have.
    Allowed,
    /// Nothing starts before it is due, or is ended for its age before it has it.
    Times,
    /// Nothing exists that no one asked for.
    Asked,
    /// What was asked for once exists once, also where a handler was run again.
    Once,
    /// Every outcome has its callbacks, each once, and they carry it.
    Callbacks,
    /// A group ends when its members have, with their outcomes; a chain with its last step.
    Groups,
    /// What has the same concurrency key runs one at a time, in order.
    Lanes,
    /// Attempts are made of what is there, and counted.
    Attempts,
    /// After the first death only one of a handler that has begun counts, and nothing ends as `Lost` that has not begun.
    Losses,
    /// A program runs the services that it hosts, and no other.
    Hosted,
    /// Nothing starts of a service that is paused, in this life or a later one, and the store says that it is.
    Paused,
    /// A service that runs one at a time runs the highest priority first, and then what was called first.
    Ranked,
    /// A death after the begin of a shutdown was recorded is no loss; any other is counted once, for what was recorded as
    /// running.
    Deaths,
    /// Every invocation has its place in its tree.
    Trees,
}

impl Fault {
    pub(crate) fn new(rule: Rule, text: impl Into<String>) -> Self {
        Self { rule, text: text.into() }
    }

    /// As it was after this life.
    pub(super) fn after(self, life: u32) -> Self {
        Self { text: format!("after life {life}: {}", self.text), ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.text)
    }
}
