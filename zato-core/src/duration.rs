//! The text form of durations and backoffs, with one grammar for attributes, builders and the command line.
//!
//! `zato-macros/src/duration.rs` is a symbolic link to this file, so that the attribute checks a text at compile time by
//! the same code that reads one at run time. The file therefore uses nothing but the standard library.
//!
//! ```text
//! backoff  = duration [ ".." duration ]
//! duration = "0" | part { part }              the longest unit first, each unit at most once
//! part     = digits [ "." digits ] unit       white space is allowed around each of them
//! unit     = "w" | "d" | "h" | "m" | "s" | "ms" | "us" | "ns", or spelled out as in `UNITS`
//! ```

use std::time::Duration;

/// The units, the longest first: how they are written, their length in nanoseconds, and their longer spellings.
const UNITS: [(&str, u64, &[&str]); 8] = [
    ("w", 604_800_000_000_000, &["week", "weeks"]),
    ("d", 86_400_000_000_000, &["day", "days"]),
    ("h", 3_600_000_000_000, &["hr", "hrs", "hour", "hours"]),
    ("m", 60_000_000_000, &["min", "mins", "minute", "minutes"]),
    ("s", 1_000_000_000, &["sec", "secs", "second", "seconds"]),
    ("ms", 1_000_000, &["msec", "msecs", "millis", "millisecond", "milliseconds"]),
    ("us", 1_000, &["\u{b5}s", "\u{3bc}s", "usec", "usecs", "micros", "microsecond", "microseconds"]),
    ("ns", 1, &["nsec", "nsecs", "nanos", "nanosecond", "nanoseconds"]),
];

/// Words that have no exact length, with the length in nanoseconds that a suggestion assumes.
const VAGUE: [(&str, u64); 6] = [
    ("mo", 30 * 86_400_000_000_000),
    ("month", 30 * 86_400_000_000_000),
    ("months", 30 * 86_400_000_000_000),
    ("y", 365 * 86_400_000_000_000),
    ("year", 365 * 86_400_000_000_000),
    ("years", 365 * 86_400_000_000_000),
];

const RULE: &str =
    "a duration is numbers with units such as `ms`, `s`, `m`, `h` and `d`, the longest unit first";

/// The reason why a text is refused, and a text that would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unclear {
    pub(crate) why: String,
    pub(crate) would_do: String,
}

/// A backoff as it is written: fixed, or random between a lower bound and a growing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bounds {
    Fixed(Duration),
    Between(Duration, Duration),
}

/// Reads a duration: `30s`, `1m30s`, `1 day`, `1.5h`, `0s`.
pub(crate) fn duration(text: &str) -> Result<Duration, Unclear> {
    strictly(text).map(Duration::from_nanos).map_err(|why| {
        let guess = loosely(text).filter(|&nanos| nanos > 0);
        Unclear {
            why,
            would_do: guess.map_or_else(|| "30s".to_owned(), |nanos| show(Duration::from_nanos(nanos))),
        }
    })
}

/// Checks the limit of an attempt, which may not be zero.
pub(crate) fn timeout(limit: Duration) -> Result<Duration, Unclear> {
    if limit.is_zero() {
        let why = "a timeout of zero ends every attempt before it begins".to_owned();
        return Err(Unclear { why, would_do: "30s".to_owned() });
    }
    Ok(limit)
}

/// Reads a backoff: `5s` is fixed, `1s..2m` grows.
pub(crate) fn backoff(text: &str) -> Result<Bounds, Unclear> {
    let Some((from, to)) = text.split_once("..") else {
        return duration(text).map(Bounds::Fixed);
    };
    let is_inclusive = to.starts_with('=');
    let (from, to) = (from.trim(), to.trim_start_matches('=').trim());
    if from.is_empty() || to.is_empty() {
        let why = format!(
            "`{text}` lacks one of its bounds: a backoff is one duration, or two that are joined by `..`"
        );
        let would_do = match duration(if from.is_empty() { to } else { from }) {
            Ok(to) if from.is_empty() && !to.is_zero() => range(to.min(Duration::from_secs(1)), to),
            Ok(from) if !from.is_zero() => range(from, from.saturating_mul(120)),
            _ => "1s..2m".to_owned(),
        };
        return Err(Unclear { why, would_do });
    }
    match (duration(from), duration(to)) {
        (Ok(from), Ok(to)) if is_inclusive => {
            let would_do = if bounds(from, to).is_ok() { range(from, to) } else { "1s..2m".to_owned() };
            Err(Unclear {
                why: format!("`{text}` is not a backoff: its bounds are joined by `..`"),
                would_do,
            })
        }
        (Ok(from), Ok(to)) => bounds(from, to),
        (from, to) => {
            let end = |end: &Result<Duration, Unclear>| match end {
                Ok(end) => show(*end),
                Err(unclear) => unclear.would_do.clone(),
            };
            let guess = format!("{}..{}", end(&from), end(&to));
            let why = from.err().or(to.err()).map(|unclear| unclear.why).unwrap_or_default();
            // The guesses for the two bounds need not be in order.
            let would_do = if backoff(&guess).is_ok() { guess } else { "1s..2m".to_owned() };
            Err(Unclear { why, would_do })
        }
    }
}

