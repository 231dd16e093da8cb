//! Ten services against ten thousand: a program of its own, since compiling it takes a minute.

use std::process::Command;

use serde::Deserialize;

use crate::place;
use crate::results::Row;
use crate::scale::Scale;
use crate::stats::Spread;

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
    let (few, many) = (Spread::of(few), Spread::of(many));
    let ratio = few.zip(many).map(|(few, many)| format!("{:.2} x ten", many.median / few.median));
    vec![
        Row::new("a round, one worker", "ns a round", few).at(10),
        Row::new("a round, one worker", "ns a round", many).at(10_000).note(ratio.unwrap_or_default()),
        Row::new("10,000 services checked and made", "ms", Spread::of(check)),
    ]
}
