//! The decision that follows from the result of an attempt: an outcome or a retry. A pure function.

use std::time::{Duration, SystemTime};

use zato_core::{Backoff, Ending, Invocation, Outcome, Payload, Reply};

use crate::record::is_recorded_at_end;

/// What one attempt brought. Nothing in it is the user's own: their values are read and dropped where a panic is
/// caught.
#[derive(Debug)]
pub(crate) enum AttemptResult {
    /// The handler returned `Ok`, and this is its response.
    Completed(Payload),
    /// The handler returned `Err`.
    Failed { error: String, code: Option<Box<str>>, permanent: bool, delay: Option<Duration> },
    /// The request cannot be read; the handler did not run.
    Undecodable(String),
    /// The response cannot be written.
    Unwritable(String),
    /// The handler panicked, with this message.
    Panic(String),
    /// The attempt took longer than it may.
    TimedOut(Duration),
    /// The invocation's deadline passed during the attempt.
    DeadlinePassed,
    /// It was asked to stop, and had not done so after this time.
    Stopped(Duration),
    /// A shutdown reached its limit, and the engine keeps nothing.
    GivenUp,
}

/// The begin of the error of an invocation that a shutdown ends, because it is not kept for the next start.
pub(crate) const SHUT_DOWN: &str = "the runtime was shut down before it ended";

/// The error of an invocation that a shutdown ends, where the engine keeps nothing.
const NOT_KEPT: &str = "the runtime was shut down before it ended, and `memory:` keeps nothing";

/// The error of an invocation that a shutdown ends.
pub(crate) fn shut_down(invocation: &Invocation) -> String {
    if is_recorded_at_end(invocation) {
        format!("{SHUT_DOWN}, and a synchronous call is not kept for the next start: make the call again")
    } else {
        NOT_KEPT.to_owned()
    }
}

impl From<Reply> for AttemptResult {
    #[inline]
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Completed(response) => Self::Completed(response),
            Reply::Failed(failure) => Self::Failed {
                error: failure.to_string(),
                code: failure.error_code().map(Into::into),
                permanent: failure.is_permanent(),
                delay: failure.delay(),
            },
            Reply::Undecodable(error) => Self::Undecodable(error.to_string()),
            Reply::Unwritable(error) => Self::Unwritable(error.to_string()),
        }
    }
}

impl AttemptResult {
    /// What the attempt says of itself, where it did not complete; cut off where it says too much.
    fn error(&self, service: &str) -> String {
        let mut error = match self {
            Self::Completed(_) => String::new(),
            Self::Failed { error, .. } => error.clone(),
            Self::Undecodable(error) => format!("`{service}` cannot read its request: {error}"),
            Self::Unwritable(error) => format!("the response of `{service}` is lost: {error}"),
            Self::Panic(message) => format!("the handler panicked: {message}"),
            Self::TimedOut(limit) => format!("it took longer than its timeout of {limit:?}"),
            Self::DeadlinePassed => "its deadline passed while it ran".to_owned(),
            Self::Stopped(grace) => format!("its handler was dropped: it had not ended {grace:?} later"),
            Self::GivenUp => NOT_KEPT.to_owned(),
        };
        if error.len() > MAX_ERROR {
            error.truncate(error.floor_char_boundary(MAX_ERROR));
            error.push_str(" ... (cut off)");
        }
        error
    }

    /// The code that the handler gave its failure.
    fn take_code(&mut self) -> Option<Box<str>> {
        match self {
            Self::Failed { code, .. } => code.take(),
            _ => None,
        }
    }
}

/// How long an error's text may be, in bytes: it is remembered, logged and sent to failure callbacks.
const MAX_ERROR: usize = 16 * 1024;

/// The longest wait before another attempt: what is further away no clock can tell.
const MAX_WAIT: Duration = Duration::from_hours(24 * 365 * 100);

/// What holds for an invocation's attempts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// How many attempts may end by themselves; none for a synchronous call, which has one, and whose caller
    /// may make another.
    pub(crate) max_attempts: Option<u32>,
    /// How long to wait between them.
    pub(crate) backoff: Backoff,
    /// The largest response in bytes.
    pub(crate) max_payload: usize,
    /// When all of it must have ended.
    pub(crate) deadline: Option<SystemTime>,
    /// Whether the engine keeps what has not ended for the next start.
    pub(crate) is_kept: bool,
    /// Whether the caller waits for the response: the service's `max_attempts` does not hold for its call then.
    pub(crate) is_awaited: bool,
}

