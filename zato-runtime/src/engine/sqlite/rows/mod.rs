//! How invocations are written as rows, changed, and deleted.

pub(super) mod codec;
pub(super) mod json;
pub(super) mod service_ids;
pub(super) mod unrecorded;
pub(super) mod columns;
pub(super) mod sweep_scan;
pub(super) mod key_sweep_scan;
pub(super) mod kept;
pub(super) mod row_writer;
pub(super) mod announce;
pub(super) mod end;
pub(super) mod insert;
pub(super) mod write_connection;
pub(super) mod sweep;
pub(super) mod retention;
pub(super) mod change;
