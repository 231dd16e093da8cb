//! Texts that speak of time: durations, backoffs and rates, each with one that would do for one that does not.

/// The units, the longest first: how they are written, in milliseconds, and how else people write them.
const UNITS: [(&str, u64, &[&str]); 5] = [
    ("d", 86_400_000, &["day", "days"]),
    ("h", 3_600_000, &["hr", "hrs", "hour", "hours"]),
    ("m", 60_000, &["min", "mins", "minute", "minutes"]),
    ("s", 1_000, &["sec", "secs", "second", "seconds"]),
    ("ms", 1, &["msec", "msecs", "millis", "millisecond", "milliseconds"]),
];

const RULE: &str = "a duration is numbers with `ms`, `s`, `m`, `h` or `d`, the longest first";

/// Why a text does not say what it should, and one that would.
#[derive(Debug, PartialEq)]
pub(crate) struct Unclear {
    pub(crate) why: String,
    pub(crate) would_do: String,
}

/// What `backoff` says, in milliseconds.
#[derive(Debug, PartialEq)]
pub(crate) enum Backoff {
    Fixed(u64),
    Between(u64, u64),
}

/// What `rate` says: how many starts in how many milliseconds.
#[derive(Debug, PartialEq)]
pub(crate) struct Rate {
    pub(crate) starts: u32,
    pub(crate) per: u64,
}

/// `30s`, `500ms`, `1m30s`: a duration above zero, in milliseconds.
pub(crate) fn duration(text: &str) -> Result<u64, Unclear> {
    let would_do = || loosely(text).filter(|&ms| ms > 0).map_or_else(|| "30s".to_owned(), show);
    let why = match strictly(text) {
        Some(0) => format!("`{text}` is no time at all"),
        Some(ms) => return Ok(ms),
        None => format!("`{text}` is no duration: {RULE}"),
    };
    Err(Unclear { why, would_do: would_do() })
}

/// `5s`, or `1s..2m`: fixed, or growing from the first to the second.
pub(crate) fn backoff(text: &str) -> Result<Backoff, Unclear> {
    let Some((from, to)) = text.split_once("..") else {
        return duration(text).map(Backoff::Fixed);
    };
    let to = to.strip_prefix('=').unwrap_or(to);
    if from.is_empty() || to.is_empty() {
        let why =
            format!("`{text}` lacks one of its ends: a backoff is a duration, or grows from one to another");
        let end = duration(if from.is_empty() { to } else { from });
        let would_do = match end {
            Ok(ms) if from.is_empty() => format!("{}..{}", show(1_000.min(ms)), show(ms)),
            Ok(ms) => format!("{}..{}", show(ms), show(ms.saturating_mul(120))),
            Err(_) => "1s..2m".to_owned(),
        };
        return Err(Unclear { why, would_do });
    }
    match (duration(from), duration(to)) {
        (Ok(from), Ok(to)) if from <= to && !text.contains("..=") => Ok(Backoff::Between(from, to)),
        (Ok(from), Ok(to)) if from <= to => Err(Unclear {
            why: format!("`{text}` is no backoff: its ends are joined by `..`"),
            would_do: format!("{}..{}", show(from), show(to)),
        }),
        (Ok(from), Ok(to)) => Err(Unclear {
            why: format!("`{text}` goes down: a backoff grows from its first duration to its second"),
            would_do: format!("{}..{}", show(to), show(from)),
        }),
        (from, to) => {
            let end = |end: &Result<u64, Unclear>| match end {
                Ok(ms) => show(*ms),
                Err(unclear) => unclear.would_do.clone(),
            };
            let would_do = format!("{}..{}", end(&from), end(&to));
            let why = from.err().or(to.err()).map(|unclear| unclear.why).unwrap_or_default();
            // What is guessed of two ends need not grow.
            let would_do = if backoff(&would_do).is_ok() { would_do } else { "1s..2m".to_owned() };
            Err(Unclear { why, would_do })
        }
    }
}

/// `100/s`, `100/10s`: a number of starts in a stretch of time.
pub(crate) fn rate(text: &str) -> Result<Rate, Unclear> {
    let unclear = |why: String, starts: u32, per: &str| Unclear { why, would_do: format!("{starts}/{per}") };
    let Some((starts, per)) = text.split_once('/') else {
        let starts = text.trim().parse().ok().filter(|&starts| starts > 0).unwrap_or(100);
        let why = format!("`{text}` is no rate: a rate is a number of starts, `/`, and a unit or a duration");
        return Err(unclear(why, starts, "s"));
    };
    let per_ms = unit(per).map_or_else(|| duration(per), Ok);
    let (per_text, fault) = match per_ms {
        Ok(_) => (per.to_owned(), None),
        Err(Unclear { why, would_do }) => (
            spelled_out(per)
                .map(str::to_owned)
                .or(loosely(per).map(|_| would_do))
                .unwrap_or_else(|| "s".to_owned()),
            Some(why),
        ),
    };
    match (starts.parse::<u32>(), unit(per).map_or_else(|| duration(per), Ok)) {
        (Ok(0), _) => {
            Err(unclear(format!("`{text}` would never let it start: 1 is the least"), 1, &per_text))
        }
        (Ok(starts), Ok(per)) => Ok(Rate { starts, per }),
        (Ok(starts), Err(_)) => Err(unclear(fault.unwrap_or_default(), starts, &per_text)),
        (Err(_), _) => {
            let guess =
                starts.trim().replace(['_', ',', ' '], "").parse().ok().filter(|&n| n > 0).unwrap_or(100);
            let why = format!(
                "`{starts}` is no number of starts: a rate is a number, `/`, and a unit or a duration"
            );
            Err(unclear(why, guess, &per_text))
        }
    }
}

