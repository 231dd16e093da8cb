//! Look-ups of invocations, dead letters, and pausing of services.

use std::time::SystemTime;

use zato_core::bus::Bus;
use zato_core::{CallError, Cid};

use super::error::Error;
use super::explain::Explain;
use super::handle::Runtime;
use crate::base::format::Zone;
use crate::bus::core::BusCore;
use crate::calls::rerun;
use crate::inspect::status::{Audience, Source};
use crate::record::lookup::{Filter, InvocationInfo};

impl Runtime {
    /// Finds an invocation with its status; `None` if the engine does not hold it.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store cannot be read.
    pub async fn find(&self, cid: Cid) -> Result<Option<InvocationInfo>, Error> {
        Ok(self.shared().find(cid).await?)
    }

    /// Returns all invocations of a causal tree that the engine holds, in the order in which they were called. The CID may be
    /// that of any invocation of the tree.
    ///
    /// # Errors
    ///
    /// [`Error::NotHeld`] if the engine does not hold the invocation, [`Error::Store`] if what it keeps cannot be read.
    pub async fn tree(&self, cid: Cid) -> Result<Vec<InvocationInfo>, Error> {
        let found = self.shared().find(cid).await?.ok_or(Error::NotHeld(cid))?;
        Ok(self.shared().engine.tree(found.invocation.root).await?.found)
    }

    /// Waits until a whole causal tree has ended: the invocation with this CID, everything that its root has caused, groups
    /// and all callbacks included. Returns at once if it has ended.
    ///
    /// Parked and paused invocations have not ended, and neither have those that wait for a time. An invocation that joins
    /// the tree later, as by [`run_again`](Self::run_again), is not waited for once this has returned.
    ///
    /// ```
    /// use zato_core::{Context, Result, service};
    /// use zato_runtime::Runtime;
    ///
    /// #[service(name = "docs.tree-ended.place")]
    /// async fn place(ctx: &Context, order: String) -> Result<()> {
    ///     ctx.invoke_async("zato.helpers.echo", order).callback("docs.tree-ended.ship").await?;
    ///     Ok(())
    /// }
    ///
    /// #[service(name = "docs.tree-ended.ship")]
    /// async fn ship(_: &Context, order: String) -> Result<String> {
    ///     Ok(format!("shipped {order}"))
    /// }
    ///
    /// # #[tokio::main] async fn main() -> std::result::Result<(), zato_runtime::Error> {
    /// let runtime = Runtime::builder().start().await?;
    /// let cid = runtime.invoke_async("docs.tree-ended.place", "a chair").await?;
    /// runtime.tree_ended(cid).await?;
    /// let services: Vec<_> = runtime.tree(cid).await?.iter().map(|one| one.service().to_owned()).collect();
    /// assert_eq!(services, ["docs.tree-ended.place", "zato.helpers.echo", "docs.tree-ended.ship"]);
    /// # runtime.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotHeld`] if the engine does not hold the invocation, [`Error::Store`] if what it keeps cannot be read.
    pub async fn tree_ended(&self, root: Cid) -> Result<(), Error> {
        let found = self.shared().find(root).await?.ok_or(Error::NotHeld(root))?;
        let (engine, root) = (&self.shared().engine, found.invocation.root);
        // Whatever follows from an outcome is held in the step that records it, so what is not below the root when all
        // that was has ended never will be.
        engine.outcome(root).await?;
        loop {
            let unended = engine.below(root).await?;
            if unended.is_empty() {
                return Ok(());
            }
            for cid in unended {
                engine.outcome(cid).await?;
            }
        }
    }

    /// Returns the time of day on the bus's clock, which is a test's own time where the test has paused tokio's clock.
    pub fn now(&self) -> SystemTime {
        Bus::now(&**self.shared())
    }

