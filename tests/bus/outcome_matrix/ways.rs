//! Every way to every outcome.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use zato_core::InvokeAsync;
use zato_core::target::AnyResponse;

use super::hold::Hold;
use super::services::{Do, Then};

/// A call, and what happens to it until it has ended.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) name: String,
    pub(super) target: &'static str,
    pub(super) request: Value,
    /// Of a chain: the steps after the first.
    pub(super) then: &'static [&'static str],
    pub(super) ask: fn(InvokeAsync<'_, AnyResponse>) -> InvokeAsync<'_, AnyResponse>,
    /// What keeps it from starting.
    pub(super) hold: Hold,
    pub(super) end: End,
    /// How the text of its outcome begins.
    pub(super) outcome: &'static str,
    /// How many attempts are made.
    pub(super) attempts: u32,
    /// Of a chain: how many of its steps are called.
    pub(super) steps: usize,
}

/// What ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its handler, or its time.
    Itself,
    /// It is cancelled.
    Cancel,
    /// It is cancelled with the tree that it belongs to.
    CancelTree,
    /// The limit of a shutdown.
    Shutdown,
}

type Call<'a> = InvokeAsync<'a, AnyResponse>;

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// When those have expired that are to expire, or must have ended.
const LIMIT: Duration = seconds(4);

