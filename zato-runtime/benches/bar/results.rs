//! What was measured, as it stands in `benchmarks/results.json`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

use serde::{Deserialize, Serialize};

use crate::place;
use crate::scale::Scale;
use crate::stats::{Spread, paired};

/// One figure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) name: String,
    /// For what number of something, where there are several; such rows of one name are a curve.
    pub(crate) at: Option<f64>,
    pub(crate) unit: String,
    /// `None` where it could not be measured.
    pub(crate) spread: Option<Spread>,
    /// What each run has brought, where others were measured beside it: in the order of the runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) runs: Vec<f64>,
    /// How it compares: a ratio, or why it could not be measured.
    pub(crate) note: String,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, unit: &str, spread: Option<Spread>) -> Self {
        let (runs, note) = (Vec::new(), String::new());
        Self { name: name.into(), at: None, unit: unit.to_owned(), spread, runs, note }
    }

    pub(crate) fn once(name: impl Into<String>, unit: &str, value: f64) -> Self {
        Self::new(name, unit, Some(Spread::once(value)))
    }

    pub(crate) fn missing(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(name, "", None).note(why)
    }

    pub(crate) fn at(mut self, at: usize) -> Self {
        self.at = Some(at as f64);
        self
    }

    pub(crate) fn runs(mut self, runs: Vec<f64>) -> Self {
        self.runs = runs;
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.map(|at| format!(" at {at}")).unwrap_or_default();
        write!(f, "{:44} ", format!("{}{at}", self.name))?;
        match self.spread {
            Some(Spread { median, least, most }) if least < most => {
                write!(f, "{median:12.1} {} ({least:.1} to {most:.1})", self.unit)?;
            }
            Some(Spread { median, .. }) => write!(f, "{median:12.1} {}", self.unit)?,
            None => write!(f, "not measured:")?,
        }
        write!(f, "  {}", self.note)
    }
}

/// The figures of a section, and how much it has measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) scale: String,
    /// The date, the commit and the machine's load when it began; empty for what was measured before these were noted.
    #[serde(default)]
    pub(crate) taken: String,
    pub(crate) rows: Vec<Row>,
}

/// All figures, by section.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) sections: BTreeMap<String, Measured>,
}

impl Results {
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string(place::results()).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(crate) fn write(&self) {
        let text = serde_json::to_string_pretty(self).expect("it is only text and numbers");
        fs::create_dir_all(place::benchmarks()).expect("the folder is made");
        fs::write(place::results(), text + "\n").expect("the results are written");
    }

    pub(crate) fn replace(&mut self, section: &str, scale: &Scale, taken: String, rows: Vec<Row>) {
        self.sections.insert(section.to_owned(), Measured { scale: scale.name.to_owned(), taken, rows });
    }

    pub(crate) fn rows(&self, section: &str) -> &[Row] {
        self.sections.get(section).map_or(&[], |section| &section.rows)
    }

    fn row(&self, section: &str, name: &str, at: Option<f64>) -> Option<&Row> {
        self.rows(section).iter().find(|row| row.name == name && (at.is_none() || row.at == at))
    }

    /// The median of one figure.
    pub(crate) fn median(&self, section: &str, name: &str, at: Option<f64>) -> Option<f64> {
        Some(self.row(section, name, at)?.spread?.median)
    }

    /// How many times as much one figure is as another.
    pub(crate) fn ratio(
        &self,
        section: &str,
        (one, at): (&str, Option<f64>),
        (other, other_at): (&str, Option<f64>),
    ) -> Option<f64> {
        let (one, other) = (self.row(section, one, at)?, self.row(section, other, other_at)?);
        paired(&one.runs, &other.runs).or(Some(one.spread?.median / other.spread?.median))
    }
}
