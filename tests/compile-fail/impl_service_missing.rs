//! A service has an `impl Service`.

use zato_core::service;

#[service(name = "orders.charge")]
struct Charge;

fn main() {}
