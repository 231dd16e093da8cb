//! The caller that a service is the callback of, derived from its identifier.

use proc_macro2::Ident;
use syn::ext::IdentExt;

/// A caller, and what its callback receives.
pub(crate) struct Pair {
    pub(crate) caller: Ident,
    pub(crate) role: Role,
}

/// The outcomes that a callback by convention receives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The responses.
    Callback,
    /// The failures.
    Failure,
}

impl Role {
    /// Its name in messages, and the key of the attribute that sets it.
    pub(crate) fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Callback => ("callback", "callback"),
            Self::Failure => ("failure callback", "on_failure"),
        }
    }

    /// The constructor of `Named` for it.
    pub(crate) fn constructor(self) -> &'static str {
        match self {
            Self::Callback => "callback_of",
            Self::Failure => "failure_of",
        }
    }

    /// The constant of `Registered` that says whose callback it is where the name does not.
    pub(crate) fn constant(self) -> &'static str {
        match self {
            Self::Callback => "CALLBACK_OF",
            Self::Failure => "FAILURE_OF",
        }
    }
}

impl Pair {
    /// `XAsyncCallback` and `XAsyncFailure` belong to `X`, functions `x_async_callback` and `x_async_failure` to `x`.
    pub(crate) fn of(ident: &Ident, is_function: bool) -> Option<Self> {
        let text = ident.unraw().to_string();
        let suffixes = if is_function {
            [("_async_callback", Role::Callback), ("_async_failure", Role::Failure)]
        } else {
            [("AsyncCallback", Role::Callback), ("AsyncFailure", Role::Failure)]
        };
        let (caller, role) =
            suffixes.into_iter().find_map(|(suffix, role)| Some((text.strip_suffix(suffix)?, role)))?;
        let mut caller = syn::parse_str::<Ident>(caller)
            .or_else(|_| syn::parse_str::<Ident>(&format!("r#{caller}")))
            .ok()?;
        caller.set_span(ident.span());
        Some(Self { caller, role })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(ident: &str, is_function: bool) -> Option<String> {
        let ident: Ident = syn::parse_str(ident).ok()?;
        Pair::of(&ident, is_function).map(|pair| pair.caller.to_string())
    }

    #[test]
    fn the_caller_is_what_stands_before_the_suffix() {
        assert_eq!(caller("ChargeAsyncCallback", false).as_deref(), Some("Charge"));
        assert_eq!(caller("ChargeAsyncFailure", false).as_deref(), Some("Charge"));
        assert_eq!(caller("XAsyncCallbackAsyncCallback", false).as_deref(), Some("XAsyncCallback"));
        assert_eq!(caller("price_async_callback", true).as_deref(), Some("price"));
        assert_eq!(caller("type_async_callback", true).as_deref(), Some("r#type"));
        assert_eq!(caller("r#price_async_failure", true).as_deref(), Some("price"));
        for (none, is_function) in [
            ("AsyncCallback", false),
            ("Charge", false),
            ("SelfAsyncCallback", false),
            ("price_async_callback", false),
            ("PriceAsyncCallback", true),
            ("_async_callback", true),
            ("__async_callback", true),
        ] {
            assert_eq!(caller(none, is_function), None, "{none}");
        }
    }
}
