//! The `#[service]` attribute of `zato-core`, which re-exports it; depend on that crate, not on this one.
//!
//! # Layout
//!
//! The rooms follow the way of the tokens: `parse` reads the attribute, `settings` and `signature` check the
//! values and the function, `model` puts together what was meant and gathers every fault, `expand` writes the
//! code. Below them `name`, `duration` and `rate` hold the rules of texts, `key` the list of keys, `fault` the gathering.

mod fault;
mod name;
mod duration;
mod rate;
mod key;
mod parse;
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
/// On a struct it goes with an `impl Service`. The struct's fields are resources, given by type when the runtime
/// starts. `X::NAME` is the service's name; `X::service()` is a handle that stands wherever a name may stand.
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
/// An async function takes `&Context`, then the request by value, then resources, by value or by reference. Where a
/// reference comes in the place of the request, or nothing at all, the request is the unit. It stays callable, and a
/// struct of the same name stands for the service.
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
/// | `formerly` | `"old.name"`, or `["a", "b"]` | names that it had before: what waits under them is its own |
/// | `max_attempts` | `5` | how many attempts may end by themselves before the outcome is `Failed` |
/// | `max_losses` | `3` | how many deaths of the process an invocation may take part in before it is `Lost` |
/// | `backoff` | `"5s"`, or `"1s..2m"` | the wait before the next attempt: fixed, or growing within limits |
/// | `timeout` | `"30s"` | how long one attempt may take |
/// | `concurrency` | `8` | how many may run at once |
/// | `priority` | `-128` to `127` | which waiting invocation goes first: the higher |
/// | `rate` | `"100/s"`, `"100/10s"` | how many may start in a stretch of time |
/// | `callback` | `"a.name"`, or a service's type | receives the responses to its asynchronous calls that name no callback |
/// | `on_failure` | `"a.name"`, or a service's type | is told of their failures |
///
/// Durations are numbers with units such as `ms`, `s`, `m`, `h` and `d`, the longest unit first: `1m30s`, `1.5h`, `2 days`.
/// The n-th retry of `backoff = "1s..2m"` waits at random between 1 s and 1 s x 2^n, at most 2 m; a single duration is
/// fixed.
///
/// # Names and pairs
///
/// Without `name` the name is derived from the module path and the identifier: `MyService` in module `my_module`
/// is `my-module.my-service`. An unnamed `XAsyncCallback` beside a service `X` is `X`'s callback by convention and
/// is named after it; an unnamed `XAsyncFailure` its failure callback. With a name they are paired with `X` if
/// there is one in the module's scope. Functions `x_async_callback` and `x_async_failure` pair with `x`.
#[proc_macro_attribute]
pub fn service(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::service(attribute.into(), &item.into()).into()
}
