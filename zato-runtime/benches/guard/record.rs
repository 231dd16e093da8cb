//! The recorded figures, in `guards.json`, and what is said when one has grown.

use std::collections::BTreeMap;
use std::fs;

use crate::guard::paths::Path;

/// Where the figures stand: for each hot path, what it costs a round.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/guards.json");

/// By how much a figure may grow before it is refused.
const MOST: f64 = 1.1;

/// And by how much beside that: a part of one allocation is shared by all that a worker takes at once, which are more or
/// fewer as the machine is fast.
const SLACK: f64 = 0.6;

type Figures = BTreeMap<String, BTreeMap<String, f64>>;

/// A kind of figure.
pub(crate) struct Guard {
    /// What is counted.
    pub(crate) what: &'static str,
    /// The benchmark's name.
    pub(crate) bench: &'static str,
}

impl Guard {
    /// Holds what was counted against what is recorded; with `--record` among the arguments, records it.
    /// Says whether all holds.
    pub(crate) fn hold(&self, counted: &[(Path, f64)]) -> bool {
        let mut figures = read();
        if std::env::args().any(|argument| argument == "--record") {
            for (path, figure) in counted {
                let of_path = figures.entry(path.name()).or_default();
                of_path.insert(self.what.to_owned(), (figure * 100.0).round() / 100.0);
            }
            let text = serde_json::to_string_pretty(&figures).expect("it is only text and numbers");
            fs::write(FILE, text + "\n").expect("the figures are written");
            println!("recorded in {FILE}");
            return true;
        }
        let grown = counted.iter().filter(|(path, figure)| !self.holds(&figures, *path, *figure)).count();
        grown == 0
    }

    fn holds(&self, figures: &Figures, path: Path, figure: f64) -> bool {
        let (what, name, bench) = (self.what, path.name(), self.bench);
        let Some(recorded) = figures.get(&name).and_then(|of_path| of_path.get(what)) else {
            println!(
                "{name}: {what} a round: {figure:.2}, and none recorded: cargo bench -p zato-runtime --bench {bench} -- --record"
            );
            return false;
        };
        let change = (figure / recorded - 1.0) * 100.0;
        println!("{name:40} {figure:10.2} {what} a round, {recorded:.2} recorded ({change:+.1} %)");
        if figure > recorded * MOST && figure > recorded + SLACK {
            println!(
                "
GROWN: {name}: {what} a round went from {recorded:.2} to {figure:.2}, by more than a tenth.
  where they come from: cargo bench -p zato-runtime --bench {bench} -- --where \"{name}\"
  if it is worth it:    cargo bench -p zato-runtime --bench {bench} -- --record
                        and say in the commit what it buys
"
            );
            return false;
        }
        if figure * MOST < *recorded && figure + SLACK < *recorded {
            println!("  less than recorded: `-- --record` makes sure that it stays so");
        }
        true
    }
}

/// The path after `--where`, which is to be looked into.
pub(crate) fn asked_where() -> Option<Path> {
    let name = std::env::args().skip_while(|argument| argument != "--where").nth(1)?;
    Some(named(&name))
}

/// The path of that name.
pub(crate) fn named(name: &str) -> Path {
    let mut all = Path::all().into_iter().chain([Path::Large]);
    all.find(|path| path.name() == name).unwrap_or_else(|| {
        let known: Vec<_> = Path::all().into_iter().map(Path::name).collect();
        panic!("there is no path `{name}`: it is one of {known:?}");
    })
}

fn read() -> Figures {
    fs::read_to_string(FILE).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}
