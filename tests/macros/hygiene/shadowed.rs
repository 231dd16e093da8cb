//! Services beside types that are called as those of the standard library.

#![forbid(unsafe_code)]
#![deny(warnings, clippy::all, clippy::pedantic)]
#![allow(dead_code, reason = "the types are there for their names")]

use zato_core::{Context, Service, service};

struct Box;
struct Option;
struct Vec;
struct Some;
struct Ok;
struct Err;
struct None;
struct Send;
struct Sync;
struct Clone;
struct Self_;
struct Resources;
struct Registered;
struct Settings;
struct Named;
struct Handle;
mod core {}
mod std {}
mod inventory {}

#[derive(::core::clone::Clone)]
struct String;
struct Result;

macro_rules! panic {
    () => {};
}

#[service(name = "hygiene.shadowed.braced", max_attempts = 2, callback = BracedAsyncCallback)]
struct Braced {
    resources: String,
}

impl Service for Braced {
    type Request = ();
    type Response = u8;

    async fn handle(&self, _ctx: &Context, (): ()) -> zato_core::Result<u8> {
        let _ = &self.resources;
        panic!();
        ::core::result::Result::Ok(1)
    }
}

#[service]
struct BracedAsyncCallback;

impl Service for BracedAsyncCallback {
    type Request = u8;
    type Response = ();

    async fn handle(&self, _ctx: &Context, _reply: u8) -> zato_core::Result<()> {
        ::core::result::Result::Ok(())
    }
}

#[service(name = "hygiene.shadowed.function")]
async fn function(_ctx: &Context, request: u8, ctx: &String, request_2: String) -> zato_core::Result<u8> {
    let (_, _) = (ctx, request_2);
    ::core::result::Result::Ok(request)
}

fn main() {
    assert_eq!(BracedAsyncCallback::NAME, "hygiene.shadowed.braced-async-callback");
    assert_eq!(function::service().name(), "hygiene.shadowed.function");
}
