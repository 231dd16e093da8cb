//! Makes a random script of a seed.

use super::script::{Act, Call, Chain, End, Group, PAUSED, Plan, Script, Step, TARGETS, Whom};

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or_default()
    }

    /// Whether something of so many per cent is the case.
    fn is(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn maybe<T: Copy>(&mut self, percent: usize, of: &[T]) -> Option<T> {
        self.is(percent).then(|| self.one(of))
    }

    fn callbacks(&mut self) -> Vec<usize> {
        (0..self.one(&[0, 0, 1, 1, 2])).map(|_| self.below(2)).collect()
    }
}

/// Makes scripts, until it has made enough of them.
struct Maker {
    random: Random,
    left: usize,
    /// Nothing is cancelled, nothing is cut off, and nothing is discarded.
    is_calm: bool,
    /// How many per cent of the calls have a key.
    keyed: usize,
}

impl Maker {
    fn script(&mut self, depth: usize) -> Script {
        let count = 1 + self.random.below(3);
        let runs = (0..count).map(|_| {
            let steps = (0..self.random.below(4)).filter_map(|_| self.step(depth)).collect();
            let end = match self.random.below(12) {
                0..6 => End::Ok,
                6..8 => End::Fail,
                8 => End::FailForGood,
                9 => End::RetryAfter(self.random.one(&[0, 300, 2_000])),
                _ => End::Panic,
            };
            (steps, end)
        });
        let runs = runs.collect();
        let then = (depth > 0 && self.random.is(20)).then(|| Box::new(self.script(depth - 1)));
        Script { runs, then }
    }

    fn step(&mut self, depth: usize) -> Option<Step> {
        let may_call = depth > 0 && self.left > 0;
        Some(match self.random.below(22) {
            0..4 => Step::Sleep(self.random.one(&[0, 100, 400, 1_200, 7_000])),
            4 => Step::Wait,
            5..8 if self.is_calm => return None,
            5..8 => {
                let any = Whom::Any(self.random.below(64));
                let whom = self.random.one(&[Whom::Own, Whom::Child, Whom::Child, any, any, Whom::Unknown]);
                Step::Cancel(whom, self.random.is(50))
            }
            8..15 if may_call => Step::Call(Box::new(self.call(depth - 1))),
            15..18 if may_call => Step::Sync(Box::new(self.plain(depth - 1)), self.random.is(50)),
            18 if may_call => Step::Group(self.group(depth - 1)),
            19 if may_call => Step::Chain(Box::new(self.chain(depth - 1))),
            20 if may_call => {
                let calls = (0..self.random.below(4)).map(|_| self.plain(depth - 1)).collect();
                Step::SyncAll(calls, self.random.is(50))
            }
            _ => return None,
        })
    }

    /// A call without options.
    fn plain(&mut self, depth: usize) -> Call {
        self.left = self.left.saturating_sub(1);
        Call {
            target: self.random.below(TARGETS.len()),
            script: self.script(depth),
            is_unreadable: self.random.is(4),
            ..Call::default()
        }
    }

    fn call(&mut self, depth: usize) -> Call {
        let plain = self.plain(depth);
        let random = &mut self.random;
        Call {
            delay: random.maybe(25, &[0, 100, 800, 3_000]),
            expires: random.maybe(15, &[50, 350, 2_050]),
            timeout: random.maybe(25, &[150, 650, 3_050]),
            deadline: random.maybe(15, &[250, 950, 4_050]),
            attempts: random.maybe(40, &[(1, 0), (2, 0), (2, 500), (3, 200)]),
            priority: random.maybe(10, &[-5, 5]),
            key: random.maybe(self.keyed, &[0, 0, 1]),
            new_root: random.is(12),
            no_callback: random.is(10),
            callbacks: random.callbacks(),
            on_failure: random.callbacks(),
            ..plain
        }
    }

    fn group(&mut self, depth: usize) -> Group {
        let count = self.random.below(5);
        Group {
            members: (0..count).map(|_| self.plain(depth)).collect(),
            fans_out: self.random.is(70),
            each: self.random.is(50),
            last: self.random.is(80),
        }
    }

