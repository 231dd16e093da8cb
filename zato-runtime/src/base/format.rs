//! Times, durations, counts and foreign text in a form for people.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest text of somebody else's that a line repeats, in characters.
const MAX_TEXT: usize = 400;

/// RFC 3339 in UTC, with milliseconds.
pub(crate) fn rfc3339(time: impl Into<SystemTime>) -> String {
    // The format ends with the year 9999, and begins with 1970.
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_millis(time.into().clamp(UNIX_EPOCH, last)).to_string()
}

/// A time zone: returns its offset from UTC at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zone(pub(crate) fn(SystemTime) -> Offset);

/// The offset of a time zone from UTC at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offset {
    /// The seconds that local time is ahead of UTC.
    pub(crate) seconds: i32,
    /// The zone's name at that time, such as `CEST`.
    pub(crate) name: Cow<'static, str>,
}

impl Zone {
    /// Coordinated universal time.
    pub(crate) const UTC: Self = Self(|_| Offset { seconds: 0, name: Cow::Borrowed("UTC") });

    /// `2026-11-24 14:03:12.120`, and the zone's name.
    fn parts(self, time: impl Into<SystemTime>) -> (String, Cow<'static, str>) {
        let time = time.into();
        let Offset { seconds, name } = (self.0)(time);
        let shift = Duration::from_secs(seconds.unsigned_abs().into());
        let local = if seconds < 0 { time.checked_sub(shift) } else { time.checked_add(shift) };
        (rfc3339(local.unwrap_or(time)).trim_end_matches('Z').replace('T', " "), name)
    }

    /// `2026-11-24 14:03:12.120 UTC`.
    pub(crate) fn date_and_time(self, time: impl Into<SystemTime>) -> String {
        let (text, name) = self.parts(time);
        format!("{text} {name}")
    }

    /// `14:03:12.120`, or the date and time if `beside` is on another date.
    pub(crate) fn time_of_day(self, time: impl Into<SystemTime>, beside: SystemTime) -> String {
        let ((text, name), (other, _)) = (self.parts(time), self.parts(beside));
        match text.strip_prefix(&other[..11]) {
            Some(time) => time.to_owned(),
            None => format!("{text} {name}"),
        }
    }

    /// `14:03:12`, or `2026-11-24` if `beside` is on another date.
    #[cfg(feature = "cli")]
    pub(crate) fn briefly(self, time: impl Into<SystemTime>, beside: SystemTime) -> String {
        let ((text, _), (other, _)) = (self.parts(time), self.parts(beside));
        let (date, time) = text.split_at(11);
        if other.starts_with(date) { time[..8].to_owned() } else { date.trim_end().to_owned() }
    }
}

/// A length of time with two units at the most: `12 ms`, `3.2 s`, `4 min 5 s`, `2 h 3 min`, `5 days 1 h`.
pub(crate) fn duration(time: Duration) -> String {
    let (millis, seconds) = (time.as_millis(), time.as_secs());
    let two = |many: u64, unit: &str, few: u64, small: &str| match few {
        0 => format!("{many} {unit}"),
        few => format!("{many} {unit} {few} {small}"),
    };
    match seconds {
        0 if millis == 0 => "less than 1 ms".to_owned(),
        0 => format!("{millis} ms"),
        1..60 if millis % 1_000 < 100 => format!("{seconds} s"),
        1..60 => format!("{seconds}.{} s", millis % 1_000 / 100),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(
            seconds / 86_400,
            if seconds < 172_800 { "day" } else { "days" },
            seconds % 86_400 / 3_600,
            "h",
        ),
    }
}

/// How long something took; nothing at all where the clock has been set back in between.
pub(crate) fn elapsed(from: SystemTime, to: SystemTime) -> String {
    duration(to.duration_since(from).unwrap_or_default())
}

/// A text of somebody else's on one line: what could move the cursor is escaped, and what is too long is cut off.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for (index, char) in text.chars().enumerate() {
        if index == MAX_TEXT {
            line.push_str(" ...");
            break;
        }
        push_shown(&mut line, char);
    }
    line
}

/// A text of somebody else's as it is, but for what could move the cursor or turn the text around.
pub(crate) fn escaped(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    text.chars().for_each(|char| if char == '\n' { all.push(char) } else { push_shown(&mut all, char) });
    all
}

/// Rust's own idea of what can be printed, but for quotes.
fn push_shown(text: &mut String, char: char) {
    let escaped = char.escape_debug();
    if escaped.len() == 1 || matches!(char, '\'' | '"' | '\\') {
        text.push(char);
    } else {
        text.extend(escaped);
    }
}

/// `1 attempt`, `2 attempts`, `10,000 attempts`.
pub(crate) fn count(number: usize, one: &str) -> String {
    format!("{} {one}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A number with commas.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_two_units_at_the_most() {
        let cases = [
            (0, "less than 1 ms"),
            (12, "12 ms"),
            (999, "999 ms"),
            (3_000, "3 s"),
            (3_249, "3.2 s"),
            (59_950, "59.9 s"),
            (60_000, "1 min"),
            (245_000, "4 min 5 s"),
            (7_380_000, "2 h 3 min"),
            (86_400_000, "1 day"),
            (435_600_000, "5 days 1 h"),
        ];
        for (millis, expected) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn a_time_of_another_day_has_its_date() {
        let noon = UNIX_EPOCH + Duration::from_hours(12);
        assert_eq!(Zone::UTC.time_of_day(noon, UNIX_EPOCH), "12:00:00.000");
        assert_eq!(
            Zone::UTC.time_of_day(noon + Duration::from_hours(24), noon),
            "1970-01-02 12:00:00.000 UTC"
        );
    }

    #[test]
    fn a_zone_shifts_times_and_dates() {
        let east = Zone(|_| Offset { seconds: 20_700, name: "+0545".into() });
        let west = Zone(|_| Offset { seconds: -12_600, name: "NST".into() });
        let evening = UNIX_EPOCH + Duration::from_hours(44);
        assert_eq!(east.date_and_time(evening), "1970-01-03 01:45:00.000 +0545");
        assert_eq!(west.date_and_time(evening), "1970-01-02 16:30:00.000 NST");
        assert_eq!(west.time_of_day(evening, evening), "16:30:00.000");
        assert_eq!(east.time_of_day(evening, UNIX_EPOCH), "1970-01-03 01:45:00.000 +0545");
    }

    #[test]
    fn a_text_stays_on_its_line() {
        assert_eq!(one_line("one\ntwo\u{1b}[31m 'ä' \u{202e}"), "one\\ntwo\\u{1b}[31m 'ä' \\u{202e}");
        assert!(one_line(&"x".repeat(1_000)).len() < 410);
    }

    #[test]
    fn numbers_have_commas() {
        assert_eq!(count(1, "attempt"), "1 attempt");
        assert_eq!(count(1_234_567, "attempt"), "1,234,567 attempts");
        assert_eq!(grouped(100), "100");
    }
}
