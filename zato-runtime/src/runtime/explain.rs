//! A request for the page that explains an invocation.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use zato_core::Cid;

use super::error::Error;
use super::handle::Runtime;
use crate::inspect::explain::{Detail, Explanation, explain};
use crate::inspect::outline::Extent;

/// A request for the page of an invocation: add options, then `.await` it for the [`Explanation`].
///
/// ```
/// use zato_runtime::Runtime;
///
/// # #[tokio::main] async fn main() -> Result<(), zato_runtime::Error> {
/// let runtime = Runtime::builder().services([]).start().await?;
/// let cid = runtime.invoke_async("zato.helpers.echo", "hello").await?;
/// runtime.outcome(cid).await?;
/// let page = runtime.explain(cid).with_payloads().await?.to_string();
/// assert!(page.starts_with("zato.helpers.echo"));
/// assert!(page.contains("The response, 5 bytes of text:\nhello"));
/// # runtime.shutdown().await
/// # }
/// ```
///
/// # Errors
///
/// [`Error::NotHeld`] if the engine does not hold the invocation, [`Error::Store`] if the store cannot be read.
#[must_use = "nothing is read until this is awaited"]
pub struct Explain<'a> {
    runtime: &'a Runtime,
    cid: Cid,
    detail: Detail,
}

impl<'a> Explain<'a> {
    pub(crate) fn new(runtime: &'a Runtime, cid: Cid) -> Self {
        Self { runtime, cid, detail: Detail { extent: Extent::Around, payloads: false } }
    }

    /// Shows the whole causal tree. By default siblings of the invocation, and long lists below it, are only counted.
    pub fn with_whole_tree(mut self) -> Self {
        self.detail.extent = Extent::Whole;
        self
    }

    /// Shows the request and the response too. By default a page names their kinds and sizes only.
    pub fn with_payloads(mut self) -> Self {
        self.detail.payloads = true;
        self
    }
}

impl<'a> IntoFuture for Explain<'a> {
    type Output = Result<Explanation, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            explain(self.runtime.view(), self.cid, self.detail).await?.ok_or(Error::NotHeld(self.cid))
        })
    }
}

impl fmt::Debug for Explain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explain")
            .field("cid", &self.cid)
            .field("detail", &self.detail)
            .finish_non_exhaustive()
    }
}
