//! How a door hears of what happens, without a queue in between.

use zato_core::{Channel, Cid};

use crate::record::Ended;

/// Told of every invocation on its way, in the thread in which it happens: it must be quick.
///
/// `entering` comes before the engine is asked, so what has been told of never falls behind what has happened.
pub(crate) trait Observer: Send + Sync {
    /// An engine is about to be asked to take this.
    fn entering(&self, cid: Cid, channel: Channel);

    /// The engine did not take it.
    fn refused(&self, cid: Cid, channel: Channel);

    /// Its outcome is recorded.
    fn ended(&self, ended: &Ended);
}
