//! What follows from what an attempt brought: a pure function.

use std::time::{Duration, SystemTime};

use zato_core::{Backoff, Ending, Failure, Outcome, Payload, Reply};

/// What one attempt brought.
#[derive(Debug)]
pub(crate) enum Brought {
    /// The handler was run, or its request could not be read.
    Reply(Reply),
    /// The handler panicked, with this message.
    Panic(String),
    /// The attempt took longer than it may.
    TimedOut(Duration),
    /// The invocation's deadline passed during the attempt.
    DeadlinePassed,
}

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
}

/// Where the invocation stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing<'a> {
    /// The service's name, for messages.
    pub(crate) service: &'a str,
    /// How many attempts have ended by themselves, with the one that brought this.
    pub(crate) failed: u32,
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
    /// Another attempt at some time, because of this error.
    Again { at: SystemTime, error: String },
}

/// What follows from what an attempt brought.
pub(crate) fn decide(policy: &Policy, standing: Standing<'_>, brought: Brought) -> Decision {
    let service = standing.service;
    let permanent = |error: String| Decision::End(Outcome::Failed(Ending::new(error, true)));
    match brought {
        Brought::Reply(Reply::Completed(response)) => Decision::End(completed(response, policy.max_payload)),
        Brought::Reply(Reply::Undecodable(error)) => Decision::End(Outcome::Undecodable(Ending::new(
            format!("`{service}` cannot read its request: {error}"),
            true,
        ))),
        Brought::Reply(Reply::Unwritable(error)) => {
            permanent(format!("the response of `{service}` is lost: {error}"))
        }
        Brought::Reply(Reply::Failed(failure)) if failure.is_permanent() => permanent(failure.to_string()),
        Brought::Reply(Reply::Failed(failure)) => again(policy, standing, &Tried::Failed(failure)),
        Brought::Panic(message) => {
            again(policy, standing, &Tried::Panicked(format!("the handler panicked: {message}")))
        }
        Brought::TimedOut(limit) => again(policy, standing, &Tried::TimedOut(limit)),
        Brought::DeadlinePassed => Decision::End(Outcome::TimedOut(Ending::new(
            format!("its deadline passed during attempt {}", standing.failed),
            false,
        ))),
    }
}

/// How an attempt ended that may be repeated.
enum Tried {
    Failed(Failure),
    Panicked(String),
    TimedOut(Duration),
}

impl Tried {
    fn error(&self) -> String {
        match self {
            Self::Failed(failure) => failure.to_string(),
            Self::Panicked(error) => error.clone(),
            Self::TimedOut(limit) => format!("it took longer than its timeout of {limit:?}"),
        }
    }

    fn outcome(&self, error: String) -> Outcome {
        let ending = Ending::new(error, false);
        match self {
            Self::TimedOut(_) => Outcome::TimedOut(ending),
            Self::Failed(_) | Self::Panicked(_) => Outcome::Failed(ending),
        }
    }
}

fn again(policy: &Policy, standing: Standing<'_>, tried: &Tried) -> Decision {
    let error = tried.error();
    let (failed, Some(most)) = (standing.failed, policy.max_attempts) else {
        return Decision::End(tried.outcome(error));
    };
    if failed >= most {
        let hint = if most == 1 { "; `max_attempts` allows more" } else { "" };
        return Decision::End(tried.outcome(format!("{error} (attempt {failed} of {most}{hint})")));
    }
    let wait = match tried {
        Tried::Failed(failure) => failure.delay(),
        Tried::Panicked(_) | Tried::TimedOut(_) => None,
    };
    let wait = wait.unwrap_or_else(|| backoff(policy.backoff, failed, standing.chance));
    match (standing.now.checked_add(wait), policy.deadline) {
        (Some(at), None) => Decision::Again { at, error },
        (Some(at), Some(deadline)) if at < deadline => Decision::Again { at, error },
        _ => {
            let error =
                format!("{error} (attempt {failed} of {most}; the next would come after the deadline)");
            Decision::End(Outcome::Failed(Ending::new(error, false)))
        }
    }
}

