//! Every call that a child makes fails in turn: once, for a while, and for ever.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use crate::shim::{EIO, EMFILE, ENOMEM, ENOSPC, EVER, Fault, Kind};

/// How many try at the same time.
const THREADS: usize = 2;

/// What fails, wherever it begins.
#[derive(Debug, Clone, Copy)]
struct Sort {
    kind: Kind,
    calls: u64,
    error: u64,
    is_torn: bool,
}

/// What came of one try.
#[derive(Debug)]
pub(crate) struct Tried {
    /// How many calls have failed.
    pub(crate) hits: u64,
    /// What is not as it should be; none where nothing is.
    pub(crate) wrong: Option<String>,
}

/// What came of all of them.
#[derive(Debug)]
pub(crate) struct Swept {
    /// How many faults were met.
    pub(crate) met: u64,
    /// The kinds of which none was.
    pub(crate) missed: Vec<Kind>,
    /// What is not as it should be.
    pub(crate) wrong: Vec<String>,
}

/// All sorts of faults: each kind once and for ever, and what disks do besides.
fn sorts() -> Vec<Sort> {
    let mut sorts = Vec::new();
    for kind in Kind::ALL {
        let error = match kind {
            Kind::Open => EMFILE,
            Kind::Map => ENOMEM,
            Kind::Write => ENOSPC,
            _ => EIO,
        };
        for calls in [1, EVER] {
            sorts.push(Sort { kind, calls, error, is_torn: false });
        }
    }
    sorts.push(Sort { kind: Kind::Write, calls: 1, error: EIO, is_torn: true });
    sorts.push(Sort { kind: Kind::Sync, calls: 3, error: EIO, is_torn: false });
    sorts
}

/// Tries each sort of fault from the first call on, from a later one and so on, at about so many points, 0 for every
/// call, until a child ends without having come so far. `count` says how many calls of a kind a child makes that meets
/// none; a kind of which it makes none is left out. A single fault or kind may be asked for by the environment.
pub(crate) fn sweep(
    points: u64,
    count: impl Fn(Kind) -> u64,
    try_one: impl Fn(Fault) -> Tried + Sync,
) -> Swept {
    if let Ok(text) = std::env::var("ZATO_TEST_FAULT") {
        let fault = text.parse().unwrap_or_else(|error| panic!("{error}"));
        let Tried { hits, wrong } = try_one(fault);
        return Swept { met: hits, missed: Vec::new(), wrong: wrong.into_iter().collect() };
    }
    let mut swept = Swept { met: 0, missed: Vec::new(), wrong: Vec::new() };
    let only = std::env::var("ZATO_TEST_KIND").ok();
    let only: Option<Kind> = only.map(|name| name.parse().unwrap_or_else(|error| panic!("{error}")));
    for sort in sorts().into_iter().filter(|sort| only.is_none_or(|kind| kind == sort.kind)) {
        let count = count(sort.kind);
        if count == 0 {
            continue;
        }
        let step = count.checked_div(points).unwrap_or(1).max(1);
        let began = Instant::now();
        let (met, wrong) = try_all(sort, step, &try_one);
        let Sort { kind, calls, .. } = sort;
        let often = if calls == EVER { "for ever".to_owned() } else { format!("{calls} times") };
        println!("{kind:?} fails {often}: at {met} of {count} calls, in {:?}", began.elapsed());
        if met == 0 {
            swept.missed.push(sort.kind);
        }
        swept.met += met;
        swept.wrong.extend(wrong);
    }
    swept
}

/// Answers how many faults of this sort were met, and what is wrong.
fn try_all(sort: Sort, step: u64, try_one: &(impl Fn(Fault) -> Tried + Sync)) -> (u64, Vec<String>) {
    let Sort { kind, calls, error, is_torn } = sort;
    let (next, met, has_ended) = (AtomicU64::new(1), AtomicU64::new(0), AtomicBool::new(false));
    let wrong = Mutex::new(Vec::new());
    let turn = || {
        while !has_ended.load(Ordering::Relaxed) {
            let first = next.fetch_add(step, Ordering::Relaxed);
            let fault = Fault { kind, first, calls, error, is_torn };
            let tried = try_one(fault);
            if tried.hits > 0 {
                met.fetch_add(1, Ordering::Relaxed);
            } else {
                has_ended.store(true, Ordering::Relaxed);
            }
            if let Some(what) = tried.wrong {
                wrong.lock().expect("nobody panics").push(format!("{fault}: {what}"));
            }
        }
    };
    thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(turn))));
    (met.into_inner(), wrong.into_inner().expect("nobody panics"))
}