    fn chain(&mut self, depth: usize) -> Chain {
        let mut first = self.plain(depth);
        let then: Vec<_> =
            (0..self.random.below(4)).map(|_| self.random.one(&[0, 0, 0, 1, 1, 1, 2])).collect();
        // What a step does: mostly something, and mostly well.
        let mut script = &mut first.script;
        for _ in &then {
            if self.random.is(50) {
                script.runs.truncate(1);
                script.runs.iter_mut().for_each(|(_, end)| *end = End::Ok);
            }
            script = script.then.get_or_insert_with(|| Box::new(self.script(depth.saturating_sub(1))));
        }
        Chain {
            first,
            then,
            no_callback: self.random.is(20),
            callbacks: self.random.callbacks(),
            on_failure: self.random.callbacks(),
        }
    }
}

/// How often a bus is restarted at the most.
pub(crate) const MOST_RESTARTS: usize = 4;

/// A limit of a shutdown that is never reached, unless it waits for what does not come: some hours.
const LONG: u64 = 10_000_000;

/// The longest limit of a shutdown that is followed by another start. Handlers that wait to be asked to stop are asked a
/// grace before it, and what is done to the bus comes after it.
const LONG_RESTART: u64 = 20_033;

/// What a seed stands for on an engine that keeps what it holds: the bus is restarted at some moments, and in the end it
/// is let finish.
pub(crate) fn plan_with_restarts(seed: u64) -> Plan {
    let mut plan = plan(seed, false);
    let mut random = Random(!seed);
    plan.window = random.one(&[2, 2, 3, 6, 4_096]);
    for _ in 0..random.below(MOST_RESTARTS + 1) {
        let at = random.one(&[0, 50, 100, 400, 1_000, 2_500]) + random.below(60) as u64 * 10;
        let limit = random.one(&[33, 33, 283, 2_033, LONG_RESTART]);
        plan.acts.push((at, Act::Restart { limit, down: random.one(&[0, 0, 300, 3_000]) }));
    }
    plan.acts.sort_by_key(|(at, _)| *at);
    plan.acts.extend((0..PAUSED.len()).map(|service| (300_000, Act::Pause(service, false))));
    // What fails then may be tried again, and what it calls may wait again.
    plan.acts.extend((40..59).map(|at| (at * 10_000, Act::EndRunning)));
    plan.shutdown = (600_000, LONG);
    plan
}

/// What a seed stands for.
pub(crate) fn plan(seed: u64, is_calm: bool) -> Plan {
    let mut maker = Maker { random: Random(seed), left: 24, is_calm, keyed: 0 };
    maker.keyed = maker.random.one(&[0, 20, 80]);
    let count = 1 + maker.random.below(5);
    let mut acts = Vec::new();
    for _ in 0..count {
        let at = maker.random.one(&[0, 0, 100, 1_000, 2_500]);
        let act = match maker.random.below(20) {
            0..3 => Act::Group(maker.group(2)),
            3..5 => Act::Chain(maker.chain(2)),
            _ => Act::Call(maker.call(3)),
        };
        acts.push((at, act));
    }
    if !is_calm {
        for _ in 0..maker.random.below(4) {
            let at = maker.random.below(60) as u64 * 100;
            acts.push((at, Act::Cancel(maker.random.below(64), maker.random.is(50))));
        }
    }
    for _ in 0..maker.random.one(&[0, 0, 1, 2, 4]) {
        let at = maker.random.below(60) as u64 * 100;
        let number = maker.random.below(64);
        acts.push((
            at,
            if is_calm || maker.random.is(75) { Act::RunAgain(number) } else { Act::Discard(number) },
        ));
    }
    for _ in 0..maker.random.one(&[0, 0, 0, 1, 2]) {
        let service = maker.random.below(PAUSED.len());
        let at = maker.random.below(30) as u64 * 100;
        acts.push((at, Act::Pause(service, true)));
        if is_calm || maker.random.is(70) {
            acts.push((at + maker.random.below(40) as u64 * 100, Act::Pause(service, false)));
        }
    }
    acts.sort_by_key(|(at, _)| *at);
    let shutdown = match maker.random.below(4) {
        0 if !is_calm => (maker.random.below(40) as u64 * 100, maker.random.one(&[0, 250, 2_000, 10_000])),
        1 if !is_calm => (maker.random.below(80) as u64 * 100, LONG),
        _ => (600_000, LONG),
    };
    let max_running = maker.random.maybe(25, &[1, 2, 5]);
    Plan { acts, shutdown, max_running, window: 4_096 }
}