/// Where the invocation stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryInput<'a> {
    /// The service's name, for messages.
    pub(crate) service: &'a str,
    /// How many attempts have ended by themselves, with the one that brought this.
    pub(crate) failed: u32,
    /// Whether the attempt had been asked to stop.
    pub(crate) is_cancelled: bool,
    /// Whether its handler has seen that the runtime shuts down.
    pub(crate) is_interrupted: bool,
    /// How many attempts before it do not count: a shutdown interrupted them, or their process died.
    pub(crate) uncounted: u32,
    /// Whether a shutdown, if one is under way, leaves time for another attempt.
    pub(crate) has_time: bool,
    /// The time.
    pub(crate) now: SystemTime,
    /// A random number, for the backoff.
    pub(crate) chance: u64,
}

/// What follows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The invocation ends.
    End(Outcome),
    /// Another attempt, because of this error.
    Retry {
        /// When it may start; none after the next start of the program.
        at: Option<SystemTime>,
        /// Whether the attempt that is over counts: not where a shutdown interrupted it.
        counts: bool,
        error: String,
        code: Option<Box<str>>,
    },
}

/// What follows from what an attempt brought.
pub(crate) fn decide(policy: &Policy, standing: RetryInput<'_>, mut brought: AttemptResult) -> Decision {
    let error = brought.error(standing.service);
    let code = brought.take_code();
    let end = |outcome: fn(Ending) -> Outcome, error: String, code, permanent| {
        Decision::End(outcome(Ending::new(error, permanent).with_code(code)))
    };
    match brought {
        AttemptResult::Completed(response) => Decision::End(completed(response, policy.max_payload)),
        AttemptResult::Stopped(_) => {
            end(Outcome::Cancelled, format!("it was cancelled, and {error}"), code, false)
        }
        AttemptResult::GivenUp => end(Outcome::Cancelled, error, None, false),
        _ if standing.is_cancelled => {
            end(Outcome::Cancelled, format!("it was cancelled, and ended so: {error}"), code, false)
        }
        AttemptResult::Undecodable(_) => end(Outcome::Undecodable, error, code, true),
        AttemptResult::Unwritable(_) | AttemptResult::Failed { permanent: true, .. } => {
            end(Outcome::Failed, error, code, true)
        }
        AttemptResult::Failed { delay, .. } if standing.is_interrupted => {
            interrupted(policy, standing, (error, code), delay)
        }
        AttemptResult::Failed { delay, .. } => again(policy, standing, Outcome::Failed, (error, code), delay),
        AttemptResult::Panic(_) => again(policy, standing, Outcome::Failed, (error, code), None),
        AttemptResult::TimedOut(_) => again(policy, standing, Outcome::TimedOut, (error, code), None),
        AttemptResult::DeadlinePassed => end(Outcome::TimedOut, error, code, false),
    }
}

/// An error, and its code.
type Cause = (String, Option<Box<str>>);

/// An attempt that a shutdown interrupted does not count. What the engine keeps runs again after the next start. Otherwise
/// there is one more attempt, if there is time for it: a second one that is interrupted would be followed by a third.
fn interrupted(
    policy: &Policy,
    standing: RetryInput<'_>,
    (error, code): Cause,
    delay: Option<Duration>,
) -> Decision {
    if policy.is_kept {
        return Decision::Retry { at: None, counts: false, error, code };
    }
    if standing.uncounted > 0 || !standing.has_time {
        let error = format!("{SHUT_DOWN}; the shutdown interrupted its last attempt: {error}");
        return Decision::End(Outcome::Cancelled(Ending::new(error, false).with_code(code)));
    }
    match next_at(policy, standing, delay) {
        Some(at) => Decision::Retry { at: Some(at), counts: false, error, code },
        None => too_late(policy, standing, (error, code)),
    }
}

/// Another attempt, if one is left and comes in time; else the outcome.
fn again(
    policy: &Policy,
    standing: RetryInput<'_>,
    outcome: fn(Ending) -> Outcome,
    (error, code): (String, Option<Box<str>>),
    delay: Option<Duration>,
) -> Decision {
    let (failed, Some(most)) = (standing.failed, policy.max_attempts) else {
        return Decision::End(outcome(Ending::new(error, false).with_code(code)));
    };
    if failed >= most {
        let hint = match most {
            1 if policy.is_awaited => {
                "; a synchronous call is retried only with `.max_attempts(..)` on the call"
            }
            1 => "; set `max_attempts` to have it tried again",
            _ => "",
        };
        let error = format!("{error} ({}{hint})", attempts(failed, most, standing.uncounted));
        return Decision::End(outcome(Ending::new(error, false).with_code(code)));
    }
    match next_at(policy, standing, delay) {
        Some(at) => Decision::Retry { at: Some(at), counts: true, error, code },
        None => too_late(policy, standing, (error, code)),
    }
}

