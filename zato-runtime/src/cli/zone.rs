//! The local time zone.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::base::format::{Offset, Zone};

/// The zone that `TZ` names, or the system's.
const LOCAL: Zone = Zone(|time| offset(&TimeZone::system(), time));

/// The zone in which times are shown.
pub(super) fn shown(utc: bool) -> Zone {
    if utc { Zone::UTC } else { LOCAL }
}

fn offset(zone: &TimeZone, time: SystemTime) -> Offset {
    let Ok(time) = Timestamp::try_from(time) else { return (Zone::UTC.0)(time) };
    let info = zone.to_offset_info(time);
    Offset { seconds: info.offset().seconds(), name: info.abbreviation().to_owned().into() }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn an_offset_is_that_of_its_time() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a POSIX time zone");
        let at = |seconds| offset(&berlin, UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(1_795_000_000), Offset { seconds: 3_600, name: "CET".into() });
        assert_eq!(at(1_783_000_000), Offset { seconds: 7_200, name: "CEST".into() });
    }
}