/// Checks the bounds of a backoff that grows.
pub(crate) fn bounds(from: Duration, to: Duration) -> Result<Bounds, Unclear> {
    if to < from {
        let why =
            format!("`{}` decreases: a backoff grows from its first bound to its second", range(from, to));
        let would_do = if to.is_zero() { "1s..2m".to_owned() } else { range(to, from) };
        return Err(Unclear { why, would_do });
    }
    if from.is_zero() && !to.is_zero() {
        let why = format!("`{}` never grows, because twice zero is zero", range(from, to));
        return Err(Unclear { why, would_do: range(to.min(Duration::from_secs(1)), to) });
    }
    Ok(Bounds::Between(from, to))
}

/// A duration in the shortest form that can be read again.
pub(crate) fn show(duration: Duration) -> String {
    let mut nanos = duration.as_nanos();
    let mut text = String::new();
    for (unit, length, _) in &UNITS[1..] {
        let length = u128::from(*length);
        if nanos >= length {
            text.push_str(&(nanos / length).to_string());
            text.push_str(unit);
            nanos %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// The bounds of a backoff in the form that can be read again.
pub(crate) fn range(from: Duration, to: Duration) -> String {
    format!("{}..{}", show(from), show(to))
}

/// The length of a unit in nanoseconds.
pub(crate) fn unit(text: &str) -> Option<u64> {
    UNITS.iter().find(|(unit, _, others)| *unit == text || others.contains(&text)).map(|(_, nanos, _)| *nanos)
}

/// The duration in nanoseconds, or why the text is not one.
fn strictly(text: &str) -> Result<u64, String> {
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(0);
    }
    let not_one = || format!("`{text}` is not a duration: {RULE}");
    let too_long =
        || format!("`{text}` is too long: a duration is at most {}", show(Duration::from_nanos(u64::MAX)));
    let (mut total, mut last) = (0_u64, u64::MAX);
    if rest.is_empty() {
        return Err(not_one());
    }
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (word, after) = split(after.trim_start(), char::is_alphabetic);
        if number.is_empty() {
            return Err(not_one());
        }
        if word.is_empty() && after.is_empty() {
            return Err(format!("`{text}` has a number without a unit: {RULE}"));
        }
        let length = unit(word).ok_or_else(not_one)?;
        let part = scaled(number, length).ok_or_else(not_one)?;
        if length >= last {
            return Err(format!(
                "`{text}` is out of order: the longest unit comes first, and each at most once"
            ));
        }
        total = u64::try_from(part).ok().and_then(|part| total.checked_add(part)).ok_or_else(too_long)?;
        (rest, last) = (after.trim_start(), length);
    }
    Ok(total)
}

/// A decimal number times a length in nanoseconds; `None` if it is not a number.
fn scaled(number: &str, length: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    // More digits than any duration has are as good as the largest number.
    let whole = whole.parse::<u64>().unwrap_or(u64::MAX);
    let billionths = format!("{fraction:0<9}").parse::<u128>().ok()?;
    Some(u128::from(whole) * u128::from(length) + billionths * u128::from(length) / 1_000_000_000)
}

/// The duration in nanoseconds that a text nearly says, for suggestions: `1 hour, 30 min`, `1 Month`, `30`, `1h30`.
fn loosely(text: &str) -> Option<u64> {
    let is_separator = |c: char| c.is_whitespace() || matches!(c, ',' | '+' | '-');
    let text = text.to_lowercase().replace('_', "");
    let mut rest = text.trim_matches(is_separator);
    // A number without a unit most likely means seconds, or the unit below the one before it.
    let (mut total, mut unitless) = (0_u64, Some(1_000_000_000));
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        // `1,5s` may be one and a half, or one and five.
        if after.strip_prefix(',').is_some_and(|after| after.starts_with(|c: char| c.is_ascii_digit())) {
            return None;
        }
        let (word, after) = split(after.trim_start_matches(is_separator), char::is_alphabetic);
        let vague = || VAGUE.iter().find(|(vague, _)| *vague == word).map(|(_, nanos)| *nanos);
        let length = unit(word).or_else(vague).or(unitless.filter(|_| word.is_empty()))?;
        unitless = UNITS.iter().map(|(_, nanos, _)| *nanos).find(|nanos| *nanos < length);
        total = total.checked_add(u64::try_from(scaled(number, length)?).ok()?)?;
        rest = after.trim_start_matches(is_separator);
    }
    Some(total)
}