/// When the next attempt may start; `None` if that is after the deadline, or later than any clock can tell.
fn next_at(policy: &Policy, standing: RetryInput<'_>, delay: Option<Duration>) -> Option<SystemTime> {
    let wait = delay.unwrap_or_else(|| backoff(policy.backoff, standing.failed, standing.chance));
    let at = standing.now.checked_add(wait.min(MAX_WAIT))?;
    policy.deadline.is_none_or(|deadline| at < deadline).then_some(at)
}

fn too_late(policy: &Policy, standing: RetryInput<'_>, (error, code): Cause) -> Decision {
    let most = policy.max_attempts.unwrap_or(1);
    let attempts = attempts(standing.failed, most, standing.uncounted);
    let error = format!("{error} ({attempts}; the next would come after the deadline)");
    Decision::End(Outcome::Failed(Ending::new(error, false).with_code(code)))
}

/// `attempt 4 of 4`, and how many more were made that do not count.
pub(crate) fn attempts(failed: u32, most: u32, uncounted: u32) -> String {
    match uncounted {
        0 => format!("attempt {failed} of {most}"),
        _ => format!("attempt {failed} of {most}, and {uncounted} interrupted"),
    }
}

/// The wait before the retry that follows the `failed`-th failure. The n-th retry of an exponential backoff waits at random
/// between `from` and `from` x 2^n, at most `to`, and so never less than `from`.
fn backoff(backoff: Backoff, failed: u32, chance: u64) -> Duration {
    match backoff {
        Backoff::Fixed(wait) => wait,
        Backoff::Exponential { from, to } => {
            let limit = from.checked_mul(1 << failed.min(31)).unwrap_or(to).min(to).max(from);
            let spread = u64::try_from(limit.saturating_sub(from).as_nanos())
                .unwrap_or(u64::MAX - 1)
                .min(u64::MAX - 1);
            from + Duration::from_nanos(chance % (spread + 1))
        }
    }
}

/// The outcome of an attempt that completed; a response above `max_payload` bytes is a permanent failure.
pub(crate) fn completed(response: Payload, max_payload: usize) -> Outcome {
    if response.len() <= max_payload {
        return Outcome::Completed(response);
    }
    let error = format!(
        "the response is {} bytes, above the limit of {max_payload} bytes: return a reference to the data, or \
         raise `max_payload`",
        response.len()
    );
    Outcome::Failed(Ending::new(error, true))
}

#[cfg(test)]
mod tests {
    use zato_core::Failure;

    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    const SECOND: Duration = Duration::from_secs(1);

    fn policy(max_attempts: u32) -> Policy {
        Policy {
            max_attempts: Some(max_attempts),
            backoff: Backoff::Fixed(SECOND),
            max_payload: 4,
            deadline: None,
            is_kept: true,
            is_awaited: false,
        }
    }

    fn after(failed: u32, policy: &Policy, brought: AttemptResult) -> Decision {
        decide(
            policy,
            RetryInput {
                service: "a.b",
                failed,
                is_cancelled: false,
                is_interrupted: false,
                uncounted: 0,
                has_time: true,
                now: NOW,
                chance: 7,
            },
            brought,
        )
    }

    fn failed(failure: Failure) -> AttemptResult {
        AttemptResult::from(Reply::Failed(failure))
    }

    #[test]
    fn the_last_attempt_names_the_setting_that_allows_more() {
        let error = |policy: &Policy| match after(1, policy, failed(Failure::new("not yet"))) {
            Decision::End(outcome) => outcome.error().unwrap_or_default().to_owned(),
            other @ Decision::Retry { .. } => panic!("{other:?}"),
        };
        let once = "attempt 1 of 1; set `max_attempts` to have it tried again";
        assert!(error(&policy(1)).contains(once));
        let awaited = Policy { is_awaited: true, ..policy(1) };
        assert!(
            error(&awaited)
                .contains("a synchronous call is retried only with `.max_attempts(..)` on the call")
        );
    }

