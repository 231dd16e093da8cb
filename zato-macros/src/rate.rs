//! The text form of a rate: a number of starts in a stretch of time.

use std::time::Duration;

use crate::duration::{Unclear, duration, unit};

/// The starts that `rate` allows in a stretch of time.
#[derive(Debug, PartialEq)]
pub(crate) struct Rate {
    pub(crate) starts: u32,
    pub(crate) per: Duration,
}

/// Reads a rate: `100/s`, `100/10s`, `5/10 min`.
pub(crate) fn rate(text: &str) -> Result<Rate, Unclear> {
    let unclear = |why: String, starts: u32, per: &str| Unclear { why, would_do: format!("{starts}/{per}") };
    let Some((starts, per)) = text.split_once('/') else {
        let starts = text.trim().parse().ok().filter(|&starts| starts > 0).unwrap_or(100);
        let why =
            format!("`{text}` is not a rate: a rate is a number of starts, `/`, and a unit or a duration");
        return Err(unclear(why, starts, "s"));
    };
    let (starts, per) = (starts.trim(), per.trim());
    let (length, per_text) = match stretch(per) {
        Ok(length) => (Ok(length), per.to_owned()),
        Err(Unclear { why, would_do }) => (Err(why), would_do),
    };
    match (starts.parse::<u32>(), length) {
        (Ok(0), _) => {
            Err(unclear(format!("`{text}` would never let it start: 1 is the least"), 1, &per_text))
        }
        (Ok(starts), Ok(per)) => Ok(Rate { starts, per }),
        (Ok(starts), Err(why)) => Err(unclear(why, starts, &per_text)),
        (Err(_), _) => {
            let guess = starts.replace(['_', ',', ' '], "").parse().ok().filter(|&n| n > 0).unwrap_or(100);
            let why = format!(
                "`{starts}` is not a number of starts: a rate is a number, `/`, and a unit or a duration"
            );
            Err(unclear(why, guess, &per_text))
        }
    }
}

/// The stretch of time after the `/`: a unit from a second on, or a duration above zero.
fn stretch(text: &str) -> Result<Duration, Unclear> {
    if let Some(nanos) = unit(text).filter(|&nanos| nanos >= 1_000_000_000) {
        return Ok(Duration::from_nanos(nanos));
    }
    let read = duration(text)?;
    if read.is_zero() {
        let why = format!("`{text}` is not a period in which anything could start");
        return Err(Unclear { why, would_do: "1s".to_owned() });
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        for (text, starts, secs) in [
            ("100/s", 100, 1),
            ("5/10m", 5, 600),
            ("5 / 10 min", 5, 600),
            ("100/sec", 100, 1),
            ("1/day", 1, 86_400),
        ] {
            assert_eq!(rate(text), Ok(Rate { starts, per: Duration::from_secs(secs) }), "{text}");
        }
    }

    #[test]
    fn what_is_suggested_can_be_read() {
        for (text, good) in [
            ("100", "100/s"),
            ("100/", "100/30s"),
            ("0/s", "1/s"),
            ("1,000/s", "1000/s"),
            ("many/h", "100/h"),
            ("10/0s", "10/1s"),
            ("10/ms", "10/30s"),
            ("10/5", "10/5s"),
        ] {
            assert_eq!(rate(text).err().map(|unclear| unclear.would_do).as_deref(), Some(good), "{text}");
            assert!(rate(good).is_ok(), "{good}");
        }
    }
}
