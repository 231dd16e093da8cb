//! Runs what is compared in turn, so that the machine's mood is in all of it.

use crate::results::Row;
use crate::stats::Spread;

/// One of those that are compared: measures once, or says why it cannot.
pub(crate) struct Contender<'a> {
    name: String,
    measure: Box<dyn FnMut() -> Result<f64, String> + 'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(name: impl Into<String>, mut measure: impl FnMut() -> f64 + 'a) -> Self {
        Self::fallible(name, move || Ok(measure()))
    }

    pub(crate) fn fallible(
        name: impl Into<String>,
        measure: impl FnMut() -> Result<f64, String> + 'a,
    ) -> Self {
        Self { name: name.into(), measure: Box::new(measure) }
    }
}

/// Runs all in turn, so many times over. What one of them is compared with is the first, if it says of what: its note is
/// then their ratio.
pub(crate) fn interleave(
    repeats: usize,
    unit: &str,
    compared: Option<&str>,
    mut contenders: Vec<Contender<'_>>,
) -> Vec<Row> {
    let mut values = vec![Vec::new(); contenders.len()];
    let mut failed = vec![None; contenders.len()];
    for _ in 0..repeats {
        for (index, contender) in contenders.iter_mut().enumerate() {
            if failed[index].is_none() {
                match (contender.measure)() {
                    Ok(value) => values[index].push(value),
                    Err(why) => failed[index] = Some(why),
                }
            }
        }
    }
    let spreads: Vec<_> = values.into_iter().map(Spread::of).collect();
    let first = spreads.first().copied().flatten();
    let rows = contenders.into_iter().zip(spreads).zip(failed).enumerate();
    rows.map(|(index, ((contender, spread), failed))| match (failed, first, spread, compared) {
        (Some(why), ..) => Row::missing(contender.name, why),
        (None, Some(first), Some(spread), Some(compared)) if index > 0 => {
            let ratio = format!("{:.2} x {compared}", spread.median / first.median);
            Row::new(contender.name, unit, Some(spread)).note(ratio)
        }
        (None, ..) => Row::new(contender.name, unit, spread),
    })
    .collect()
}
