//! A trait is no service.

use zato_core::service;

#[service]
trait Charge {}

fn main() {}
