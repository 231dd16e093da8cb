//! Correlation IDs on the command line: complete, or their last characters.

use std::str::FromStr;

use zato_core::Cid;

/// The fewest characters that are taken for the end of a correlation ID.
const LEAST: usize = 6;

/// A correlation ID as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CidArgument {
    Whole(Cid),
    /// The last characters, as lower-case hexadecimal digits without hyphens.
    Ending(String),
}

impl FromStr for CidArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        if trimmed.len() == 36 {
            return trimmed.parse().map(Self::Whole).map_err(|error: zato_core::CidError| error.to_string());
        }
        let digits: String = trimmed.chars().filter(|char| *char != '-').collect();
        let is_ending = trimmed.len() >= LEAST && digits.len() < 32 && digits.len() >= LEAST - 1;
        if is_ending && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self::Ending(digits.to_ascii_lowercase()));
        }
        Err(format!(
            "a correlation ID has 36 characters like `0197f3c2-8a41-7c3e-9b1d-6f2e4a5b6c7d`; give all of them, or its \
             last {LEAST} or more"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_has_six_characters_or_more() {
        let ending = |text: &str| Ok(CidArgument::Ending(text.to_owned()));
        assert_eq!("6f2e4a5b6c7d".parse(), ending("6f2e4a5b6c7d"));
        assert_eq!("4A5B6C".parse(), ending("4a5b6c"));
        assert_eq!("9b1d-6f2e4a5b6c7d".parse(), ending("9b1d6f2e4a5b6c7d"));
        assert_eq!("d-6f2e4a5b6c7d".parse(), ending("d6f2e4a5b6c7d"));
        let whole = "0197f3c2-8a41-7c3e-9b1d-6f2e4a5b6c7d";
        assert_eq!(whole.parse(), Ok(CidArgument::Whole(whole.parse().expect("a CID"))));
        for wrong in ["", "17", "5b6c7", "xyzxyz", "------", "0197f3c2-8a41-4c3e-9b1d-6f2e4a5b6c7d"] {
            assert!(wrong.parse::<CidArgument>().is_err(), "{wrong}");
        }
    }
}
