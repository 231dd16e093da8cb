//! Random scripts: what one life of the bus is asked for follows from a seed and the number of the life.

use crate::chance::Chance;
use crate::script::{
    ANYWHERE, Ask, Call, Chain, Do, End, Group, LINE as LINE_SERVICE, Options, Replies, WORKERS, Work,
};

/// How many different idempotency keys a run uses.
const KEYS: u64 = 40;

/// What keeps the idempotency keys' numbers apart from those of lives.
const OF_KEYS: u64 = 1 << 40;

/// What a life asks for. `with_poison` where that may kill its process.
pub(crate) fn asks(seed: u64, life: u32, with_poison: bool) -> Vec<Ask> {
    let mut maker = Maker { chance: Chance::new(seed, u64::from(life)), seed };
    // Now and then more than a life can do.
    let most = if maker.chance.one_in(16) { 60 } else { 14 };
    let count = 4 + maker.chance.below(most);
    let mut asks: Vec<_> = (0..count).map(|n| maker.ask(format!("{life}-{n}"))).collect();
    if with_poison && maker.chance.one_in(20) {
        let losses = u32::try_from(1 + maker.chance.below(3)).unwrap_or(1);
        asks.push(Ask::Poison(idle(format!("{life}-poison")), losses));
    }
    asks
}

/// How often the process of a crowd may die.
pub(crate) const LOSSES: u32 = 3;

/// One that kills its process among many that do not, and may be lost as easily.
pub(crate) fn crowd() -> Vec<Ask> {
    let innocent = |n: u32| {
        let work = Work { does: vec![Do::Wait(30)], ..idle(format!("innocent-{n}")) };
        let options = Options { losses: Some(LOSSES), ..Options::default() };
        Ask::Call(Call { worker: 0, work, replies: Replies::Named, options }, None, false)
    };
    let mut asks: Vec<_> = (0..60).map(innocent).collect();
    asks.insert(40, Ask::Poison(idle("poison".to_owned()), LOSSES));
    asks
}

/// A synchronous call whose handler goes on for a minute. What it calls first is due a second later, and has callbacks.
pub(crate) fn outside() -> Vec<Ask> {
    let child = |id: &str, delay| {
        let options = Options { delay, ..Options::default() };
        Do::Call(Call { worker: 2, work: idle(id.to_owned()), replies: Replies::Named, options })
    };
    let inside = Work { does: vec![child("of-inside", None)], ..idle("inside".to_owned()) };
    let does = vec![child("child", Some(1_000)), Do::Sync(2, inside), Do::Wait(60_000)];
    vec![Ask::Sync(0, Work { does, ..idle("outside".to_owned()) })]
}

/// How many wait in a long line: more of a service than the engine holds in memory, once there were a few lives.
const LINE: u32 = 1_500;

/// Many that wait for one another.
pub(crate) fn line(life: u32) -> Vec<Ask> {
    let call = |n| {
        let (work, replies) = (idle(format!("{life}-line-{n}")), Replies::None);
        let options = Options { priority: Some(0), ..Options::default() };
        Ask::Call(Call { worker: index_of(LINE_SERVICE), work, replies, options }, None, false)
    };
    (0..LINE).map(call).collect()
}

/// The index of a worker in [`WORKERS`].
pub(crate) fn index_of(service: &str) -> usize {
    WORKERS.iter().position(|worker| *worker == service).expect("it is a worker")
}

/// Nothing to do.
pub(crate) fn idle(id: String) -> Work {
    Work { id, does: Vec::new(), ends: End::Well, fails_at: None }
}

struct Maker {
    chance: Chance,
    seed: u64,
}

impl Maker {
    fn ask(&mut self, id: String) -> Ask {
        match self.chance.below(24) {
            0..3 => Ask::Group(self.group(id, 2)),
            3..6 => Ask::Chain(self.chain(id)),
            6 => Ask::Sync(self.worker(), self.work(id, 1)),
            7 => {
                Ask::Cancel(usize::try_from(self.chance.below(8)).unwrap_or_default(), self.chance.one_in(2))
            }
            8 => Ask::RunAgain(self.worker()),
            _ => {
                let call = self.call(id, 2);
                let can_bring = call.options.once.is_none();
                let brings = self.chance.maybe(3, cid).filter(|_| can_bring);
                Ask::Call(call, brings, self.chance.one_in(2))
            }
        }
    }

