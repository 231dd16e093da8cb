//! Services in a library crate. It depends on `zato-core` alone: how they are run is up to the program.

use serde::{Deserialize, Serialize};
use zato_core::{Context, Failure, Result, Service, service};

/// Who is greeted, and in which language.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Visitor {
    /// The visitor's name.
    pub name: String,
    /// `de`, `en` or `pl`.
    pub language: String,
}

/// Greets a visitor. Its name is `greetings.hello`: the module path and the identifier.
#[service]
pub struct Hello;

impl Service for Hello {
    type Request = Visitor;
    type Response = String;

    async fn handle(&self, _: &Context, visitor: Visitor) -> Result<String> {
        let hello = match &*visitor.language {
            "de" => "Guten Tag",
            "en" => "Hello",
            "pl" => "Dzień dobry",
            other => {
                return Err(Failure::permanent(format!("no greeting in `{other}`: ask for de, en or pl")));
            }
        };
        Ok(format!("{hello}, {}!", visitor.name))
    }
}

/// Has a visitor greeted in the background, and does not wait for it.
#[service]
pub struct Welcome;

impl Service for Welcome {
    type Request = Visitor;
    type Response = ();

    async fn handle(&self, ctx: &Context, visitor: Visitor) -> Result<()> {
        ctx.invoke_async(Hello::service(), visitor).await?;
        Ok(())
    }
}

/// Receives the greeting: the callback of `Welcome` by convention.
#[service]
pub struct WelcomeAsyncCallback;

impl Service for WelcomeAsyncCallback {
    type Request = String;
    type Response = ();

    async fn handle(&self, ctx: &Context, greeting: String) -> Result<()> {
        tracing::info!(in_reply_to = ?ctx.in_reply_to(), greeting, "the visitor has been greeted");
        Ok(())
    }
}