/// The unit that a word means.
fn spelled_out(text: &str) -> Option<&'static str> {
    match text.trim().to_ascii_lowercase().trim_end_matches('s') {
        "sec" | "second" => Some("s"),
        "min" | "minute" => Some("m"),
        "hr" | "hour" => Some("h"),
        "day" => Some("d"),
        _ => None,
    }
}

/// A unit alone, as after the `/` of a rate; none below a second.
fn unit(text: &str) -> Option<u64> {
    UNITS.iter().find(|(unit, ms, _)| *unit == text && *ms >= 1_000).map(|(_, ms, _)| *ms)
}

fn strictly(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0_u64;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) =
            after.split_at(after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len()));
        let (_, ms, _) = UNITS.iter().find(|(name, ..)| *name == unit)?;
        if *ms >= last {
            return None;
        }
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*ms)?)?;
        (rest, last) = (after, *ms);
    }
    (!text.is_empty()).then_some(total)
}

/// What a text means that is no duration but nearly one: `1 hour, 30 min`, `1.5h`, `30`.
fn loosely(text: &str) -> Option<u64> {
    let is_separator = |c: char| c.is_whitespace() || matches!(c, ',' | '_' | '+' | '-');
    let text = text.to_ascii_lowercase();
    let mut rest = text.trim_matches(is_separator);
    let mut total = 0_u64;
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let (number, after) = rest.split_at(rest.find(|c| !is_number(c)).unwrap_or(rest.len()));
        let after = after.trim_start_matches(is_separator);
        let (unit, after) =
            after.split_at(after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len()));
        // A number without a unit most likely means seconds.
        let ms = UNITS
            .iter()
            .find(|(name, _, others)| *name == unit || others.contains(&unit))
            .map(|(_, ms, _)| *ms)
            .or(unit.is_empty().then_some(1_000))?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let fraction = fraction.get(..fraction.len().min(3))?;
        let thousandths = format!("{fraction:0<3}").parse::<u64>().ok()?;
        let part = whole.parse::<u64>().ok()?.checked_mul(ms)?.checked_add(thousandths * ms / 1_000)?;
        total = total.checked_add(part)?;
        rest = after.trim_start_matches(is_separator);
    }
    Some(total)
}

/// A duration as the attribute takes it.
fn show(mut ms: u64) -> String {
    let mut text = String::new();
    for (unit, length, _) in UNITS {
        if ms >= length {
            text.push_str(&(ms / length).to_string());
            text.push_str(unit);
            ms %= length;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn would_do<T>(read: Result<T, Unclear>) -> String {
        read.err().map(|unclear| unclear.would_do).unwrap_or_default()
    }

    #[test]
    fn durations() {
        for (text, ms) in
            [("30s", 30_000), ("500ms", 500), ("1m30s", 90_000), ("2h", 7_200_000), ("1d1ms", 86_400_001)]
        {
            assert_eq!(duration(text), Ok(ms), "{text}");
        }
        for (text, good) in [
            ("", "30s"),
            ("30", "30s"),
            ("30 seconds", "30s"),
            ("1.5h", "1h30m"),
            ("30s1m", "1m30s"),
            ("5S", "5s"),
            ("0s", "30s"),
            ("soon", "30s"),
            ("90s 90s", "3m"),
            ("99999999999999999999d", "30s"),
        ] {
            assert_eq!(would_do(duration(text)), good, "{text}");
            assert!(duration(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn backoffs() {
        assert_eq!(backoff("5s"), Ok(Backoff::Fixed(5_000)));
        assert_eq!(backoff("1s..2m"), Ok(Backoff::Between(1_000, 120_000)));
        for (text, good) in [
            ("2m..1s", "1s..2m"),
            ("1s..", "1s..2m"),
            ("..2m", "1s..2m"),
            ("1s..=2m", "1s..2m"),
            ("1 sec..2 min", "1s..2m"),
            ("1..2", "1s..2s"),
            ("soon..1s", "1s..2m"),
            ("0s", "30s"),
        ] {
            assert_eq!(would_do(backoff(text)), good, "{text}");
            assert!(backoff(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn rates() {
        assert_eq!(rate("100/s"), Ok(Rate { starts: 100, per: 1_000 }));
        assert_eq!(rate("5/10m"), Ok(Rate { starts: 5, per: 600_000 }));
        for (text, good) in [
            ("100", "100/s"),
            ("100/", "100/30s"),
            ("0/s", "1/s"),
            ("100/sec", "100/s"),
            ("5 / 10 min", "5/10m"),
            ("1,000/s", "1000/s"),
            ("many/h", "100/h"),
            ("10/0s", "10/30s"),
        ] {
            assert_eq!(would_do(rate(text)), good, "{text}");
            assert!(rate(good).is_ok(), "{good}");
        }
    }
}