    #[test]
    fn every_end_has_its_outcome() {
        let undecodable = Payload::text("x").decode::<u8>().expect_err("`x` is no number");
        let unsure = || Failure::new("disk on fire");
        let cases = [
            (AttemptResult::Completed(Payload::text("four")), 1, "Completed: four", None),
            (AttemptResult::Completed(Payload::text("fives")), 9, "above the limit of 4 bytes", Some(true)),
            (
                AttemptResult::from(Reply::Undecodable(undecodable)),
                9,
                "Undecodable: `a.b` cannot read",
                Some(true),
            ),
            (failed(Failure::permanent("no such order")), 9, "Failed: no such order", Some(true)),
            (
                failed(unsure()),
                1,
                "disk on fire (attempt 1 of 1; set `max_attempts` to have it tried again)",
                Some(false),
            ),
            (failed(Failure::retry_after(SECOND).because("busy")), 1, "busy (attempt 1 of 1", Some(false)),
            (AttemptResult::Panic("boom".into()), 1, "Failed: the handler panicked: boom", Some(false)),
            (
                AttemptResult::TimedOut(SECOND),
                1,
                "TimedOut: it took longer than its timeout of 1s",
                Some(false),
            ),
            (AttemptResult::DeadlinePassed, 9, "TimedOut: its deadline passed while it ran", Some(false)),
        ];
        for (brought, most, expected, permanent) in cases {
            let Decision::End(outcome) = after(1, &policy(most), brought) else {
                panic!("{expected}: not ended")
            };
            assert!(outcome.to_string().contains(expected), "{outcome} says `{expected}`");
            assert_eq!(outcome.ending().map(|ending| ending.permanent), permanent, "{outcome}");
        }
    }

    #[test]
    fn what_was_asked_to_stop_is_cancelled_unless_it_completed() {
        let cases = [
            (AttemptResult::Completed(Payload::text("four")), "Completed: four"),
            (failed(Failure::new("interrupted")), "Cancelled: it was cancelled, and ended so: interrupted"),
            (failed(Failure::permanent("no")), "Cancelled: it was cancelled, and ended so: no"),
            (
                AttemptResult::Panic("boom".into()),
                "Cancelled: it was cancelled, and ended so: the handler panicked: boom",
            ),
            (AttemptResult::TimedOut(SECOND), "Cancelled: it was cancelled, and ended so: it took longer"),
            (
                AttemptResult::Stopped(SECOND),
                "Cancelled: it was cancelled, and its handler was dropped: it had not ended 1s later",
            ),
        ];
        for (brought, expected) in cases {
            let standing = RetryInput {
                service: "a.b",
                failed: 1,
                is_cancelled: true,
                is_interrupted: true,
                uncounted: 0,
                has_time: true,
                now: NOW,
                chance: 7,
            };
            let Decision::End(outcome) = decide(&policy(9), standing, brought) else {
                panic!("{expected}: again")
            };
            assert!(outcome.to_string().starts_with(expected), "{outcome}");
        }
    }

    #[test]
    fn what_may_succeed_is_tried_again_until_its_attempts_are_used_up() {
        for brought in [
            || failed(Failure::new("no")),
            || AttemptResult::Panic("no".into()),
            || AttemptResult::TimedOut(SECOND),
        ] {
            for attempt in 1..3 {
                let decision = after(attempt, &policy(3), brought());
                assert!(
                    matches!(decision, Decision::Retry { at: Some(at), .. } if at == NOW + SECOND),
                    "{decision:?}"
                );
            }
            let Decision::End(outcome) = after(3, &policy(3), brought()) else { panic!("a fourth attempt") };
            assert!(outcome.to_string().ends_with("(attempt 3 of 3)"), "{outcome}");
        }
    }

    fn interrupted(is_kept: bool, uncounted: u32, has_time: bool, brought: AttemptResult) -> Decision {
        let standing = RetryInput {
            service: "a.b",
            failed: 1,
            is_cancelled: false,
            is_interrupted: true,
            uncounted,
            has_time,
            now: NOW,
            chance: 7,
        };
        decide(&Policy { is_kept, ..policy(1) }, standing, brought)
    }

