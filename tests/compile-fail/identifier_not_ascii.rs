//! An identifier that is not ASCII needs an explicit name.

use zato_core::{Context, Result, Service, service};

#[service()]
struct Größe;

impl Service for Größe {
    type Request = ();
    type Response = ();

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
        Ok(())
    }
}

fn main() {
    let _ = Größe::NAME;
}
