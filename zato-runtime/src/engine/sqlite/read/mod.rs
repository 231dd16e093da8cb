//! How rows are read back: one invocation, what waits for a service, and trees.

pub(super) mod queries;
pub(super) mod queue_queries;
pub(super) mod tree_queries;
pub(super) mod reader;
