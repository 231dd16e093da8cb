//! Runs what is compared in turn, so that the machine's mood is in all of it.

use crate::results::Row;
use crate::stats::{Spread, paired};

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

/// Runs all in turn, so many times over, each time from the next on and the other way round: what one leaves behind in
/// memory and caches is for another each time. What one of them is compared with is the first, if it says of what: its note is
/// then their ratio.
pub(crate) fn interleave(
    repeats: usize,
    unit: &str,
    compared: Option<&str>,
    mut contenders: Vec<Contender<'_>>,
) -> Vec<Row> {
    let mut values = vec![Vec::new(); contenders.len()];
    let mut failed = vec![None; contenders.len()];
    let count = contenders.len();
    for repeat in 0..repeats {
        for step in 0..count {
            let step = if repeat % 2 == 0 { step } else { count - step };
            let index = (repeat + step) % count;
            if failed[index].is_none() {
                match (contenders[index].measure)() {
                    Ok(value) => values[index].push(value),
                    Err(why) => failed[index] = Some(why),
                }
            }
        }
    }
    // As they stand there: in the order of the repeats, whoever began.
    let first = values.first().cloned().unwrap_or_default();
    let rows = contenders.into_iter().zip(values).zip(failed).enumerate();
    rows.map(|(index, ((contender, values), failed))| {
        if let Some(why) = failed {
            return Row::missing(contender.name, why);
        }
        let ratio = compared.filter(|_| index > 0).zip(paired(&values, &first));
        let note = ratio.map(|(compared, ratio)| format!("{ratio:.2} x {compared}")).unwrap_or_default();
        Row::new(contender.name, unit, Spread::of(values.clone())).runs(values).note(note)
    })
    .collect()
}
