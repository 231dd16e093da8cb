//! A setting with its source, so that an error can name what to change.

use std::env::{self, VarError};
use std::fmt;

use crate::base::format::escaped;

/// A value with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) value: String,
    source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Program,
    Option(&'static str),
    Variable(&'static str),
}

/// A variable that is not UTF-8.
#[derive(Debug, thiserror::Error)]
#[error("`{variable}` is not UTF-8: `{value}`")]
pub(super) struct NotText {
    variable: &'static str,
    value: String,
}

impl Given {
    /// A default of the program.
    pub(super) fn program(value: String) -> Self {
        Self { value, source: Source::Program }
    }

    /// Returns the value of the option, or else that of the variable.
    ///
    /// # Errors
    ///
    /// [`NotText`] if the variable is read and is not UTF-8.
    pub(super) fn find(
        value: Option<String>,
        option: &'static str,
        variable: &'static str,
    ) -> Result<Option<Self>, NotText> {
        if let Some(value) = value {
            return Ok(Some(Self { value, source: Source::Option(option) }));
        }
        match env::var(variable) {
            Ok(value) => Ok(Some(Self { value, source: Source::Variable(variable) })),
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(value)) => {
                Err(NotText { variable, value: escaped(&value.to_string_lossy()) })
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.value.trim().is_empty()
    }

    /// Returns `true` if it is the empty value of a variable.
    pub(super) fn is_empty_variable(&self) -> bool {
        matches!(self.source, Source::Variable(_)) && self.is_empty()
    }

    /// The name of what has set it.
    pub(super) fn source(&self) -> String {
        match self.source {
            Source::Program => "`.engine(..)`".to_owned(),
            Source::Option(name) | Source::Variable(name) => format!("`{name}`"),
        }
    }
}

/// `` `--engine nope:` ``, or `` `ZATO_ENGINE=nope:` ``. A value that a shell needs quotes for has them.
impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = escaped(&self.value);
        if value.is_empty() || value.contains(char::is_whitespace) {
            value = format!("'{value}'");
        }
        match self.source {
            Source::Program => write!(f, "`.engine(\"{}\")`", escaped(&self.value)),
            Source::Option(option) => write!(f, "`{option} {value}`"),
            Source::Variable(variable) => write!(f, "`{variable}={value}`"),
        }
    }
}
