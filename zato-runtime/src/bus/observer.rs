//! The trait for a listener that is told of calls and ends in the thread in which they happen.

use zato_core::{Channel, Cid};

use crate::record::Ended;

/// Receives every invocation on its way, in the thread in which it happens, so it must be quick.
///
/// `entering` comes before the engine is asked, so what has been reported never falls behind what has happened.
pub(crate) trait Observer: Send + Sync {
    /// An engine is about to be asked to accept this invocation of the tree with this root.
    fn entering(&self, cid: Cid, root: Cid, channel: Channel);

    /// The engine did not accept it.
    fn refused(&self, cid: Cid, root: Cid, channel: Channel);

    /// The outcome of an invocation is recorded.
    fn ended(&self, ended: &Ended);
}
