//! Scripts: what handlers are to do, and what is done to a bus from outside.

use serde::{Deserialize, Serialize};
use zato_core::Payload;
use zato_runtime::{Cid, FailureReport};

/// What can be called.
pub(crate) const TARGETS: [&str; 5] =
    ["model.node", "model.plain", "model.patient", "model.narrow", "model.rated"];
/// Which of them has a rate: how many may start at once, and after how many milliseconds another one may.
pub(crate) const RATE: (&str, u64, u64) = (TARGETS[4], 2, 500);
/// What can stand in a chain after the first step; the last cannot read a response.
pub(crate) const STEPS: [&str; 3] = [REPLIES[0], REPLIES[1], REPORTS[0]];
/// What takes responses, and what takes reports.
pub(crate) const REPLIES: [&str; 2] = ["model.reply", "model.restless"];
pub(crate) const REPORTS: [&str; 2] = ["model.report", "model.refuses"];
pub(crate) const EACH: &str = "model.each";
pub(crate) const LAST: &str = "model.last";
/// Of the service that has callbacks by convention: itself, the one for responses, the one for failures.
pub(crate) const CONVENTION: [&str; 3] =
    [TARGETS[0], "model.node-async-callback", "model.node-async-failure"];
/// What is paused.
pub(crate) const PAUSED: [&str; 10] = [
    TARGETS[0],
    TARGETS[1],
    TARGETS[2],
    TARGETS[3],
    TARGETS[4],
    REPLIES[0],
    REPLIES[1],
    CONVENTION[1],
    EACH,
    LAST,
];
/// Concurrency keys: few, so that they meet.
pub(crate) const KEYS: [&str; 2] = ["odd", "even"];

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
    /// Several at once.
    SyncAll(Vec<Call>, bool),
    Group(Group),
    Chain(Box<Chain>),
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
    pub(crate) key: Option<usize>,
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

/// What the steps after the first do is what the responses before them say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Chain {
    pub(crate) first: Call,
    pub(crate) then: Vec<usize>,
    pub(crate) no_callback: bool,
    pub(crate) callbacks: Vec<usize>,
    pub(crate) on_failure: Vec<usize>,
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

/// What a target answers. The token is that of the call whose response it is, or a response to its response.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) token: u64,
    pub(crate) attempt: u32,
    pub(crate) then: Option<Box<Script>>,
}

/// Which call a report repeats.
pub(super) fn token_of(report: &FailureReport) -> Option<u64> {
    requested(&Payload::text(report.payload.as_deref()?))
}

/// Which call a request is of.
pub(super) fn requested(request: &Payload) -> Option<u64> {
    let request = &request.to_string();
    match request.strip_prefix("unreadable ") {
        Some(token) => token.parse().ok(),
        // What a callback was told has no token.
        None => Some(serde_json::from_str::<Request>(request).map_or(0, |request| request.token)),
    }
}

/// Which step ended a chain, as its error says.
#[derive(Debug, PartialEq)]
pub(crate) struct StepOf<'a> {
    pub(crate) number: usize,
    pub(crate) of: usize,
    pub(crate) service: &'a str,
    pub(crate) cid: Cid,
    pub(crate) error: &'a str,
}

/// Reads ``step 2 of 3, `a.b` (CID): why``.
pub(crate) fn step_of(error: &str) -> Option<StepOf<'_>> {
    let (number, rest) = error.strip_prefix("step ")?.split_once(" of ")?;
    let (of, rest) = rest.split_once(", `")?;
    let (service, rest) = rest.split_once("` (")?;
    let (cid, error) = rest.split_once("): ")?;
    let (number, of) = (number.parse().ok()?, of.parse().ok()?);
    Some(StepOf { number, of, service, cid: cid.parse().ok()?, error })
}

/// What comes from outside.
pub(crate) enum Act {
    Call(Call),
    Group(Group),
    Chain(Chain),
    Cancel(usize, bool),
    /// Has something run again: mostly one of those that have failed.
    RunAgain(usize),
    Discard(usize),
    /// Pauses one of the services, or resumes it.
    Pause(usize, bool),
    /// Cancels all that runs: what waits to be told waits for ever.
    EndRunning,
    /// Shuts the bus down, waits so long for what runs, and starts it again so much later.
    Restart {
        limit: u64,
        down: u64,
    },
}

/// All that is done to one bus.
pub(crate) struct Plan {
    pub(crate) acts: Vec<(u64, Act)>,
    /// When it shuts down, and how long it waits then.
    pub(crate) shutdown: (u64, u64),
    pub(crate) max_running: Option<usize>,
    /// How many of what waits for a service are held in memory, where all is on a disk.
    pub(crate) window: usize,
}
