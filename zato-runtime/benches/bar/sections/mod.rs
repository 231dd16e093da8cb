//! What is measured, a section for each table of `BENCHMARKS.md`.

use crate::results::Row;
use crate::scale::Scale;

mod shapes;
mod memory;
mod latency;
mod spread;
mod waiting;
mod blocking;
mod fan_out;
mod payload;
mod durable;
mod receipt;
mod backlog;
mod keys;
mod services;
mod compile;

/// One table.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) run: fn(&Scale) -> Vec<Row>,
}

/// All tables, in their order.
pub(crate) const SECTIONS: [Section; 14] = [
    Section { name: "shapes", title: "Shapes of work", run: shapes::run },
    Section { name: "memory", title: "Rounds in memory", run: memory::run },
    Section { name: "latency", title: "Latency in memory, one at a time", run: latency::run },
    Section { name: "spread", title: "Many producers, many services, handlers that wait", run: spread::run },
    Section { name: "blocking", title: "A handler that blocks its thread", run: blocking::run },
    Section { name: "waiting", title: "What waits in memory", run: waiting::run },
    Section { name: "fan-out", title: "Groups", run: fan_out::run },
    Section { name: "payload", title: "Payloads of 8 MiB", run: payload::run },
    Section { name: "durable", title: "Rounds on disk", run: durable::run },
    Section { name: "receipt", title: "Receipts from disk, one caller", run: receipt::run },
    Section { name: "backlog", title: "What waits, and what has ended, on disk", run: backlog::run },
    Section { name: "keys", title: "One concurrency key, and how many wait for it", run: keys::run },
    Section { name: "services", title: "Ten services, and ten thousand", run: services::run },
    Section { name: "compile", title: "What it costs to compile", run: compile::run },
];

/// A process of its own, with its arguments.
type Child = fn(&[String]);

/// What runs in a process of its own.
pub(crate) const CHILDREN: [(&str, Child); 7] = [
    ("rounds of a shape", shapes::child_rounds),
    ("rounds in memory", memory::child_rounds),
    ("waiting", waiting::child_waiting),
    ("idle", waiting::child_idle),
    ("fill", backlog::child_fill),
    ("rounds", backlog::child_rounds),
    ("restart", backlog::child_restart),
];
