//! Which service stands beside a callback whose identifier says that it belongs to one. Asked at compile time.
//!
//! The attribute makes both identifiers aliases of [`Nothing`], and then reads them behind a glob import of the
//! module, which goes before the aliases where the module has something of that name. A constant of an inherent
//! `impl` goes before that of the trait [`Otherwise`], which holds for every type.

use std::marker::PhantomData;

use crate::name::{Fault, Named};
use crate::service::Registered;

/// What an identifier stands for where the module has nothing of that name.
pub struct Nothing;

/// What stands beside a callback under its caller's identifier.
#[derive(Clone, Copy)]
pub enum Found {
    /// A service of this name.
    Service(&'static str),
    /// Something that is no service.
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
    /// The name of the service, if it is one and the callback stands where the module can be asked.
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

    /// Without a caller there is a name nonetheless, so that the compiler says it once, where `check_pair` stands.
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

    /// Checks that the service stands beside one after which it could be named.
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
