//! The files of a store as the operating system and SQLite have them: names, locks, the log, the schema, and what can be wrong
//! with them.

pub(super) mod paths;
pub(super) mod inode;
pub(super) mod wal;
pub(super) mod open_error;
pub(super) mod displaced;
pub(super) mod cause;
pub(super) mod error;
pub(super) mod location;
pub(super) mod lock;
pub(super) mod begun;
pub(super) mod view;
pub(super) mod schema;
pub(super) mod connect;
pub(super) mod ownership;
pub(super) mod disk_space;