    fn worker(&mut self) -> usize {
        usize::try_from(self.chance.below(ANYWHERE)).unwrap_or_default()
    }

    fn call(&mut self, id: String, depth: u32) -> Call {
        if self.chance.one_in(8) {
            return self.call_once();
        }
        let mut options = Options {
            delay: self.chance.maybe(4, |chance| 1 + chance.below(60)),
            timeout: self.chance.maybe(12, |chance| 2 + chance.below(30)),
            expires: self.chance.maybe(16, |chance| 1 + chance.below(100)),
            priority: self.chance.maybe(8, |chance| chance.one_of(&[-5, 1, 9])),
            lane: self.chance.maybe(4, |chance| format!("lane-{}", chance.below(3))),
            ..Options::default()
        };
        // What would start after its deadline is refused.
        if options.delay.is_none() && self.chance.one_in(12) {
            options.deadline = Some(20 + self.chance.below(200));
        }
        Call { worker: self.worker(), work: self.work(id, depth), replies: self.replies(), options }
    }

    /// A call under an idempotency key, which says all of it, whoever makes it.
    fn call_once(&mut self) -> Call {
        let key = self.chance.below(KEYS);
        let mut of_key = Self { chance: Chance::new(self.seed, OF_KEYS + key), seed: self.seed };
        let once = Some(format!("key-{key}"));
        let options = Options { once, ..Options::default() };
        let work = of_key.work(format!("key-{key}"), 0);
        Call { worker: of_key.worker(), work, replies: Replies::Named, options }
    }

    fn replies(&mut self) -> Replies {
        self.chance.one_of(&[Replies::Convention, Replies::Convention, Replies::Named, Replies::None])
    }

    fn work(&mut self, id: String, depth: u32) -> Work {
        let count = if depth == 0 { self.chance.below(2) } else { self.chance.below(4) };
        let does = (0..count).map(|n| self.does(format!("{id}/{n}"), depth)).collect();
        let ends = match self.chance.below(20) {
            0..4 => End::FailsUntil(1),
            4 => End::FailsUntil(9_999),
            5 => End::FailsForGood,
            6 => End::PanicsUntil(1),
            _ => End::Well,
        };
        Work { id, does, ends, fails_at: None }
    }

    fn does(&mut self, id: String, depth: u32) -> Do {
        let Some(below) = depth.checked_sub(1) else { return Do::Wait(self.chance.below(25)) };
        match self.chance.below(16) {
            0..3 => Do::Wait(self.chance.below(25)),
            3..6 => Do::Sync(self.worker(), self.work(id, below)),
            6 => Do::Group(self.group(id, below)),
            7..9 => Do::Chain(self.chain(id)),
            _ => Do::Call(self.call(id, below)),
        }
    }

    fn group(&mut self, id: String, depth: u32) -> Group {
        let below = depth.saturating_sub(1);
        let count = 1 + self.chance.below(5);
        let members = (0..count).map(|n| (self.worker(), self.work(format!("{id}.{n}"), below))).collect();
        let fans_out = self.chance.one_in(2);
        Group { id, fans_out, each: self.chance.one_in(2), last: fans_out && !self.chance.one_in(4), members }
    }

    fn chain(&mut self, id: String) -> Chain {
        let mut work = self.work(id, 0);
        let steps = u32::try_from(self.chance.below(4)).unwrap_or_default();
        work.fails_at = self.chance.maybe(4, |chance| u32::try_from(1 + chance.below(3)).unwrap_or(1));
        Chain { worker: self.worker(), work, steps, replies: self.replies() }
    }
}

/// A UUID of version 7, as a caller mints it.
fn cid(chance: &mut Chance) -> String {
    let (time, rest) = (chance.next() >> 24, chance.next());
    let (high, low) = (time >> 16 & 0xffff_ffff, time & 0xffff);
    let (mid, tail) = (rest & 0xfff, chance.next() >> 16);
    format!("{high:08x}-{low:04x}-7{mid:03x}-8{:03x}-{tail:012x}", rest >> 12 & 0xfff)
}