/// The longest beginning of such characters, and the rest.
fn split(text: &str, is_part: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn would_do<T>(read: Result<T, Unclear>) -> String {
        read.err().map(|unclear| unclear.would_do).unwrap_or_default()
    }

    #[test]
    fn durations_are_read() {
        let ms = Duration::from_millis;
        for (text, expected) in [
            ("30s", ms(30_000)),
            ("500ms", ms(500)),
            ("1m30s", ms(90_000)),
            ("1m 30s", ms(90_000)),
            ("1min", ms(60_000)),
            ("1 minute", ms(60_000)),
            ("2h", ms(7_200_000)),
            ("1 day", ms(86_400_000)),
            ("1d1ms", ms(86_400_001)),
            ("2 weeks", ms(2 * 604_800_000)),
            ("1.5h", ms(5_400_000)),
            ("0.25s", ms(250)),
            (" 5 sec ", ms(5_000)),
            ("250us", Duration::from_micros(250)),
            ("250\u{b5}s", Duration::from_micros(250)),
            ("250\u{3bc}s", Duration::from_micros(250)),
            ("7ns", Duration::from_nanos(7)),
            ("0s", Duration::ZERO),
            ("0 days", Duration::ZERO),
            ("0", Duration::ZERO),
        ] {
            assert_eq!(duration(text), Ok(expected), "{text}");
            assert_eq!(duration(&show(expected)), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_suggested_can_be_read() {
        for (text, good) in [
            ("", "30s"),
            ("  ", "30s"),
            ("30", "30s"),
            ("1.5", "1s500ms"),
            ("30s1m", "1m30s"),
            ("1m30", "1m30s"),
            ("5S", "5s"),
            ("5 Min", "5m"),
            ("1h30", "1h30m"),
            ("1d 12", "1d12h"),
            ("1,5s", "30s"),
            ("1_500s", "25m"),
            ("1y", "365d"),
            ("1 month", "30d"),
            ("2 years", "730d"),
            ("1 hour, 30 min", "1h30m"),
            ("soon", "30s"),
            ("s", "30s"),
            ("-5s", "5s"),
            ("1.s", "30s"),
            ("1..5s", "30s"),
            ("90s 90s", "3m"),
            ("99999999999999999999d", "30s"),
            ("300000d", "30s"),
            ("\u{661}s", "30s"),
        ] {
            assert_eq!(would_do(duration(text)), good, "{text}");
            assert!(duration(good).is_ok(), "{good}");
        }
        assert!(duration("1s..2m").is_err_and(|unclear| unclear.why.contains("is not a duration")));
        assert!(duration("300000d").is_err_and(|unclear| unclear.why.contains("at most 213503d")));
        assert_eq!(would_do(timeout(Duration::ZERO)), "30s");
        assert!(timeout(Duration::from_nanos(1)).is_ok());
    }

    #[test]
    fn backoffs_are_read() {
        let s = Duration::from_secs;
        assert_eq!(backoff("5s"), Ok(Bounds::Fixed(s(5))));
        assert_eq!(backoff("0s"), Ok(Bounds::Fixed(s(0))));
        assert_eq!(backoff("1s..2m"), Ok(Bounds::Between(s(1), s(120))));
        assert_eq!(backoff("1 sec .. 2 min"), Ok(Bounds::Between(s(1), s(120))));
        assert_eq!(backoff("1s..1s"), Ok(Bounds::Between(s(1), s(1))));
        for (text, good) in [
            ("2m..1s", "1s..2m"),
            ("2m..0s", "1s..2m"),
            ("0s..2m", "1s..2m"),
            ("0s..5ms", "5ms..5ms"),
            ("1s..", "1s..2m"),
            ("..2m", "1s..2m"),
            ("..", "1s..2m"),
            ("1s..=2m", "1s..2m"),
            ("1..2", "1s..2s"),
            ("soon..1s", "1s..2m"),
            ("soon", "30s"),
        ] {
            assert_eq!(would_do(backoff(text)), good, "{text}");
            assert!(backoff(good).is_ok(), "{good}");
        }
    }
}
