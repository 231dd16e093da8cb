//! One attempt of an invocation: its limits, its run, and what follows from its result.

pub(crate) mod retry;
pub(crate) mod cancellation;
pub(crate) mod watchdog;
pub(crate) mod limits;
pub(crate) mod dispatch;
pub(crate) mod timed;
