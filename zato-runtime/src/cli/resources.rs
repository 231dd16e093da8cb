//! Resources that are made asynchronously, after the command line is read and before the runtime starts.

use std::error::Error;
use std::fmt;
use std::pin::Pin;

use zato_core::{Need, Resource};

use super::error::CliError;
use crate::runtime::builder::Builder;

/// Settings for a runtime, with resources that are still to be made.
pub(super) struct Setup {
    pub(super) builder: Builder,
    /// In the order in which they are made.
    makers: Vec<Maker>,
}

struct Maker {
    type_name: String,
    make: Box<dyn FnOnce(Builder) -> Making>,
}

type Making = Pin<Box<dyn Future<Output = Result<Builder, Box<dyn Error + Send + Sync>>>>>;

impl Setup {
    pub(super) fn new(builder: Builder) -> Self {
        Self { builder, makers: Vec::new() }
    }

    pub(super) fn map(self, change: impl FnOnce(Builder) -> Builder) -> Self {
        Self { builder: change(self.builder), ..self }
    }

    /// Adds a resource that `make` makes.
    pub(super) fn provide_with<T, E>(self, make: impl AsyncFnOnce() -> Result<T, E> + 'static) -> Self
    where
        T: Resource,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        let Self { builder, mut makers } = self;
        let make = |builder: Builder| -> Making {
            Box::pin(async move { Ok(builder.fulfil(make().await.map_err(Into::into)?)) })
        };
        makers.push(Maker { type_name: Need::of::<T>("").type_name(), make: Box::new(make) });
        Self { builder: builder.promise::<T>(), makers }
    }

    /// Makes the resources, one after the other.
    ///
    /// # Errors
    ///
    /// [`CliError::Resource`] with the first that cannot be made; those after it are not tried.
    pub(super) async fn make(self) -> Result<Builder, CliError> {
        let Self { mut builder, makers } = self;
        for Maker { type_name, make } in makers {
            builder = make(builder)
                .await
                .map_err(|source| CliError::Resource { type_name, why: with_sources(&*source) })?;
        }
        Ok(builder)
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types: Vec<_> = self.makers.iter().map(|maker| &maker.type_name).collect();
        f.debug_struct("Setup").field("builder", &self.builder).field("makers", &types).finish()
    }
}

/// The text of an error and of its sources. A source that the text before it already ends with is left out.
fn with_sources(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}
