//! A service function's future can move between threads.

use std::rc::Rc;

use zato_core::{Context, Result, service};

#[service(name = "orders.price")]
async fn price(ctx: &Context) -> Result<()> {
    let total = Rc::new(1);
    ctx.cancelled().await;
    drop(total);
    Ok(())
}

fn main() {}
