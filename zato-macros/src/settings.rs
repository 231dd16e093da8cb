//! The values of the attribute, and their faults.

use std::time::Duration;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprPath, Lit, LitStr, Path, UnOp};

use crate::duration::{self, Bounds, Unclear};
use crate::fault::Faults;
use crate::key::Key;
use crate::name::{self, Use};
use crate::parse::{Entry, ungrouped};
use crate::rate;

/// The settings of the attribute, without faulty ones.
#[derive(Default)]
pub(crate) struct Said {
    /// `true` if the attribute has a name, valid or not.
    pub(crate) has_name: bool,
    /// The name.
    pub(crate) name: Option<LitStr>,
    /// The path to `zato-core`.
    pub(crate) root: Option<Path>,
    /// The identifier of the type that is written for a function.
    pub(crate) ty: Option<Ident>,
    /// The calls on `Settings::new()`, one for each key.
    pub(crate) settings: Vec<TokenStream>,
}

/// Reads every entry; what is faulty is left out.
pub(crate) fn read(entries: Vec<Entry>, faults: &mut Faults) -> Said {
    let mut said = Said::default();
    let own =
        entries.iter().find(|entry| entry.key == Key::Name).and_then(|entry| text(&entry.value)).cloned();
    for Entry { key, value, .. } in entries {
        let setting = match key {
            Key::Name => {
                said.has_name = true;
                said.name = service_name(key, &value, Use::Own, faults);
                continue;
            }
            Key::Type => {
                said.ty = identifier(&value, faults);
                continue;
            }
            Key::Crate => {
                said.root = path(&value, faults);
                continue;
            }
            Key::Formerly => Some(formerly(&value, own.as_ref(), faults)),
            Key::MaxAttempts => count(key, &value, faults).map(|n| quote!(max_attempts(#n))),
            Key::MaxLosses => count(key, &value, faults).map(|n| quote!(max_losses(#n))),
            Key::Concurrency => count(key, &value, faults).map(|n| quote!(concurrency(#n))),
            Key::Priority => priority(&value, faults).map(|n| quote!(priority(#n))),
            Key::Timeout => {
                let read = |text: &str| duration::duration(text).and_then(duration::timeout);
                of_time(key, &value, read, faults).map(|limit| {
                    let limit = length(limit);
                    quote!(timeout(#limit))
                })
            }
            Key::Backoff => of_time(key, &value, duration::backoff, faults).map(|bounds| match bounds {
                Bounds::Fixed(wait) => {
                    let wait = length(wait);
                    quote!(backoff_fixed(#wait))
                }
                Bounds::Between(from, to) => {
                    let (from, to) = (length(from), length(to));
                    quote!(backoff_between(#from, #to))
                }
            }),
            Key::Rate => of_time(key, &value, rate::rate, faults).map(|rate| {
                let (starts, per) = (Literal::u32_unsuffixed(rate.starts), length(rate.per));
                quote!(rate(#starts, #per))
            }),
            Key::Callback => service_ref(key, &value, faults).map(|name| quote!(callback(#name))),
            Key::OnFailure => service_ref(key, &value, faults).map(|name| quote!(on_failure(#name))),
        };
        said.settings.extend(setting);
    }
    said
}

/// The expression for a duration.
fn length(duration: Duration) -> TokenStream {
    // No text says more than `u64::MAX` nanoseconds.
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    if nanos.is_multiple_of(1_000_000) {
        let millis = Literal::u64_unsuffixed(nanos / 1_000_000);
        return quote!(::core::time::Duration::from_millis(#millis));
    }
    let nanos = Literal::u64_unsuffixed(nanos);
    quote!(::core::time::Duration::from_nanos(#nanos))
}

fn text(value: &Expr) -> Option<&LitStr> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// The identifier of a type.
fn identifier(value: &Expr, faults: &mut Faults) -> Option<Ident> {
    let ident = match value {
        Expr::Path(ExprPath { attrs, qself: None, path }) if attrs.is_empty() => path.get_ident().cloned(),
        _ => None,
    };
    if ident.is_none() {
        faults.add(value, Key::Type.takes());
    }
    ident
}

/// The path to a crate or a module, as a path or as a text.
fn path(value: &Expr, faults: &mut Faults) -> Option<Path> {
    let path = match value {
        Expr::Path(ExprPath { attrs, qself: None, path }) if attrs.is_empty() => Some(path.clone()),
        value => text(value).and_then(|text| text.parse_with(Path::parse_mod_style).ok()),
    };
    let path = path.filter(|path| path.segments.iter().all(|segment| segment.arguments.is_none()));
    if path.is_none() {
        faults.add(value, Key::Crate.takes());
    }
    path
}

/// A whole number, with its sign.
fn number(value: &Expr) -> Option<Result<i128, syn::Error>> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => Some(number.base10_parse()),
            _ => None,
        },
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
            number(&unary.expr).map(|number| number.map(|number| -number))
        }
        Expr::Group(group) => number(&group.expr),
        _ => None,
    }
}

fn count(key: Key, value: &Expr, faults: &mut Faults) -> Option<Literal> {
    let Some(Ok(number)) = number(value) else {
        faults.add(value, key.takes());
        return None;
    };
    let shown = value.to_token_stream().to_string().replace("- ", "-");
    match u32::try_from(number) {
        Ok(0) => {
            let (why, one) = match key {
                Key::Concurrency => ("the service would never run", "one run at a time"),
                Key::MaxLosses => ("it would be lost before it ran", "never again after a crash"),
                _ => ("the service would never run", "one attempt and no second"),
            };
            let key = key.text();
            faults.add(value, format!("`{key} = 0` is too little: {why}; `{key} = 1` means {one}"));
            None
        }
        Ok(number) => Some(Literal::u32_unsuffixed(number)),
        Err(_) => {
            faults.add(value, format!("`{shown}` is out of range (1 to {}): {}", u32::MAX, key.takes()));
            None
        }
    }
}

fn priority(value: &Expr, faults: &mut Faults) -> Option<TokenStream> {
    let parsed = number(value).and_then(Result::ok).map(i8::try_from);
    match parsed {
        Some(Ok(number)) => {
            let number = Literal::i8_unsuffixed(number);
            Some(quote!(#number))
        }
        Some(Err(_)) => {
            let shown = value.to_token_stream().to_string().replace("- ", "-");
            faults.add(value, format!("`{shown}` is out of range: {}", Key::Priority.takes()));
            None
        }
        None => {
            faults.add(value, Key::Priority.takes());
            None
        }
    }
}

fn of_time<T>(
    key: Key,
    value: &Expr,
    read: impl Fn(&str) -> Result<T, Unclear>,
    faults: &mut Faults,
) -> Option<T> {
    let Some(text) = text(value) else {
        // `timeout = 30` says nearly what is meant; the guess is that of a text without a unit.
        let guess = number(value).and_then(|number| read(&number.ok()?.to_string()).err());
        match guess {
            Some(unclear) => faults.add(
                value,
                format!("a number has no unit: `{} = \"{}\"` would do", key.text(), unclear.would_do),
            ),
            None => faults.add(value, key.takes()),
        }
        return None;
    };
    read(&text.value())
        .map_err(|Unclear { why, would_do }| {
            faults.add(text, format!("{why}; `{} = \"{would_do}\"` would do", key.text()));
        })
        .ok()
}

fn checked_name(prefix: &str, name: &LitStr, used: Use, faults: &mut Faults) -> Option<LitStr> {
    let Some((why, would_do)) = name::fault(&name.value(), used) else {
        return Some(name.clone());
    };
    faults.add(name, format!("{why}; `{prefix}\"{would_do}\"` would do"));
    None
}

fn service_name(key: Key, value: &Expr, used: Use, faults: &mut Faults) -> Option<LitStr> {
    let Some(name) = text(value) else {
        faults.add(value, key.takes());
        return None;
    };
    checked_name(&format!("{} = ", key.text()), name, used, faults)
}

fn formerly(value: &Expr, own: Option<&LitStr>, faults: &mut Faults) -> TokenStream {
    let values = match value {
        Expr::Array(array) => array.elems.iter().cloned().map(ungrouped).collect(),
        single => vec![single.clone()],
    };
    let mut names: Vec<LitStr> = Vec::new();
    for value in &values {
        let Some(name) = text(value) else {
            faults.add(value, Key::Formerly.takes());
            continue;
        };
        let Some(name) = checked_name("", name, Use::Own, faults) else { continue };
        if own.is_some_and(|own| own.value() == name.value()) {
            faults.add(&name, "this is the service's name now: leave it out of `formerly`");
        } else if names.iter().any(|earlier| earlier.value() == name.value()) {
            faults.add(&name, format!("`{}` is listed twice: leave one of the two out", name.value()));
        } else {
            names.push(name);
        }
    }
    quote!(formerly(&[#(#names),*]))
}

/// The name of a service that is given by its name or its type.
fn service_ref(key: Key, value: &Expr, faults: &mut Faults) -> Option<TokenStream> {
    if let Expr::Path(ExprPath { qself, path, .. }) = value {
        if path.segments.len() > 1 && path.segments.last().is_some_and(|last| last.ident == "NAME") {
            faults.add(value, format!("leave `::NAME` out: {}", key.takes()));
            return None;
        }
        let service = syn::TypePath { attrs: Vec::new(), qself: qself.clone(), path: path.clone() };
        return Some(quote_spanned!(value.span()=> <#service as __zato::Registered>::NAME));
    }
    service_name(key, value, Use::Reference, faults).map(ToTokens::into_token_stream)
}
