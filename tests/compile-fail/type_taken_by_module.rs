//! The type of a service function collides with a module of the same name: `type` gives it another.

mod charge {
    use zato_core::{Context, Result, service};

    #[service(name = "orders.charge")]
    pub async fn charge(_ctx: &Context) -> Result<()> {
        Ok(())
    }
}

use charge::charge;

mod price {}

#[zato_core::service(name = "orders.price")]
async fn price(_ctx: &zato_core::Context) -> zato_core::Result<()> {
    Ok(())
}

fn main() {
    let _ = charge;
}
