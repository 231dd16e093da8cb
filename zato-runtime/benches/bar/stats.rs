//! Medians and their spread, and percentiles.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What was measured a few times: the median, the least and the most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        Some(Self { median: *values.get(values.len() / 2)?, least: *values.first()?, most: *values.last()? })
    }

    pub(crate) fn once(value: f64) -> Self {
        Self { median: value, least: value, most: value }
    }
}

/// Nanoseconds of each of so many.
pub(crate) fn each(took: Duration, count: usize) -> f64 {
    took.as_nanos() as f64 / count as f64
}

/// The value below which so much of a thousand lies, in nanoseconds.
pub(crate) fn permille(sorted: &[Duration], permille: usize) -> f64 {
    sorted[(sorted.len() * permille / 1_000).min(sorted.len() - 1)].as_nanos() as f64
}
