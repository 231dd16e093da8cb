//! One invocation, and the tree around it, in words.

pub(crate) mod status;
pub(crate) mod outline;
pub(crate) mod explain;
