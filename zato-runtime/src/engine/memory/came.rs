//! What has come and waits for a worker, in as few lines of the cache as it can: they are written by one core and read by
//! another.

use std::sync::Arc;

use zato_core::{Channel, Cid, Invocation, Moment, Payload, ServiceName};

/// One that has come.
pub(super) enum Came {
    /// A call from outside, as that of which the invocation is made by who runs it.
    Call {
        cid: Cid,
        called_at: Moment,
        payload: Payload,
        callback: Option<ServiceName>,
        on_failure: Option<ServiceName>,
    },
    /// One that was made before.
    Made(Arc<Invocation>),
}

impl From<&Invocation> for Came {
    #[inline]
    fn from(invocation: &Invocation) -> Self {
        let Invocation { cid, called_at, payload, callbacks, on_failure, parent, channel, .. } = invocation;
        let is_call = parent.is_none() && *channel == Channel::InvokeAsync;
        if !is_call || callbacks.len() > 1 || on_failure.len() > 1 {
            return Self::Made(Arc::new(invocation.clone()));
        }
        Self::Call {
            cid: *cid,
            called_at: *called_at,
            payload: payload.clone(),
            callback: callbacks.first().copied(),
            on_failure: on_failure.first().copied(),
        }
    }
}

impl Came {
    /// The invocation, of this service.
    #[inline]
    pub(super) fn invocation(self, service: ServiceName) -> Arc<Invocation> {
        match self {
            Self::Made(invocation) => invocation,
            Self::Call { cid, called_at, payload, callback, on_failure } => {
                let mut invocation =
                    Invocation::root_at(cid, service, payload, Channel::InvokeAsync, called_at);
                invocation.callbacks.extend(callback);
                invocation.on_failure.extend(on_failure);
                Arc::new(invocation)
            }
        }
    }
}
