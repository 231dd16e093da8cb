//! The responses of a group's members, as the floors and the peers gather them.
//!
//! The peers include this file too.

use std::sync::{Mutex, PoisonError};

use super::shapes::MEMBERS;

/// A group with members that have not ended.
pub(crate) struct Group(Mutex<Members>);

struct Members {
    left: usize,
    /// The responses in the order of the members; empty for those that have not ended.
    responses: Vec<String>,
}

impl Group {
    /// Creates a group of which no member has ended.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Members { left: MEMBERS, responses: vec![String::new(); MEMBERS] }))
    }

    /// Adds the response of a member. Returns all responses if it is the last to end.
    pub(crate) fn add(&self, member: usize, response: String) -> Option<Vec<String>> {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.responses[member] = response;
        members.left -= 1;
        (members.left == 0).then(|| std::mem::take(&mut members.responses))
    }
}
