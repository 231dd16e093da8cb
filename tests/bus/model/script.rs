//! Random scripts: what handlers are to do, and what is done to a bus from outside.

use serde::{Deserialize, Serialize};
use zato_runtime::FailureReport;

/// What can be called.
pub(crate) const TARGETS: [&str; 4] = ["model.node", "model.plain", "model.patient", "model.narrow"];
/// What takes responses, and what takes reports.
pub(crate) const REPLIES: [&str; 2] = ["model.reply", "model.restless"];
pub(crate) const REPORTS: [&str; 2] = ["model.report", "model.refuses"];
pub(crate) const EACH: &str = "model.each";
pub(crate) const LAST: &str = "model.last";
/// Of the service that has callbacks by convention: itself, the one for responses, the one for failures.
pub(crate) const CONVENTION: [&str; 3] =
    [TARGETS[0], "model.node-async-callback", "model.node-async-failure"];

/// What an invocation is to do: a run for each attempt, the last one for all that follow.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Script {
    pub(crate) runs: Vec<(Vec<Step>, End)>,
    /// What callbacks that receive its response are to do.
    pub(crate) then: Option<Box<Script>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Step {
    Sleep(u64),
    /// Until it is asked to stop.
    Wait,
    Call(Box<Call>),
    /// A synchronous call; if told, its failure is the caller's.
    Sync(Box<Call>, bool),
    Group(Group),
    Cancel(Whom, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) enum End {
    #[default]
    Ok,
    Fail,
    FailForGood,
    RetryAfter(u64),
    Panic,
}

/// Times are milliseconds from the call.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) target: usize,
    pub(crate) script: Script,
    pub(crate) is_unreadable: bool,
    pub(crate) delay: Option<u64>,
    pub(crate) expires: Option<u64>,
    pub(crate) timeout: Option<u64>,
    pub(crate) deadline: Option<u64>,
    /// How many attempts, and the wait between them.
    pub(crate) attempts: Option<(u32, u64)>,
    pub(crate) priority: Option<i8>,
    pub(crate) new_root: bool,
    pub(crate) no_callback: bool,
    pub(crate) callbacks: Vec<usize>,
    pub(crate) on_failure: Vec<usize>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) members: Vec<Call>,
    pub(crate) fans_out: bool,
    pub(crate) each: bool,
    pub(crate) last: bool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Whom {
    Own,
    /// What this handler called last.
    Child,
    /// One of all that are known.
    Any(usize),
    Unknown,
}

/// What a target receives. The token says which call it is, whatever the CID says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) token: u64,
    pub(crate) script: Script,
}

/// What a target answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) token: u64,
    pub(crate) attempt: u32,
    pub(crate) then: Option<Box<Script>>,
}

/// Which call a report repeats.
pub(super) fn token_of(report: &FailureReport) -> Option<u64> {
    let request = report.payload.as_deref()?;
    match request.strip_prefix("unreadable ") {
        Some(token) => token.parse().ok(),
        // What a callback was told has no token.
        None => Some(serde_json::from_str::<Request>(request).map_or(0, |request| request.token)),
    }
}

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
}

/// Makes scripts, until it has made enough of them.
struct Maker {
    random: Random,
    left: usize,
    /// Nothing is cancelled, and nothing is cut off.
    is_calm: bool,
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
        Some(match self.random.below(20) {
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
            _ => return None,
        })
    }

    /// A call without options.
    fn plain(&mut self, depth: usize) -> Call {
        self.left = self.left.saturating_sub(1);
        Call {
            target: self.random.below(4),
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
            new_root: random.is(12),
            no_callback: random.is(10),
            callbacks: (0..[0, 0, 1, 1, 2][random.below(5)]).map(|_| random.below(2)).collect(),
            on_failure: (0..[0, 0, 1, 1, 2][random.below(5)]).map(|_| random.below(2)).collect(),
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
}

/// What comes from outside.
pub(crate) enum Act {
    Call(Call),
    Group(Group),
    Cancel(usize, bool),
}

/// All that is done to one bus.
pub(crate) struct Plan {
    pub(crate) acts: Vec<(u64, Act)>,
    /// When it shuts down, and how long it waits then.
    pub(crate) shutdown: (u64, u64),
    pub(crate) max_running: Option<usize>,
}

/// What a seed stands for.
pub(crate) fn plan(seed: u64, is_calm: bool) -> Plan {
    let mut maker = Maker { random: Random(seed), left: 24, is_calm };
    let count = 1 + maker.random.below(5);
    let mut acts = Vec::new();
    for _ in 0..count {
        let at = maker.random.one(&[0, 0, 100, 1_000, 2_500]);
        let act = if maker.random.is(15) { Act::Group(maker.group(2)) } else { Act::Call(maker.call(3)) };
        acts.push((at, act));
    }
    if !is_calm {
        for _ in 0..maker.random.below(4) {
            let at = maker.random.below(60) as u64 * 100;
            acts.push((at, Act::Cancel(maker.random.below(64), maker.random.is(50))));
        }
    }
    acts.sort_by_key(|(at, _)| *at);
    let shutdown = match maker.random.below(4) {
        0 if !is_calm => (maker.random.below(40) as u64 * 100, maker.random.one(&[0, 250, 2_000, 10_000])),
        1 if !is_calm => (maker.random.below(80) as u64 * 100, u64::MAX),
        _ => (600_000, u64::MAX),
    };
    Plan { acts, shutdown, max_running: maker.random.maybe(25, &[1, 2, 5]) }
}
