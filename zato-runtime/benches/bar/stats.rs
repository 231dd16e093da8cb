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
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = |at: usize| values[at / 2];
        Some(Self { median: f64::midpoint(middle(values.len() - 1), middle(values.len())), least, most })
    }

    pub(crate) fn once(value: f64) -> Self {
        Self { median: value, least: value, most: value }
    }
}

/// How many times as much the ones are as the others that were measured beside them, one by one: the median of that. In
/// runs beside one another the machine was in the same mood; the medians of two bands of runs may be of two moods.
pub(crate) fn paired(ones: &[f64], others: &[f64]) -> Option<f64> {
    let is_paired = ones.len() == others.len();
    let ratios = ones.iter().zip(others).map(|(one, other)| one / other).collect();
    Spread::of(ratios).filter(|_| is_paired).map(|ratios| ratios.median)
}

/// Nanoseconds of each of so many.
pub(crate) fn each(took: Duration, count: usize) -> f64 {
    took.as_nanos() as f64 / count as f64
}

/// The value below which so much of a thousand lies, in nanoseconds.
pub(crate) fn permille(sorted: &[Duration], permille: usize) -> f64 {
    sorted[(sorted.len() * permille / 1_000).min(sorted.len() - 1)].as_nanos() as f64
}
