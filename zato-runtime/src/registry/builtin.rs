//! The services that come with every runtime.

use serde::Serialize;
use zato_core::__private::Named;
use zato_core::{
    Context, MissingResource, Origin, Payload, Registered, Registration, Resources, Result, Service,
};

use crate::base::log_target;

/// All of them.
pub(crate) fn all() -> [Registration; 3] {
    [Registration::of::<Ping>(), Registration::of::<Echo>(), Registration::of::<InputLogger>()]
}

/// `#[service]` by hand: names that begin with `zato.` are not for it.
macro_rules! built_in {
    ($($type:ident = $name:literal)*) => {$(
        impl Registered for $type {
            const ORIGIN: Origin = Origin::new(stringify!($type), module_path!(), file!(), line!());
            const NAMED: Named = Named::explicit($name);

            fn build(_: &Resources) -> Result<Self, MissingResource> {
                Ok(Self)
            }
        }
    )*};
}

built_in! {
    Ping = "zato.ping"
    Echo = "zato.helpers.echo"
    InputLogger = "zato.helpers.input-logger"
}

/// `zato.ping`: answers, whatever it is sent.
struct Ping;

#[derive(Serialize)]
struct Pong {
    pong: &'static str,
}

impl Service for Ping {
    type Request = Payload;
    type Response = Pong;

    async fn handle(&self, _: &Context, _: Payload) -> Result<Pong> {
        Ok(Pong { pong: "zato" })
    }
}

/// `zato.helpers.echo`: returns its payload as it came.
struct Echo;

impl Service for Echo {
    type Request = Payload;
    type Response = Payload;

    async fn handle(&self, _: &Context, payload: Payload) -> Result<Payload> {
        Ok(payload)
    }
}

/// `zato.helpers.input-logger`: logs what it is sent. The one place where a payload is logged: it is what it
/// is called for.
struct InputLogger;

impl Service for InputLogger {
    type Request = Payload;
    type Response = ();

    async fn handle(&self, ctx: &Context, payload: Payload) -> Result<()> {
        tracing::info!(target: log_target::BUILTIN, cid = %ctx.cid(), caller = ctx.caller(), %payload, "input");
        Ok(())
    }
}