fn deadline(call: Call<'_>) -> Call<'_> {
    call.deadline(SystemTime::now() + LIMIT)
}

/// A call of the target that does this in its attempts, and ends so after as many of them.
fn way(name: &str, script: &[Do], outcome: &'static str) -> Way {
    Way {
        name: name.to_owned(),
        target: "table.target",
        request: json!(script),
        then: &[],
        ask: |call| call,
        hold: Hold::Nothing,
        end: End::Itself,
        outcome,
        attempts: u32::try_from(script.len()).expect("scripts are short"),
        steps: 0,
    }
}

fn three(call: Call<'_>) -> Call<'_> {
    call.max_attempts(3).backoff("1s")
}

/// A chain of which so many steps are called. Its attempts are those of the step that ended it.
fn chain(name: &str, script: &[Do], then: &'static [&'static str], outcome: &'static str) -> Way {
    Way { then, steps: 1, ..way(name, script, outcome) }
}

pub(super) fn completed() -> Vec<Way> {
    let told = way("cancelled, and done within the grace", &[Do::Told(Then::Succeed)], "Completed: done");
    vec![
        way("at once", &[Do::Succeed], "Completed: done"),
        way("after waiting", &[Do::SucceedLater], "Completed: done"),
        Way {
            ask: three,
            ..way("on the last attempt", &[Do::Fail, Do::Panic, Do::Succeed], "Completed: done")
        },
        Way { end: End::Cancel, ..told.clone() },
        Way { name: "cancelled with its tree, and done".to_owned(), end: End::CancelTree, ..told.clone() },
        Way { name: "done when told of a shutdown".to_owned(), end: End::Shutdown, ..told },
        Way {
            ask: |call| call.expires_in(seconds(1) / 2),
            ..way("started before it expired", &[Do::SucceedLater], "Completed: done")
        },
        Way {
            ask: |call| call.expires_in(seconds(1)).max_attempts(2),
            ..way("expired between its attempts", &[Do::Retry(5), Do::Succeed], "Completed: done")
        },
        Way { ask: deadline, ..way("before its deadline", &[Do::SucceedLater], "Completed: done") },
        Way { steps: 3, ..chain("a chain", &[Do::Succeed], &["zato.helpers.echo"; 2], "Completed: done") },
    ]
}

pub(super) fn failed() -> Vec<Way> {
    let x = "Failed: invalid digit found in string (attempt";
    vec![
        way("a permanent failure", &[Do::FailForGood], "Failed: for good"),
        Way {
            ask: three,
            ..way(
                "a permanent failure on the second attempt",
                &[Do::Fail, Do::FailForGood],
                "Failed: for good",
            )
        },
        way("an error and one attempt", &[Do::Fail], x),
        Way { ask: three, ..way("its attempts used up", &[Do::Fail; 3], x) },
        way("a panic", &[Do::Panic], "Failed: the handler panicked: at once (attempt 1 of 1"),
        Way {
            ask: three,
            ..way(
                "a panic on the last attempt",
                &[Do::Fail, Do::Fail, Do::Panic],
                "Failed: the handler panicked: at once (attempt 3 of 3)",
            )
        },
        way(
            "a panic after waiting",
            &[Do::PanicLater],
            "Failed: the handler panicked: later (attempt 1 of 1",
        ),
        Way {
            ask: three,
            ..way("a response that is too large", &[Do::TooMuch], "Failed: the response is 10001 bytes")
        },
        Way {
            ask: three,
            ..way(
                "a response that cannot be written",
                &[Do::Unwritable],
                "Failed: the response of `table.target`",
            )
        },
        Way {
            ask: |call| deadline(call).max_attempts(2),
            ..way(
                "a retry due after the deadline",
                &[Do::Retry(60)],
                "Failed: busy (attempt 1 of 2; the next would come after the deadline)",
            )
        },
        Way {
            ask: |call| deadline(call).max_attempts(2).timeout(seconds(1)).backoff("1h"),
            ..way(
                "a retry due after the deadline, of one that took too long",
                &[Do::Hold],
                "Failed: it took longer than its timeout of 1s (attempt 1 of 2; the next would come after the",
            )
        },
        chain(
            "a chain's first step",
            &[Do::FailForGood],
            &["table.reply"],
            "Failed: step 1 of 2, `table.target` (",
        ),
    ]
}

pub(super) fn timed_out() -> Vec<Way> {
    let too_long = "TimedOut: it took longer than its timeout of 2s (attempt";
    let mut ways = vec![
        Way { ask: |call| call.timeout(seconds(2)), ..way("its only attempt", &[Do::Hold], too_long) },
        Way {
            ask: |call| three(call).timeout(seconds(2)),
            ..way("its last attempt", &[Do::Fail, Do::Hold, Do::Hold], too_long)
        },
        Way {
            ask: |call| deadline(call).max_attempts(3),
            ..way("its deadline while it ran", &[Do::Hold], "TimedOut: its deadline passed while it ran")
        },
        Way {
            target: "table.timed",
            ..chain(
                "a chain's first step",
                &[Do::Hold],
                &["table.reply"],
                "TimedOut: step 1 of 2, `table.timed` (",
            )
        },
    ];
    for hold in Hold::ALL {
        // What would be due after its deadline is refused, or fails.
        if !matches!(hold, Hold::Delay | Hold::Retry) {
            let outcome = match hold.attempts() {
                0 => "TimedOut: its deadline passed before its first attempt",
                _ => "TimedOut: its deadline passed after 1 attempt, while it waited",
            };
            ways.push(held("its deadline", hold, outcome, |call| call.deadline(SystemTime::now() + LIMIT)));
        }
    }
    ways
}

pub(super) fn expired() -> Vec<Way> {
    let held = |hold: &Hold| {
        let outcome = "Expired: it was not started before it expired";
        held("it expires", *hold, outcome, |call| call.expires_in(LIMIT))
    };
    // It concerns the first start alone.
    Hold::ALL.iter().filter(|hold| hold.attempts() == 0).map(held).collect()
}

pub(super) fn cancelled() -> Vec<Way> {
    let told = |name: &str, then, outcome| Way { end: End::Cancel, ..way(name, &[Do::Told(then)], outcome) };
    let interrupted = "Cancelled: it was cancelled, and ended so: interrupted";
    let dropped = "Cancelled: it was cancelled, and its handler was dropped: it had not ended 5s later";
    let panicked = "Cancelled: it was cancelled, and ended so: the handler panicked: interrupted";
    let shut_down = "Cancelled: the runtime was shut down before it ended";
    let paused = Way {
        hold: Hold::Pause,
        attempts: 0,
        end: End::Cancel,
        ..chain("", &[Do::Succeed], &["table.reply"], "")
    };
    let mut ways = vec![
        told("an error after it was told", Then::Fail, interrupted),
        told("a panic after it was told", Then::Panic, panicked),
        told("dropped after the grace", Then::GoOn, dropped),
        Way { end: End::CancelTree, ..told("an error, told with its tree", Then::Fail, interrupted) },
        Way { end: End::CancelTree, ..told("dropped, told with its tree", Then::GoOn, dropped) },
        Way { end: End::Shutdown, ..told("running at the limit of a shutdown", Then::GoOn, shut_down) },
        Way { end: End::Shutdown, ..told("interrupted by a shutdown", Then::Fail, shut_down) },
        Way {
            name: "a chain, whose first step is paused".to_owned(),
            outcome: "Cancelled: step 1 of 2, `table.target` (",
            ..paused.clone()
        },
        Way {
            name: "a chain, with its tree".to_owned(),
            outcome: "Cancelled: step 1 of 2, `table.target` (",
            end: End::CancelTree,
            ..paused.clone()
        },
        Way {
            name: "a chain, at the limit of a shutdown".to_owned(),
            outcome: "Cancelled: step 1 of 2, `table.target` (",
            end: End::Shutdown,
            ..paused
        },
        Way {
            end: End::Cancel,
            ..chain(
                "a chain, whose first step runs",
                &[Do::Told(Then::Fail)],
                &["table.reply"],
                "Cancelled: step 1 of 2, `table.target` (",
            )
        },
    ];
    for hold in Hold::ALL {
        for (name, end, outcome) in [
            ("it is cancelled", End::Cancel, "Cancelled: it was cancelled while it waited"),
            ("its tree is cancelled", End::CancelTree, "Cancelled: it was cancelled while it waited"),
            ("a shutdown", End::Shutdown, shut_down),
        ] {
            ways.push(Way { end, ..held(name, hold, outcome, |call| call) });
        }
    }
    ways
}

pub(super) fn undecodable() -> Vec<Way> {
    let read = |name: &str, target, request| Way {
        target,
        request,
        ask: three,
        ..way(name, &[Do::Succeed], "Undecodable: `table.")
    };
    vec![
        read("json of another shape", "table.target", json!({"Succeed": 1})),
        read("json with an unknown variant", "table.target", json!(["Succede"])),
        read("a text for a number", "table.number", json!("seven")),
        read("nothing for a number", "table.number", Value::Null),
        Way {
            steps: 2,
            ..chain(
                "the response of the step before",
                &[Do::Succeed],
                &["table.number", "table.reply"],
                "Undecodable: step 2 of 3, `table.number` (",
            )
        },
    ]
}

/// What is held up, and ends so.
fn held(name: &str, hold: Hold, outcome: &'static str, ask: fn(Call<'_>) -> Call<'_>) -> Way {
    let script = hold.script();
    let name = format!("{name}, {hold:?}");
    Way { target: hold.target(), ask, hold, attempts: hold.attempts(), ..way(&name, script, outcome) }
}
