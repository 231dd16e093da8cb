//! `invocations`: what is held, the newest first.

use super::args::{Page, State};
use super::error::CliError;
use super::output::Output;
use super::stands::Look;
use crate::builder::Builder;
use crate::found::{Filter, Stage};

/// Prints a page of what is held.
pub(super) async fn invocations(
    builder: Builder,
    state: Option<State>,
    page: Page,
    output: Output,
) -> Result<bool, CliError> {
    let filter = Filter { stage: state.map(Stage::from), ..page.filter() };
    Look::open(builder)?.list(&filter, output).await?;
    Ok(true)
}

impl Page {
    pub(super) fn filter(self) -> Filter {
        let Self { service, limit, before } = self;
        Filter { service, before, ..Filter::new().limit(limit as usize) }
    }
}

impl From<State> for Stage {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Running => Self::Running,
            State::Ended => Self::Ended,
            State::Dead => Self::Dead,
        }
    }
}
