//! The keys of `#[service(..)]`, and which of them a mistyped one was meant to be.

/// A key of the attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Name,
    Formerly,
    MaxAttempts,
    MaxLosses,
    Backoff,
    Timeout,
    Concurrency,
    Priority,
    Rate,
    Callback,
    OnFailure,
    Type,
    Crate,
}

impl Key {
    const ALL: [Self; 13] = [
        Self::Name,
        Self::Formerly,
        Self::MaxAttempts,
        Self::MaxLosses,
        Self::Backoff,
        Self::Timeout,
        Self::Concurrency,
        Self::Priority,
        Self::Rate,
        Self::Callback,
        Self::OnFailure,
        Self::Type,
        Self::Crate,
    ];

    /// The key, as it is written.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Formerly => "formerly",
            Self::MaxAttempts => "max_attempts",
            Self::MaxLosses => "max_losses",
            Self::Backoff => "backoff",
            Self::Timeout => "timeout",
            Self::Concurrency => "concurrency",
            Self::Priority => "priority",
            Self::Rate => "rate",
            Self::Callback => "callback",
            Self::OnFailure => "on_failure",
            Self::Type => "type",
            Self::Crate => "crate",
        }
    }

    /// The value that it takes, with an example.
    pub(crate) fn takes(self) -> &'static str {
        match self {
            Self::Name => "`name` takes a text: `name = \"orders.charge\"`",
            Self::Formerly => {
                "`formerly` takes a name or a list of names: `formerly = [\"orders.bill\", \"orders.pay\"]`"
            }
            Self::MaxAttempts => "`max_attempts` takes a number from 1 on: `max_attempts = 5`",
            Self::MaxLosses => "`max_losses` takes a number from 1 on: `max_losses = 3`",
            Self::Backoff => {
                "`backoff` takes a duration, or two that it grows between: `backoff = \"5s\"`, `backoff = \"1s..2m\"`"
            }
            Self::Timeout => "`timeout` takes a duration: `timeout = \"30s\"`",
            Self::Concurrency => "`concurrency` takes a number from 1 on: `concurrency = 8`",
            Self::Priority => {
                "`priority` takes a number from -128 to 127, higher goes first: `priority = 10`"
            }
            Self::Rate => "`rate` takes a number of starts in a stretch of time: `rate = \"100/s\"`",
            Self::Callback => {
                "`callback` takes a service's name or its type: `callback = \"orders.receipt\"`, `callback = Receipt`"
            }
            Self::OnFailure => {
                "`on_failure` takes a service's name or its type: `on_failure = \"orders.refused\"`, \
                 `on_failure = Refused`"
            }
            Self::Type => {
                "`type` takes a name for the type that the attribute writes for a function: `type = Charge`"
            }
            Self::Crate => {
                "`crate` takes the path to `zato-core`, or to what re-exports all of it: `crate = bus`, `crate = my::bus`"
            }
        }
    }

    /// The key of this text, or what to say of a text that is none.
    pub(crate) fn find(text: &str) -> Result<Self, String> {
        if let Some(key) = Self::ALL.into_iter().find(|key| key.text() == text) {
            return Ok(key);
        }
        let nearest = || {
            let nearest = Self::ALL.into_iter().map(|key| (distance(text, key.text()), key.text())).min();
            nearest.filter(|(distance, key)| *distance <= key.len().max(text.len()) / 2).map(|(_, key)| key)
        };
        let nearest = Self::called_elsewhere(text).map(Self::text).or_else(nearest);
        let nearest = nearest.map(|key| format!("did you mean `{key}`? ")).unwrap_or_default();
        let all = Self::ALL.map(|key| format!("`{}`", key.text())).join(", ");
        Err(format!("`{text}` is not a key of #[service]: {nearest}the keys are {all}"))
    }
}

impl Key {
    /// The key for what other libraries call so.
    fn called_elsewhere(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "retries" | "retry" | "max_retries" | "attempts" | "tries" => Self::MaxAttempts,
            "on_error" | "errback" | "failure" | "on_failed" => Self::OnFailure,
            "parallelism" | "workers" | "max_concurrency" | "concurrent" => Self::Concurrency,
            "on_success" | "link" | "on_complete" | "reply_to" => Self::Callback,
            "time_limit" | "max_time" => Self::Timeout,
            "delay" | "wait" | "retry_delay" | "interval" => Self::Backoff,
            "rate_limit" | "throttle" => Self::Rate,
            "aliases" | "alias" | "renamed_from" => Self::Formerly,
            _ => return None,
        })
    }
}

/// The edit distance: the number of letters to insert, remove or replace to make one text of the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(!a.eq_ignore_ascii_case(&b));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_named() {
        for (text, nearest) in [
            ("max_attempt", "`max_attempts`"),
            ("nam", "`name`"),
            ("timout", "`timeout`"),
            ("onFailure", "`on_failure`"),
            ("attempts", "`max_attempts`"),
            ("losses", "`max_losses`"),
            ("max_retries", "`max_attempts`"),
            ("on_error", "`on_failure`"),
            ("parallelism", "`concurrency`"),
        ] {
            let fault = Key::find(text).err().unwrap_or_default();
            assert!(fault.contains(&format!("did you mean {nearest}?")), "{fault}");
        }
        assert!(Key::find("wibble_wobble").is_err_and(|fault| !fault.contains("did you mean")));
    }
}
