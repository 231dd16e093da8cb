//! Ten services against ten thousand: a program of its own, since compiling it takes a minute.

use std::process::Command;

use serde::Deserialize;

use crate::place;
use crate::results::Row;
use crate::scale::Scale;
use crate::stats::{Spread, paired};

/// What that program prints.
#[derive(Deserialize)]
struct Printed {
    check: Vec<f64>,
    few: Vec<f64>,
    many: Vec<f64>,
}

pub(crate) fn run(_: &Scale) -> Vec<Row> {
    let mut cargo = Command::new("cargo");
    cargo.args(["bench", "--quiet", "-p", "zato-runtime", "--bench", "thousands"]).current_dir(place::root());
    let said = cargo.output().map(|ran| String::from_utf8_lossy(&ran.stdout).into_owned());
    let printed = said.ok().and_then(|said| serde_json::from_str::<Printed>(said.lines().last()?).ok());
    let Some(Printed { check, few, many }) = printed else {
        return vec![Row::missing("10,000 services", "`cargo bench --bench thousands` says nothing")];
    };
    let ratio = paired(&many, &few).map(|ratio| format!("{ratio:.2} x ten")).unwrap_or_default();
    let round =
        |runs: Vec<f64>| Row::new("a round, one worker", "ns a round", Spread::of(runs.clone())).runs(runs);
    vec![
        round(few).at(10),
        round(many).at(10_000).note(ratio),
        Row::new("10,000 services checked and made", "ms", Spread::of(check)),
    ]
}
