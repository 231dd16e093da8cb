//! The targets of log lines that programs filter. They stay the same wherever the code that logs is.

pub(crate) const BUILTIN: &str = "zato_runtime::builtin";
pub(crate) const DISPATCH: &str = "zato_runtime::dispatch";
pub(crate) const RUNTIME: &str = "zato_runtime::runtime";
pub(crate) const SETTLE: &str = "zato_runtime::settle";
pub(crate) const SHUTDOWN: &str = "zato_runtime::shutdown";
pub(crate) const WATCHDOG: &str = "zato_runtime::watch";
