//! Service functions: what becomes of their signature, and that they stay what they were.

use std::any::type_name;
use std::sync::{Arc, Mutex};

use zato_core::{Context, Registered, Resources, Result, Service, service};

#[derive(serde::Serialize, serde::Deserialize)]
struct Order {
    id: u64,
    amount: u64,
}

#[derive(Clone)]
struct Rates(u64);

#[service(name = "functions.price")]
async fn price(_ctx: &Context, order: Order, rates: &Rates, log: Arc<Mutex<Vec<u64>>>) -> Result<u64> {
    if let Ok(mut log) = log.lock() {
        log.push(order.id);
    }
    Ok(order.amount * rates.0)
}

#[service(name = "functions.patterns")]
async fn patterns(
    _: &zato_core::Context,
    Order { id, mut amount }: Order,
    Rates(rate): &Rates,
    #[cfg(any())] absent: &NoSuchType,
) -> std::result::Result<u64, std::num::TryFromIntError> {
    amount *= rate;
    u32::try_from(id).map(|id| amount + u64::from(id))
}

#[service(name = "functions.nothing")]
async fn nothing(_ctx: &Context) -> Result<()> {
    Ok(())
}

#[service(name = "functions.no-request")]
async fn no_request(_ctx: &Context, rates: &Rates, log: Arc<Mutex<Vec<u64>>>) -> Result<u64> {
    drop(log);
    Ok(rates.0)
}

#[service(name = "functions.static", max_attempts = 2)]
#[must_use = "attributes stay"]
async fn of_static(_ctx: &Context, (): (), text: &'static str, call: fn(&str) -> usize) -> Result<usize> {
    Ok(call(text))
}

fn types<S: Service>() -> (&'static str, &'static str) {
    (type_name::<S::Request>(), type_name::<S::Response>())
}

fn needs(service: &zato_core::Registration) -> Vec<&'static str> {
    service.needs().iter().map(zato_core::Need::field).collect()
}

#[test]
fn the_signature_says_request_response_and_resources() {
    assert_eq!(types::<price>(), (type_name::<Order>(), "u64"));
    assert_eq!(types::<nothing>(), ("()", "()"));
    assert_eq!(types::<patterns>(), (type_name::<Order>(), "u64"));
    assert_eq!(needs(&price::service().erased()), ["rates", "log"]);
    assert_eq!(
        (types::<no_request>().0, needs(&no_request::service().erased())),
        ("()", vec!["rates", "log"])
    );
    assert_eq!(needs(&patterns::service().erased()), ["resource_1"]);
    assert_eq!(needs(&of_static::service().erased()), ["text", "call"]);
    assert_eq!(of_static::service().erased().settings().max_attempts, Some(2));
}

#[test]
fn the_struct_of_a_function_is_built_from_resources() {
    let mut resources = Resources::default();
    assert!(price::build(&resources).is_err());
    resources.put(Rates(2));
    resources.put(Arc::new(Mutex::new(Vec::<u64>::new())));
    assert!(price::build(&resources).is_ok_and(|service| service.rates.0 == 2));
}

/// That it compiles is the test: an annotated function is still an ordinary one.
#[allow(dead_code, reason = "a context comes from a runtime alone, so it cannot be run here")]
async fn still_callable(ctx: &Context) -> Result<u64> {
    let order = Order { id: 1, amount: 2 };
    nothing(ctx).await?;
    let length = of_static(ctx, (), "four", str::len).await?;
    Ok(price(ctx, order, &Rates(3), Arc::default()).await? + length as u64)
}
