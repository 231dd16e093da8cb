//! Workers take deliveries, run attempts, and see them through to their outcome.

pub(crate) mod idle;
pub(crate) mod shutdown;
pub(crate) mod handlers;
pub(crate) mod run_queue;
pub(crate) mod record_start;
pub(crate) mod parked;
pub(crate) mod pool;
mod run;
mod take;
mod start;