    #[test]
    fn an_interrupted_attempt_that_is_kept_does_not_count_and_waits_for_the_next_start() {
        let stopped = || failed(Failure::new("stopped"));
        for (uncounted, has_time) in [(0, true), (0, false), (5, true), (5, false)] {
            let again = Decision::Retry { at: None, counts: false, error: "stopped".to_owned(), code: None };
            assert_eq!(interrupted(true, uncounted, has_time, stopped()), again);
        }
        for brought in [
            failed(Failure::permanent("no")),
            AttemptResult::Panic("no".into()),
            AttemptResult::TimedOut(SECOND),
        ] {
            assert!(matches!(interrupted(true, 0, true, brought), Decision::End(_)));
        }
        assert!(matches!(
            interrupted(true, 0, true, AttemptResult::Completed(Payload::empty())),
            Decision::End(_)
        ));
    }

    #[test]
    fn an_interrupted_attempt_that_is_not_kept_is_made_again_once_if_there_is_time() {
        let stopped = || failed(Failure::new("stopped"));
        let error = "stopped".to_owned();
        let again = Decision::Retry { at: Some(NOW + SECOND), counts: false, error, code: None };
        assert_eq!(interrupted(false, 0, true, stopped()), again, "though it had one attempt");
        for (uncounted, has_time) in [(1, true), (0, false)] {
            let Decision::End(Outcome::Cancelled(ending)) =
                interrupted(false, uncounted, has_time, stopped())
            else {
                panic!("it loops")
            };
            assert!(ending.error.starts_with(SHUT_DOWN) && ending.error.ends_with("stopped"), "{ending:?}");
        }
    }

    #[test]
    fn attempts_that_do_not_count_are_named_beside_those_that_do() {
        let standing = RetryInput {
            service: "a.b",
            failed: 4,
            is_cancelled: false,
            is_interrupted: false,
            uncounted: 2,
            has_time: true,
            now: NOW,
            chance: 7,
        };
        let Decision::End(outcome) = decide(&policy(4), standing, failed(Failure::new("no"))) else {
            panic!("a fifth attempt")
        };
        assert_eq!(outcome.to_string(), "Failed: no (attempt 4 of 4, and 2 interrupted)");
    }

    #[test]
    fn a_handler_may_say_when() {
        let decision = after(1, &policy(2), failed(Failure::retry_after(5 * SECOND)));
        assert!(
            matches!(decision, Decision::Retry { at: Some(at), .. } if at == NOW + 5 * SECOND),
            "{decision:?}"
        );
    }

    #[test]
    fn what_no_clock_can_tell_is_never() {
        let decision = after(1, &policy(2), failed(Failure::retry_after(Duration::MAX)));
        assert!(
            matches!(decision, Decision::Retry { at: Some(at), .. } if at == NOW + MAX_WAIT),
            "{decision:?}"
        );
    }

    #[test]
    fn an_error_that_says_too_much_is_cut_off() {
        let Decision::End(outcome) = after(1, &policy(1), failed(Failure::permanent("ä".repeat(1 << 20))))
        else {
            panic!("a permanent failure ends it")
        };
        assert!(
            outcome.error().is_some_and(|error| error.len() < MAX_ERROR + 100 && error.contains("cut off"))
        );
    }

    #[test]
    fn a_retry_due_after_the_deadline_ends_now() {
        let policy = Policy { deadline: Some(NOW + SECOND), ..policy(5) };
        let Decision::End(outcome) = after(1, &policy, failed(Failure::new("no"))) else { panic!("again") };
        assert!(
            outcome
                .to_string()
                .contains("Failed: no (attempt 1 of 5; the next would come after the deadline)")
        );
    }

    #[test]
    fn a_backoff_waits_between_its_first_bound_and_one_that_doubles() {
        let growing = Backoff::Exponential { from: SECOND, to: 10 * SECOND };
        for (failed, limit) in [(1, 2), (2, 4), (3, 8), (4, 10), (5, 10), (60, 10)] {
            let limit = limit * SECOND;
            let spread = u64::try_from(limit.saturating_sub(SECOND).as_nanos()).expect("it fits");
            assert_eq!(backoff(growing, failed, 0), SECOND);
            assert_eq!(backoff(growing, failed, spread), limit);
            assert_eq!(backoff(growing, failed, spread + 1), SECOND);
            for chance in [1, 12_345, u64::MAX / 3, u64::MAX] {
                let wait = backoff(growing, failed, chance);
                assert!((SECOND..=limit).contains(&wait), "{wait:?} after {failed}");
            }
        }
        assert_eq!(backoff(Backoff::Fixed(SECOND), 9, 12_345), SECOND);
    }
}
