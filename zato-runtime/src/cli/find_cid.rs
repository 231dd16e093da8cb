//! The invocations that correlation IDs on the command line mean.

use zato_core::Cid;

use super::cids::CidArgument;
use super::error::CliError;
use crate::engine::ReadOnlyStore;
use crate::record::lookup::InvocationInfo;
use crate::runtime::error::Error;

/// The most candidates that an error lists.
const LISTED: usize = 10;

impl CidArgument {
    /// Finds the one invocation in the store that is meant. A complete correlation ID is returned without a look-up.
    ///
    /// # Errors
    ///
    /// [`CliError::NoSuchEnding`] or [`CliError::Ambiguous`] if there is none, or more than one.
    pub(super) async fn find(self, store: &dyn ReadOnlyStore) -> Result<Cid, CliError> {
        let ending = match self {
            Self::Whole(cid) => return Ok(cid),
            Self::Ending(ending) => ending,
        };
        let cids = store.ending_with(&ending, LISTED + 1).await.map_err(Error::from)?;
        match *cids {
            [] => Err(CliError::NoSuchEnding { ending }),
            [cid] => Ok(cid),
            _ => {
                let found =
                    store.find(cids.iter().take(LISTED).copied().collect()).await.map_err(Error::from)?;
                let line = |found: InvocationInfo| format!("\n  {} {}", found.cid(), found.service());
                let mut candidates: String = found.into_iter().flatten().map(line).collect();
                if cids.len() > LISTED {
                    candidates.push_str("\n  and more");
                }
                Err(CliError::Ambiguous { ending, candidates })
            }
        }
    }
}

/// Finds the invocations that are meant.
///
/// # Errors
///
/// As for [`CidArgument::find`], for the first that cannot be found.
pub(super) async fn find_all(
    cids: Vec<CidArgument>,
    store: &dyn ReadOnlyStore,
) -> Result<Vec<Cid>, CliError> {
    let mut found = Vec::with_capacity(cids.len());
    for cid in cids {
        found.push(cid.find(store).await?);
    }
    Ok(found)
}