/// How long to wait after so many attempts; exponential with full jitter, as in "Exponential Backoff And
/// Jitter" (AWS Architecture Blog, 2015).
fn backoff(backoff: Backoff, failed: u32, chance: u64) -> Duration {
    match backoff {
        Backoff::Fixed(wait) => wait,
        Backoff::Exponential { from, to } => {
            let doublings = failed.saturating_sub(1).min(31);
            let limit = from.checked_mul(1 << doublings).unwrap_or(to).min(to);
            let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX - 1);
            Duration::from_nanos(chance % (nanos + 1))
        }
    }
}

fn completed(response: Payload, max_payload: usize) -> Outcome {
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
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    const SECOND: Duration = Duration::from_secs(1);

    fn policy(max_attempts: u32) -> Policy {
        Policy {
            max_attempts: Some(max_attempts),
            backoff: Backoff::Fixed(SECOND),
            max_payload: 4,
            deadline: None,
        }
    }

    fn after(failed: u32, policy: &Policy, brought: Brought) -> Decision {
        decide(policy, Standing { service: "a.b", failed, now: NOW, chance: 7 }, brought)
    }

    fn failed(failure: Failure) -> Brought {
        Brought::Reply(Reply::Failed(failure))
    }

    #[test]
    fn every_end_has_its_outcome() {
        let undecodable = Payload::text("x").decode::<u8>().expect_err("`x` is no number");
        let unsure = || Failure::new("disk on fire");
        let cases = [
            (Brought::Reply(Reply::Completed(Payload::text("four"))), 1, "Completed: four", None),
            (
                Brought::Reply(Reply::Completed(Payload::text("fives"))),
                9,
                "above the limit of 4 bytes",
                Some(true),
            ),
            (
                Brought::Reply(Reply::Undecodable(undecodable)),
                9,
                "Undecodable: `a.b` cannot read",
                Some(true),
            ),
            (failed(Failure::permanent("no such order")), 9, "Failed: no such order", Some(true)),
            (failed(unsure()), 1, "disk on fire (attempt 1 of 1; `max_attempts` allows more)", Some(false)),
            (failed(Failure::retry_after(SECOND).because("busy")), 1, "busy (attempt 1 of 1", Some(false)),
            (Brought::Panic("boom".into()), 1, "Failed: the handler panicked: boom", Some(false)),
            (Brought::TimedOut(SECOND), 1, "TimedOut: it took longer than its timeout of 1s", Some(false)),
            (Brought::DeadlinePassed, 9, "TimedOut: its deadline passed during attempt 1", Some(false)),
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
    fn what_may_succeed_is_tried_again_until_its_attempts_are_used_up() {
        for brought in
            [|| failed(Failure::new("no")), || Brought::Panic("no".into()), || Brought::TimedOut(SECOND)]
        {
            for attempt in 1..3 {
                let decision = after(attempt, &policy(3), brought());
                assert!(matches!(decision, Decision::Again { at, .. } if at == NOW + SECOND), "{decision:?}");
            }
            let Decision::End(outcome) = after(3, &policy(3), brought()) else { panic!("a fourth attempt") };
            assert!(outcome.to_string().ends_with("(attempt 3 of 3)"), "{outcome}");
        }
    }

    #[test]
    fn a_handler_may_say_when() {
        let decision = after(1, &policy(2), failed(Failure::retry_after(5 * SECOND)));
        assert!(matches!(decision, Decision::Again { at, .. } if at == NOW + 5 * SECOND), "{decision:?}");
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
    fn the_limit_of_a_backoff_doubles_and_jitter_stays_below_it() {
        let growing = Backoff::Exponential { from: SECOND, to: 10 * SECOND };
        for (failed, limit) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (60, 10)] {
            let limit = limit * SECOND;
            let nanos = u64::try_from(limit.as_nanos()).expect("it fits");
            assert_eq!(backoff(growing, failed, nanos), limit);
            assert_eq!(backoff(growing, failed, nanos + 1), Duration::ZERO);
            for chance in [0, 1, 12_345, u64::MAX / 3, u64::MAX] {
                assert!(backoff(growing, failed, chance) <= limit);
            }
        }
        assert_eq!(backoff(Backoff::Fixed(SECOND), 9, 12_345), SECOND);
    }
}