    /// Lists the invocations that the engine holds and that match the filter, newest first.
    ///
    /// ```
    /// use zato_runtime::{Filter, Runtime};
    ///
    /// # #[tokio::main] async fn main() -> Result<(), zato_runtime::Error> {
    /// # let runtime = Runtime::builder().services([]).start().await?;
    /// for letter in runtime.list(Filter::dead().service("orders.charge")).await? {
    ///     println!("{} ended as {:?}", letter.cid(), letter.outcome());
    ///     let again = runtime.run_again(letter.cid()).await?;
    ///     println!("and runs again as {again}");
    /// }
    /// # runtime.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store cannot be read.
    pub async fn list(&self, mut filter: Filter) -> Result<Vec<InvocationInfo>, Error> {
        // A name that a service had before is its own.
        if let Some(name) = &mut filter.service
            && let Some(entry) = self.shared().registry.get(name)
        {
            entry.name.as_str().clone_into(name);
        }
        Ok(self.shared().engine.list(&filter).await?)
    }

    /// The view that a program has of its own bus.
    pub(crate) fn view(&self) -> Source<'_> {
        let BusCore { engine, registry, config, .. } = &**self.shared();
        Source { held: &**engine, registry, config, is_run: true, door: Audience::Program, zone: Zone::UTC }
    }

    /// Explains one invocation on a page that a person can act on: its status and why, what its attempts returned, what
    /// can be done, and the causal tree around it. [`Explanation`](crate::Explanation) prints it by `Display`.
    ///
    /// # Errors
    ///
    /// When awaited: [`Error::NotHeld`] if the engine does not hold the invocation, [`Error::Store`] if the store
    /// cannot be read.
    pub fn explain(&self, cid: Cid) -> Explain<'_> {
        Explain::new(self, cid)
    }

    /// Runs a dead letter again and returns the new CID: the same request to the same service, with the same callbacks
    /// and options except its times and its idempotency key, in the same tree. A chain runs again from its first step.
    ///
    /// The dead letter is kept, names the invocation that runs it again, and is no longer listed as dead.
    ///
    /// # Errors
    ///
    /// [`CallError::NotHeld`] if the engine does not hold it, [`CallError::NotDead`] if it is not a dead letter, or
    /// has been run again already; otherwise as for [`InvokeAsync`](zato_core::InvokeAsync).
    pub async fn run_again(&self, cid: Cid) -> Result<Cid, CallError> {
        rerun::run_again(self.shared(), cid).await
    }

    /// Deletes a dead letter.
    ///
    /// # Errors
    ///
    /// [`CallError::NotHeld`] if the engine does not hold it, [`CallError::NotDead`] if it is not a dead letter,
    /// [`CallError::Store`] if the change cannot be recorded.
    pub async fn discard(&self, cid: Cid) -> Result<(), CallError> {
        rerun::discard(self.shared(), cid).await
    }

    /// Pauses a service: its invocations do not start until it is [resumed](Self::resume). Calls of it are still accepted and
    /// wait; handlers that run are not affected.
    ///
    /// # Errors
    ///
    /// [`CallError::Unknown`] if no service has that name, [`CallError::Store`] if the change cannot be recorded.
    pub async fn pause(&self, service: impl AsRef<str>) -> Result<(), CallError> {
        self.set_paused(service.as_ref(), true).await
    }

    /// Lets the invocations of a paused service start again.
    ///
    /// # Errors
    ///
    /// [`CallError::Unknown`] if no service has that name, [`CallError::Store`] if the change cannot be recorded.
    pub async fn resume(&self, service: impl AsRef<str>) -> Result<(), CallError> {
        self.set_paused(service.as_ref(), false).await
    }

    async fn set_paused(&self, name: &str, paused: bool) -> Result<(), CallError> {
        let registry = &self.shared().registry;
        let entry = registry.get(name).ok_or_else(|| registry.unknown("service", name))?;
        self.shared().engine.pause(&entry.name, paused).await.map_err(|fault| fault.of_call(None))
    }
}
