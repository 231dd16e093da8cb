//! The `#[service]` attribute of `zato-core`, which re-exports it; depend on that crate, not on this one.
//!
//! # Layout
//!
//! The modules are in the order in which the tokens pass through them: `parse` reads the attribute and `item` the item,
//! `settings` and `signature` check the values and the function, `model` puts together what was meant and gathers every
//! fault, `expand` writes the code. Below them `name`, `duration` and `rate` hold the rules of texts, `key` the list of
//! keys, `fault` collects faults, and `manifest` finds the name of `zato-core`.

mod fault;
mod name;
mod duration;
mod rate;
mod key;
mod parse;
mod item;
mod manifest;
mod settings;
mod resource;
mod signature;
mod pair;
mod model;
mod expand;
#[cfg(test)]
mod golden;

use proc_macro::TokenStream;

/// Makes a struct or an async function a service: registered at link time, named, typed.
///
/// A struct needs an `impl Service` beside it. Its fields are resources, which are provided by type when the runtime
/// starts. `X::NAME` is the service's name; `X::service()` is its handle, which is accepted wherever a name is.
///
/// ```
/// use zato_core::{Context, Result, Service, service};
///
/// # #[derive(Clone)]
/// # struct Pool;
/// # impl Pool {
/// #     async fn charge(&self, _order: u64) -> std::io::Result<()> { Ok(()) }
/// # }
/// #[service(name = "orders.charge", max_attempts = 5, backoff = "1s..2m", timeout = "30s", concurrency = 8)]
/// struct Charge {
///     pool: Pool,
/// }
///
/// impl Service for Charge {
///     type Request = u64;
///     type Response = ();
///
///     async fn handle(&self, _ctx: &Context, order: u64) -> Result<()> {
///         Ok(self.pool.charge(order).await?)
///     }
/// }
/// # assert_eq!(Charge::NAME, "orders.charge");
/// ```
///
/// An async function takes `&Context`, under whatever name that is imported, then the request by value, then resources by
/// value or by reference. Without a request, or with a reference in its place, the request is the unit. It returns a
/// `Result` with any error that converts into `Box<dyn Error + Send + Sync>`, such as `anyhow::Result`. It stays callable,
/// and the attribute writes a struct of the same name beside it, which is the service.
///
/// ```
/// use zato_core::{Context, Result, service};
///
/// # #[derive(Clone)]
/// # struct Rates(u64);
/// #[service(name = "orders.price")]
/// async fn price(_ctx: &Context, amount: u64, rates: &Rates) -> Result<u64> {
///     Ok(amount * rates.0)
/// }
/// # assert_eq!(price::NAME, "orders.price");
/// ```
///
/// # Keys
///
/// | key | value | meaning |
/// |---|---|---|
/// | `name` | `"orders.charge"` | words of `a-z`, `0-9`, `-`, `_` joined by `.`, at most 128 bytes; not below `zato.` |
/// | `formerly` | `"old.name"`, or `["a", "b"]` | names that the service had before: what waits under them belongs to it |
/// | `max_attempts` | `5` | the number of attempts that may end by themselves before the outcome is `Failed` |
/// | `max_losses` | `3` | the number of deaths of its process after which an invocation is `Lost` |
/// | `backoff` | `"5s"`, or `"1s..2m"` | the wait before another attempt: fixed, or growing within bounds |
/// | `timeout` | `"30s"` | the limit of one attempt, above zero |
/// | `concurrency` | `8` | the number of invocations that may run at once |
/// | `priority` | `-128` to `127` | the order of waiting invocations: a higher one starts first |
/// | `rate` | `"100/s"`, `"100/10s"` | the number of starts in a stretch of time |
/// | `callback` | `"a.name"`, or a service's type | receives the responses to its asynchronous calls that name no callback |
/// | `on_failure` | `"a.name"`, or a service's type | receives the failures of its calls that name no failure callback |
/// | `type` | `Charge` | for a function: the name of the struct that the attribute writes |
/// | `crate` | `bus`, or `my::bus` | the path to `zato-core`, or to what re-exports all of it |
///
/// A duration is numbers with units such as `ms`, `s`, `m`, `h` and `d`, the longest unit first: `30s`, `1m30s`, `1.5h`,
/// `2 days`. The n-th retry of `backoff = "1s..2m"` waits at random between 1 s and 1 s x 2^n, at most 2 m; a single duration
/// is a fixed wait.
///
/// # Names and pairs
///
/// Without `name` the name is derived from the module path and the identifier: `MyService` in module `my_module`
/// is `my-module.my-service`. An unnamed `XAsyncCallback` beside a service `X` is `X`'s callback by convention and
/// is named after it; an unnamed `XAsyncFailure` its failure callback. With a name they are paired with `X` if
/// there is one in the module's scope. Functions `x_async_callback` and `x_async_failure` pair with `x`.
///
/// # The type of a function
///
/// The struct of a function `charge` is the type `charge`. Where the same module has another type or a module of that name,
/// or imports `charge` beside a `mod charge`, the compiler says that `charge` is defined multiple times (E0428, E0255).
/// `type` gives the struct another name, under which it also pairs: with `type = Charge`, the callback by convention is the
/// type `ChargeAsyncCallback`. The derived name of the service remains that of the function.
///
/// ```
/// mod charge {
///     use zato_core::{Context, Result, service};
///
///     #[service(name = "orders.charge", type = Charge)]
///     pub async fn charge(_ctx: &Context, cents: u64) -> Result<u64> {
///         Ok(cents)
///     }
/// }
///
/// use charge::{Charge, charge};
/// # let _ = charge;
/// # assert_eq!(Charge::service().name(), "orders.charge");
/// ```
///
/// # Under another name
///
/// The generated code refers to `::zato_core`. Where a package depends on it under another name, or through a crate that
/// re-exports it, `crate` says where it is. `pub use zato_core::*;` re-exports all that the attribute needs.
///
/// ```
/// mod bus {
///     pub use zato_core::*;
/// }
///
/// use bus::{Context, Result, service};
///
/// #[service(name = "orders.ship", crate = bus)]
/// async fn ship(_ctx: &Context) -> Result<()> {
///     Ok(())
/// }
/// # fn main() { assert_eq!(ship::NAME, "orders.ship"); }
/// ```
#[proc_macro_attribute]
pub fn service(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::service(attribute.into(), &item.into()).into()
}
