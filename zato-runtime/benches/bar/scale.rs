//! How much is measured.

/// How much is measured, and how often.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    pub(crate) name: &'static str,
    /// How often what is compared is run in turn.
    pub(crate) repeats: usize,
    /// Rounds of a run in memory.
    pub(crate) rounds: usize,
    /// Rounds of a run on disk.
    pub(crate) disk_rounds: usize,
    /// How many wait in memory where the memory of each is looked at.
    pub(crate) waiting: usize,
    /// How many wait or have ended on disk where that is what is looked at.
    pub(crate) backlog: usize,
    /// For how many seconds an idle runtime is looked at.
    pub(crate) idle_seconds: usize,
}

impl Scale {
    pub(crate) fn named(name: &str) -> Option<Self> {
        let full = Self::default();
        Some(match name {
            "quick" => Self {
                name: "quick",
                repeats: 3,
                rounds: 20_000,
                disk_rounds: 3_000,
                waiting: 100_000,
                backlog: 20_000,
                idle_seconds: 2,
            },
            "full" => Self { name: "full", backlog: 10_000_000, ..full },
            _ => return None,
        })
    }
}

impl Default for Scale {
    fn default() -> Self {
        Self {
            name: "usual",
            repeats: 7,
            rounds: 200_000,
            disk_rounds: 20_000,
            waiting: 1_000_000,
            backlog: 1_000_000,
            idle_seconds: 10,
        }
    }
}
