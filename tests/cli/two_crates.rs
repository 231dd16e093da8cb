//! The program, and requests to its services.

use serde_json::Value;

use crate::program::{self, Ran};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_two_crates");

/// A visitor who can be greeted, and one who cannot.
pub(crate) const ADA: &str = r#"{"name": "Ada", "language": "pl"}"#;
pub(crate) const ZOE: &str = r#"{"name": "Zoe", "language": "xx"}"#;

pub(crate) fn zato<const N: usize>(arguments: [&str; N]) -> Ran {
    program::run(PROGRAM, arguments)
}

pub(crate) fn zato_on<const N: usize>(arguments: [&str; N], stdin: &str) -> Ran {
    program::run_on(PROGRAM, arguments, stdin)
}

impl Ran {
    /// What was printed, if all went well.
    #[track_caller]
    pub(crate) fn printed(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        &self.stdout
    }

    /// The error, if that is all that was printed and the code says so.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32) -> &str {
        assert_eq!((self.code, &*self.stdout), (Some(code), ""), "{self:?}");
        let at = self.stderr.find("error: ").unwrap_or_else(|| panic!("no error is told: {self:?}"));
        &self.stderr[at..]
    }

    /// The values of `--json`, one a line.
    #[track_caller]
    pub(crate) fn values(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }
}
