//! A setting with its source, so that an error can name what to change.

use std::fmt;

use clap::parser::ValueSource;

use crate::words::shown;

/// A value with its source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Given {
    pub(super) value: String,
    source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Source {
    #[default]
    Program,
    Option(&'static str),
    Variable(&'static str),
}

impl Given {
    /// A value that came from the option, from the variable, or from neither.
    pub(super) fn new(
        value: &str,
        source: Option<ValueSource>,
        option: &'static str,
        variable: &'static str,
    ) -> Self {
        let source = match source {
            Some(ValueSource::CommandLine) => Source::Option(option),
            Some(ValueSource::EnvVariable) => Source::Variable(variable),
            _ => Source::Program,
        };
        Self { value: value.to_owned(), source }
    }

    /// Returns `true` if it is the empty value of a variable.
    pub(super) fn is_empty_variable(&self) -> bool {
        matches!(self.source, Source::Variable(_)) && self.value.is_empty()
    }
}

/// `` `--engine nope:` ``, or `` `ZATO_ENGINE=nope:` ``.
impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = shown(&self.value);
        match self.source {
            Source::Program => write!(f, "`.engine(\"{value}\")`"),
            Source::Option(option) => write!(f, "`{option} {value}`"),
            Source::Variable(variable) => write!(f, "`{variable}={value}`"),
        }
    }
}
