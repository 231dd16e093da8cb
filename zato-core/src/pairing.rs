//! Finds, at compile time, the service that a callback by convention belongs to.
//!
//! The attribute makes both identifiers aliases of [`Nothing`], and then reads them behind a glob import of the
//! module, which overrides the aliases if the module has an item of that name. A constant of an inherent `impl` overrides
//! that of the trait [`Otherwise`], which every type implements.

use std::marker::PhantomData;

use crate::name::{Fault, Named};
use crate::service::Registered;

/// The type of an identifier of which the module has no item.
pub struct Nothing;

/// The item that a module has under the identifier of a callback's caller.
#[derive(Clone, Copy)]
pub enum Found {
    /// A service of this name.
    Service(&'static str),
    /// An item that is not a service.
    Other,
    /// Nothing.
    Nothing,
}

/// Asks what `X` is.
pub struct Beside<X: ?Sized>(PhantomData<X>);

/// Asks whether `This` is what the module has under its identifier, which it is not inside a function's body.
pub struct Here<This: ?Sized, Module: ?Sized>(PhantomData<This>, PhantomData<Module>);

impl<X: Registered> Beside<X> {
    /// A service.
    pub const FOUND: Found = Found::Service(X::NAME);
}

impl Beside<Nothing> {
    /// The alias, because the module has nothing of the name.
    pub const FOUND: Found = Found::Nothing;
}

impl<Same: ?Sized> Here<Same, Same> {
    /// The module has this very type.
    pub const IS: bool = true;
}

/// The answers for what no inherent `impl` is for.
pub trait Otherwise {
    /// Neither a service nor nothing.
    const FOUND: Found = Found::Other;
    /// The module has nothing or another type of the name.
    const IS: bool = false;
}

impl<X: ?Sized> Otherwise for Beside<X> {}

impl<This: ?Sized, Module: ?Sized> Otherwise for Here<This, Module> {}

impl Found {
    /// The name of the service, if the item is one and the callback is not in a function's body.
    pub const fn service(self, is_here: bool) -> Option<&'static str> {
        match self {
            Self::Service(name) if is_here => Some(name),
            _ => None,
        }
    }
}

impl Named {
    /// The name of a callback by convention: its caller's, with `-async-callback`.
    pub const fn callback_of(caller: Found, is_here: bool) -> Self {
        Self::paired(caller, is_here, "-async-callback")
    }

    /// The name of a failure callback by convention: its caller's, with `-async-failure`.
    pub const fn failure_of(caller: Found, is_here: bool) -> Self {
        Self::paired(caller, is_here, "-async-failure")
    }

    /// Without a caller there is a placeholder name, so that `check_pair` alone reports the fault.
    const fn paired(caller: Found, is_here: bool, suffix: &'static str) -> Self {
        let (name, fault) = match caller {
            _ if !is_here => ("unpaired", Fault::InFunction),
            Found::Service(name) => return Self::joined(name, suffix),
            Found::Other => ("unpaired", Fault::NoService),
            Found::Nothing => ("unpaired", Fault::NoCaller),
        };
        let mut named = Self::joined(name, suffix);
        named.fault = Some(fault);
        named
    }

    /// Checks that the module has the caller that the callback is named after.
    ///
    /// It takes the identifiers of the callback and of its caller, what the former is to the latter, and the key of
    /// the attribute that pairs them.
    ///
    /// # Panics
    ///
    /// At compile time, if it does not.
    #[track_caller]
    pub const fn check_pair(self, this: &str, caller: &str, role: &str, key: &str) {
        let message = match self.fault {
            Some(Fault::InFunction) => Message::of(
                "`$` without a name is the $ of `$` and named after it, but inside a function body `$` cannot be \
                 looked up: write #[service(name = \"...\")] here and #[service($ = $)] on `$`, or move both into a \
                 module",
                &[this, role, caller, caller, key, this, caller],
            ),
            Some(Fault::NoCaller) => Message::of(
                "`$` without a name is the $ of `$` and named after it, but no `$` is in scope: bring it into scope, \
                 or write #[service(name = \"...\")] to make this an ordinary service",
                &[this, role, caller, caller],
            ),
            Some(Fault::NoService) => Message::of(
                "`$` without a name is the $ of `$` and named after it, but `$` is not a service: put #[service] above \
                 it, or write #[service(name = \"...\")] here to make this an ordinary service",
                &[this, role, caller, caller],
            ),
            Some(Fault::NotAscii | Fault::TooLong | Fault::Reserved) | None => return self.check(),
        };
        panic!("{}", message.as_str())
    }
}

/// A text put together at compile time; what does not fit is cut off.
struct Message {
    bytes: [u8; 1024],
    len: usize,
}

impl Message {
    /// The template, with the next of the texts for each `$`.
    const fn of(template: &str, texts: &[&str]) -> Self {
        let mut message = Self { bytes: [0; 1024], len: 0 };
        let (template, mut at, mut next) = (template.as_bytes(), 0, 0);
        while at < template.len() {
            if template[at] == b'$' && next < texts.len() {
                message.add(texts[next].as_bytes());
                next += 1;
            } else {
                message.add(&[template[at]]);
            }
            at += 1;
        }
        message
    }

    const fn add(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() && self.len < self.bytes.len() {
            self.bytes[self.len] = bytes[at];
            self.len += 1;
            at += 1;
        }
    }

    const fn as_str(&self) -> &str {
        let (text, _) = self.bytes.split_at(self.len);
        match std::str::from_utf8(text) {
            Ok(text) => text,
            // A character was cut in two.
            Err(_) => "this callback has no caller: name it with #[service(name = \"...\")]",
        }
    }
}
