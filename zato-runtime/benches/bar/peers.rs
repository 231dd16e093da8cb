//! Other crates and other languages, in programs of their own that print a line of JSON for a run.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::place;
use crate::shape::shapes::Shape;

/// One that is compared with.
#[derive(Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: &'static Program,
}

/// A program of peers: how it is made, once, or why it could not be.
struct Program {
    folder: &'static str,
    /// What makes it, in its folder.
    make: &'static [&'static str],
    run: &'static str,
    made: LazyLock<Result<(), String>>,
}

const CARGO: &[&str] = &["cargo", "build", "--release", "--locked", "--quiet"];

macro_rules! program {
    ($name:ident, $folder:literal, $make:expr, $run:literal) => {
        static $name: Program =
            Program { folder: $folder, make: $make, run: $run, made: LazyLock::new(|| $name.make()) };
    };
}

program!(ACTORS, "peers", CARGO, "target/release/peers");
program!(EFFECTUM, "peers/effectum", CARGO, "target/release/peer-effectum");
program!(PYTHON, "peers/python", &["./install"], "./run");

/// Those in memory.
pub(crate) const IN_MEMORY: [Peer; 5] = [
    Peer { name: "kameo", program: &ACTORS },
    Peer { name: "ractor", program: &ACTORS },
    Peer { name: "actix", program: &ACTORS },
    Peer { name: "apalis", program: &ACTORS },
    Peer { name: "gevent", program: &PYTHON },
];

/// Those that go through the shapes of work.
pub(crate) const ACTORS_WITH_SHAPES: [Peer; 2] =
    [Peer { name: "kameo", program: &ACTORS }, Peer { name: "ractor", program: &ACTORS }];

/// Those on disk.
pub(crate) const ON_DISK: [Peer; 4] = [
    Peer { name: "effectum", program: &EFFECTUM },
    Peer { name: "apalis-sqlite", program: &ACTORS },
    Peer { name: "huey", program: &PYTHON },
    Peer { name: "celery", program: &PYTHON },
];

const PYTHON_PEERS: [&str; 3] = ["gevent", "huey", "celery"];

/// What a peer prints.
#[derive(Deserialize)]
struct Printed {
    rounds: f64,
    nanos: f64,
}

impl Peer {
    /// Nanoseconds a round, with so many in flight.
    pub(crate) fn round(self, rounds: usize, in_flight: usize) -> Result<f64, String> {
        self.run(&[rounds.to_string(), in_flight.to_string()])
    }

    /// Nanoseconds a round of a shape.
    pub(crate) fn shape(self, rounds: usize, shape: Shape) -> Result<f64, String> {
        self.run(&[rounds.to_string(), shape.in_flight.to_string(), shape.name.to_owned()])
    }

    fn run(self, arguments: &[String]) -> Result<f64, String> {
        self.program.made.as_ref().map_err(String::clone)?;
        let folder = place::root().join(self.program.folder);
        // A peer that hangs is ended, and named as one that could not be measured.
        let mut run = Command::new("timeout");
        run.arg("120").arg(folder.join(self.program.run)).arg(self.name).args(arguments).current_dir(&folder);
        let ran = run.env("RUST_BACKTRACE", "0").output().map_err(|error| error.to_string())?;
        let (said, faults) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        let printed = said.lines().rev().find_map(|line| serde_json::from_str::<Printed>(line).ok());
        match printed {
            Some(printed) => Ok(printed.nanos / printed.rounds),
            None if ran.status.code() == Some(124) => Err("does not come to an end within 120 s".to_owned()),
            None => Err(faults.lines().rfind(|line| !line.is_empty()).unwrap_or("says nothing").to_owned()),
        }
    }
}

impl Program {
    fn make(&self) -> Result<(), String> {
        let folder = place::root().join(self.folder);
        let made = Command::new(self.make[0]).args(&self.make[1..]).current_dir(&folder).output();
        let made = made.map_err(|error| format!("cannot be made: {error}"))?;
        if made.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&made.stderr);
        Err(format!("cannot be made: {}", said.lines().last().unwrap_or("says nothing")))
    }
}

/// The versions that are measured, as their lock files say.
pub(crate) fn versions() -> Vec<(String, String)> {
    let lock = |path: &str| fs::read_to_string(place::root().join(PathBuf::from(path))).unwrap_or_default();
    let mut versions = Vec::new();
    for (text, names) in [
        (lock("Cargo.lock"), &["tokio", "rusqlite", "libsqlite3-sys"][..]),
        (lock("peers/Cargo.lock"), &["kameo", "ractor", "actix", "apalis", "apalis-sqlite"]),
        (lock("peers/effectum/Cargo.lock"), &["effectum"]),
    ] {
        for name in names {
            let after = text.split_once(&format!("name = \"{name}\"\nversion = \"")).map(|it| it.1);
            let version = after.and_then(|after| after.split('"').next()).unwrap_or("?");
            versions.push(((*name).to_owned(), version.to_owned()));
        }
    }
    let python = lock("peers/python/requirements.txt");
    let pinned = python.lines().filter_map(|line| line.split_once("=="));
    // What Celery needs besides is of no interest.
    let pinned = pinned.filter(|(name, _)| PYTHON_PEERS.contains(name));
    versions.extend(pinned.map(|(name, version)| (name.to_owned(), version.to_owned())));
    versions
}
