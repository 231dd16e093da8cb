//! What handlers are told to do, and what is asked of a bus from outside.

use serde::{Deserialize, Serialize};

/// The services that do what they are told.
pub(crate) const WORKERS: [&str; 6] = ["crash.work", "crash.twin", "crash.plain", LINE, RANKED, STURDY];
/// How many of them, from the first, random scripts call everywhere.
pub(crate) const ANYWHERE: u64 = 3;
/// The one of them that is not called at random: one at a time, of many that wait.
pub(crate) const LINE: &str = "crash.line";
/// Runs one at a time, the highest priority first.
pub(crate) const RANKED: &str = "crash.ranked";
/// Survives [`STURDY_LOSSES`] - 1 deaths of its process, by its own attribute.
pub(crate) const STURDY: &str = "crash.sturdy";
pub(crate) const STURDY_LOSSES: i64 = 5;
/// Receives responses.
pub(crate) const REPLY: &str = "crash.reply";
/// Receives failure reports.
pub(crate) const REPORT: &str = "crash.report";
/// Receives all outcomes of a fan-out.
pub(crate) const LAST: &str = "crash.last";
/// A step of a chain after the first.
pub(crate) const STEP: &str = "crash.step";
/// Kills its process.
pub(crate) const POISON: &str = "crash.poison";

/// The request of a worker. Its ID stands nowhere else in what one handler, or the world outside, asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) does: Vec<Do>,
    #[serde(default)]
    pub(crate) ends: End,
    /// For the first step of a chain: the step that fails, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fails_at: Option<u32>,
}

/// The response of a worker and of a step, and the request of the step after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) id: String,
    /// How many steps have been made.
    pub(crate) steps: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fails_at: Option<u32>,
}

/// One thing that a handler does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Do {
    Call(Call),
    Group(Group),
    Chain(Chain),
    /// Calls a worker synchronously.
    Sync(usize, Work),
    /// Waits for so many milliseconds.
    Wait(u64),
}

/// How a handler ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    #[default]
    Well,
    /// In an error up to this attempt, and well after it.
    FailsUntil(u32),
    /// In an error that no further attempt can mend.
    FailsForGood,
    /// In a panic up to this attempt, and well after it.
    PanicsUntil(u32),
}

/// An asynchronous call of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Call {
    /// Its index in [`WORKERS`].
    pub(crate) worker: usize,
    pub(crate) work: Work,
    pub(crate) replies: Replies,
    #[serde(flatten)]
    pub(crate) options: Options,
}

/// What a call asks for, in milliseconds where it is a time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delay: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<i8>,
    /// A concurrency key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lane: Option<String>,
    /// How many deaths of the process end it as lost; the default of the library where it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) losses: Option<u32>,
    /// An idempotency key: all calls under it are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) once: Option<String>,
}

/// Who receives what comes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Replies {
    /// The callbacks of the caller's name.
    Convention,
    /// [`REPLY`] twice, and [`REPORT`].
    Named,
    /// Nobody.
    None,
}

/// Pauses or resumes a service, after a wait of so many milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Switch {
    pub(crate) service: &'static str,
    pub(crate) pauses: bool,
    pub(crate) after: u64,
}

/// Calls that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) id: String,
    /// By `fan_out`, else by `parallel`.
    pub(crate) fans_out: bool,
    /// What is told each outcome, and what all of them.
    pub(crate) each: bool,
    pub(crate) last: bool,
    /// The ID of the n-th is that of the group, a dot and n.
    pub(crate) members: Vec<(usize, Work)>,
}

/// Steps one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chain {
    pub(crate) worker: usize,
    /// Its ID is that of the chain.
    pub(crate) work: Work,
    /// How many steps come after the first.
    pub(crate) steps: u32,
    pub(crate) replies: Replies,
}

/// What is asked of a bus from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// With the CID that it is to have, if it brings one, and whether its outcome is waited for.
    Call(Call, Option<String>, bool),
    Group(Group),
    Chain(Chain),
    Sync(usize, Work),
    /// A call that kills the process; it may do so this often.
    Poison(Work, u32),
    /// Cancels something that was asked for in the same life, perhaps with what it has invoked.
    Cancel(usize, bool),
    /// Runs the newest dead letter of this worker again.
    RunAgain(usize),
}
