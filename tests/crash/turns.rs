//! Random scripts for two programs that take turns.

use crate::chance::Chance;
use crate::maker::{self, index_of};
use crate::script::{Ask, Call, Do, LINE, Options, RANKED, REPLY, Replies, STURDY, Switch, WORKERS, Work};

/// What keeps these numbers apart from those of the other calls of a life, and of one another.
const OF_TURNS: u64 = 1 << 42;
const OF_SWITCHES: u64 = 1 << 43;

/// The services that are paused and resumed while there are calls; [`LINE`] is while the bus shuts down.
const SWITCHED: [&str; 4] = [WORKERS[0], WORKERS[1], RANKED, REPLY];

/// More deaths than any run has. An invocation that is one death below its limit may have to wait for another such, and does
/// not run in order.
pub(crate) const UNLIMITED: u32 = 1_000_000;

/// Returns what a life asks for.
pub(crate) fn asks(seed: u64, life: u32) -> Vec<Ask> {
    let mut asks = maker::asks(seed, life, true);
    let mut chance = Chance::new(seed, OF_TURNS + u64::from(life));
    let more = 3 + chance.below(8);
    for n in 0..more {
        let work = maker::idle(format!("{life}-turn-{n}"));
        let call = match chance.below(4) {
            0..2 => ranked(work, &mut chance),
            2 => sturdy(work, &mut chance),
            _ => long(work, &mut chance),
        };
        asks.insert(chance.index(asks.len() + 1), Ask::Call(call, None, chance.one_in(2)));
    }
    asks
}

/// A call that runs in order of its priority.
fn ranked(work: Work, chance: &mut Chance) -> Call {
    let work = Work { does: vec![Do::Wait(chance.below(6))], ..work };
    let options = Options {
        priority: Some(chance.one_of(&[-7, 0, 0, 3, 100])),
        delay: chance.maybe(4, |chance| 1 + chance.below(40)),
        losses: Some(UNLIMITED),
        ..Options::default()
    };
    Call { worker: index_of(RANKED), work, replies: Replies::Named, options }
}

/// A call of a service that survives more deaths than others, by its own attribute.
fn sturdy(work: Work, chance: &mut Chance) -> Call {
    let work = Work { does: vec![Do::Wait(chance.below(60))], ..work };
    Call { worker: index_of(STURDY), work, replies: Replies::Named, options: Options::default() }
}

/// A call that outlasts most lives and shutdowns, and survives few deaths.
fn long(work: Work, chance: &mut Chance) -> Call {
    let work = Work { does: vec![Do::Wait(20 + chance.below(80))], ..work };
    let losses = u32::try_from(1 + chance.below(3)).unwrap_or(1);
    let options = Options { losses: Some(losses), ..Options::default() };
    Call { worker: usize::from(chance.one_in(2)) * 2, work, replies: Replies::Named, options }
}

/// Returns the services that a life pauses and resumes. Most are resumed, in this life or in a later one.
pub(crate) fn switches(seed: u64, life: u32) -> Vec<Switch> {
    let mut chance = Chance::new(seed, OF_SWITCHES + u64::from(life));
    let count = chance.below(8);
    let switch =
        |_| Switch { service: chance.one_of(&SWITCHED), pauses: chance.one_in(4), after: chance.below(15) };
    (0..count).map(switch).collect()
}

/// Resumes every service that may be paused.
pub(crate) fn resumes() -> Vec<Switch> {
    let all = SWITCHED.into_iter().chain([LINE]);
    all.map(|service| Switch { service, pauses: false, after: 0 }).collect()
}
