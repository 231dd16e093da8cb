//! Guards that noise does not touch: what a round costs is counted, not timed, and held against a recorded figure.

pub(crate) mod paths;
pub(crate) mod record;
