//! What follows from what an attempt brought: a pure function.

use zato_core::{Ending, Outcome, Payload, Reply};

/// What one attempt brought.
#[derive(Debug)]
pub(crate) enum Brought {
    /// The handler was run, or its request could not be read.
    Reply(Reply),
    /// The handler panicked, with this message.
    Panic(String),
}

/// The outcome of an invocation whose last attempt brought this. A response above `max_payload` bytes is a
/// permanent failure.
pub(crate) fn outcome(service: &str, brought: Brought, max_payload: usize) -> Outcome {
    match brought {
        Brought::Reply(Reply::Completed(response)) => completed(response, max_payload),
        Brought::Reply(Reply::Failed(failure)) => {
            Outcome::Failed(Ending::new(failure.to_string(), failure.is_permanent()))
        }
        Brought::Reply(Reply::Undecodable(error)) => {
            Outcome::Undecodable(Ending::new(format!("`{service}` cannot read its request: {error}"), true))
        }
        Brought::Reply(Reply::Unwritable(error)) => {
            Outcome::Failed(Ending::new(format!("the response of `{service}` is lost: {error}"), true))
        }
        Brought::Panic(message) => {
            Outcome::Failed(Ending::new(format!("the handler panicked: {message}"), false))
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
    use zato_core::Failure;

    use super::*;

    fn reply(reply: Reply) -> Outcome {
        outcome("a.b", Brought::Reply(reply), 4)
    }

    #[test]
    fn every_reply_has_its_outcome() {
        let undecodable = Payload::text("x").decode::<u8>().expect_err("`x` is no number");
        let failed = std::io::Error::other("disk on fire");
        for (outcome, name, permanent, error) in [
            (reply(Reply::Completed(Payload::text("four"))), "Completed", None, ""),
            (
                reply(Reply::Completed(Payload::text("fives"))),
                "Failed",
                Some(true),
                "above the limit of 4 bytes",
            ),
            (reply(Reply::Failed(Failure::from(failed))), "Failed", Some(false), "disk on fire"),
            (
                reply(Reply::Failed(Failure::permanent("no such order"))),
                "Failed",
                Some(true),
                "no such order",
            ),
            (reply(Reply::Undecodable(undecodable)), "Undecodable", Some(true), "no `u8`"),
            (outcome("a.b", Brought::Panic("boom".into()), 4), "Failed", Some(false), "panicked: boom"),
        ] {
            assert_eq!(outcome.name(), name);
            assert_eq!(outcome.ending().map(|ending| ending.permanent), permanent);
            assert!(outcome.error().unwrap_or_default().contains(error), "{outcome} says `{error}`");
        }
    }
}
