//! The `#[service]` attribute, as a crate that depends on `zato-core` alone meets it.

mod compile;
mod crates;
mod functions;
mod hygiene;
mod names;
mod pairing;
mod settings;
