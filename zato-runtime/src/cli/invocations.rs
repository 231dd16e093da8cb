//! `invocations`: what the store holds, newest first.

use super::args::{Page, State};
use super::error::CliError;
use super::listing::StoreView;
use super::output::Output;
use crate::record::lookup::{Filter, StatusFilter};
use crate::runtime::builder::Builder;

/// Prints a page of invocations.
pub(super) async fn invocations(
    builder: Builder,
    state: Option<State>,
    page: Page,
    output: Output,
) -> Result<bool, CliError> {
    let look = StoreView::open(builder, output)?;
    let filter = Filter { stage: state.map(StatusFilter::from), ..page.filter(&look).await? };
    look.list(filter, output).await?;
    Ok(true)
}

impl Page {
    pub(super) async fn filter(self, look: &StoreView) -> Result<Filter, CliError> {
        let Self { service, limit, before } = self;
        let before = match before {
            Some(cid) => Some(cid.find(&*look.store).await?),
            None => None,
        };
        Ok(Filter { service, before, ..Filter::new().limit(limit as usize) })
    }
}

impl From<State> for StatusFilter {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Running => Self::Running,
            State::Ended => Self::Ended,
            State::Dead => Self::Dead,
        }
    }
}
