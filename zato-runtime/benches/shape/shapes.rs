//! The list of shapes. A shape says what the handlers of a round do; everything that is measured reads it from here.
//!
//! The peers include this file too, so it names nothing but the standard library.

use std::time::Duration;

/// The payload of every request: 32 bytes. A target that receives it returns it at once.
pub(crate) const PLAIN: &str = "a payload of thirty-two bytes...";

/// The payload of a marked request, as long as [`PLAIN`]: its target does what the shape says first.
pub(crate) const MARKED: &str = "+ payload of thirty-two bytes...";

/// How long a handler sleeps.
pub(crate) const SLEEP: Duration = Duration::from_millis(1);

/// The wait before a second attempt.
pub(crate) const BACKOFF: Duration = Duration::from_millis(1);

/// The number of members of a group.
pub(crate) const MEMBERS: usize = 10;

/// What a target does with a marked request before it responds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    /// Nothing.
    Responds,
    /// It calls a child in the background, and the child's response goes to a callback.
    CallsInBackground,
    /// It calls a child and waits for the response.
    CallsSynchronously,
    /// It sleeps for [`SLEEP`].
    Sleeps,
    /// Its first attempt fails; after [`BACKOFF`] there is a second one, which does not.
    FailsOnce,
    /// It calls a group of [`MEMBERS`], whose responses go to a final callback all at once.
    CallsGroup,
}

/// A shape of work. A round is one call from outside, with a callback, and everything that it causes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    /// The word by which programs are asked for it.
    pub(crate) name: &'static str,
    /// Its name in tables.
    pub(crate) title: &'static str,
    pub(crate) does: Does,
    /// One request in so many is marked.
    pub(crate) one_in: usize,
    /// The number of calls from outside that are in flight at once in memory.
    pub(crate) in_flight: usize,
    /// A bar: the most that a round may take, as a multiple of bare tasks. `None` where there is none.
    pub(crate) most: Option<f64>,
}

/// All shapes, in the order of the tables.
pub(crate) const SHAPES: [Shape; 8] = [
    shape("leaf", "no handler calls", Does::Responds, 1, Some(1.0)),
    shape("1-in-10", "1 handler in 10 calls", Does::CallsInBackground, 10, Some(1.2)),
    shape("1-in-2", "1 handler in 2 calls", Does::CallsInBackground, 2, Some(1.5)),
    shape("all", "a handler that calls", Does::CallsInBackground, 1, Some(1.5)),
    shape("synchronous", "a handler that calls synchronously", Does::CallsSynchronously, 1, Some(1.2)),
    Shape { in_flight: 10_000, ..shape("sleeping", "a handler that sleeps", Does::Sleeps, 1, Some(1.3)) },
    shape("failing", "1 handler in 10 fails once", Does::FailsOnce, 10, None),
    shape("groups", "a handler that calls a group", Does::CallsGroup, 1, None),
];

const fn shape(
    name: &'static str,
    title: &'static str,
    does: Does,
    one_in: usize,
    most: Option<f64>,
) -> Shape {
    Shape { name, title, does, one_in, in_flight: 1_024, most }
}

/// Whether a request with this payload is marked.
#[inline]
pub(crate) fn is_marked(text: &str) -> bool {
    text.starts_with('+')
}

impl Shape {
    /// The shape of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        SHAPES.into_iter().find(|shape| shape.name == name)
    }

    /// The payload of the request with this number.
    #[inline]
    pub(crate) fn text(&self, number: usize) -> &'static str {
        if number.is_multiple_of(self.one_in) { MARKED } else { PLAIN }
    }

    /// The number of marked requests among the first `count`.
    pub(crate) fn marked(&self, count: usize) -> usize {
        count.div_ceil(self.one_in)
    }

    /// The number of callbacks that `count` rounds cause beside the callback of each call from outside.
    pub(crate) fn beside(&self, count: usize) -> usize {
        match self.does {
            Does::CallsInBackground | Does::CallsGroup => self.marked(count),
            _ => 0,
        }
    }

    /// The number of invocations that `count` rounds cause, groups included: as many rows are in a store that keeps them.
    pub(crate) fn invocations(&self, count: usize) -> usize {
        let each = match self.does {
            Does::CallsInBackground => 2,
            Does::CallsSynchronously => 1,
            Does::CallsGroup => MEMBERS + 2,
            Does::Responds | Does::Sleeps | Does::FailsOnce => 0,
        };
        2 * count + each * self.marked(count)
    }

    /// The number of rounds that take about as long as `count` rounds of the shape in which no handler calls.
    pub(crate) fn rounds(&self, count: usize) -> usize {
        if self.does == Does::CallsGroup { count / MEMBERS } else { count }
    }
}
