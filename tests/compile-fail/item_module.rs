//! A module is no service.

use zato_core::service;

#[service]
mod charge {}

fn main() {}
