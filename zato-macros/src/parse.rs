//! The attribute's tokens, as keys and values. What a value means is not known here.

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, Ident, LitStr, Token};

use crate::fault::Faults;
use crate::key::Key;
use crate::name::{self, Use};

/// One `key = value`.
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) ident: Ident,
    pub(crate) value: Expr,
}

/// Reads what stands between the parentheses; each key is there at most once in what is returned.
///
/// ```text
/// #[service]
/// #[service()]
/// #[service(name = "orders.charge")]
/// #[service(formerly = "orders.bill")]
/// #[service(formerly = ["orders.bill", "orders.pay"])]
/// #[service(max_attempts = 5, max_losses = 3, concurrency = 8, priority = -1)]
/// #[service(backoff = "5s")]
/// #[service(backoff = "1s..2m", timeout = "1m30s", rate = "100/s")]
/// #[service(callback = "orders.receipt", on_failure = "orders.refused")]
/// #[service(callback = Receipt, on_failure = refusals::Refused)]
/// #[service(type = Charge)]
/// #[service(crate = bus)]
/// #[service(crate = "some::path")]
/// ```
pub(crate) fn attribute(tokens: TokenStream, faults: &mut Faults) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let parsed = (|input: ParseStream<'_>| {
        while !input.is_empty() {
            match entry(input) {
                Ok(entry) => match entries.iter().find(|earlier| earlier.key == entry.key) {
                    None => entries.push(entry),
                    Some(_) => faults.add(
                        &entry.ident,
                        format!("`{}` is given twice: leave one of the two out", entry.key.text()),
                    ),
                },
                Err(error) => {
                    faults.push(error);
                    skip_entry(input);
                }
            }
            if input.is_empty() {
                break;
            }
            if let Err(error) = input.parse::<Token![,]>() {
                faults.push(syn::Error::new(error.span(), "between two keys belongs a comma"));
                skip_entry(input);
                let _: Option<Token![,]> = input.parse()?;
            }
        }
        Ok(())
    })
    .parse2(tokens);
    if let Err(error) = parsed {
        faults.push(error);
    }
    entries
}

fn entry(input: ParseStream<'_>) -> syn::Result<Entry> {
    if let Ok(text) = input.parse::<LitStr>() {
        let name = text.value();
        let name = name::fault(&name, Use::Own).map_or(name, |(_, would_do)| would_do);
        let message = format!("a text without a key: write `name = \"{name}\"`");
        return Err(syn::Error::new(text.span(), message));
    }
    let Ok(ident) = input.call(Ident::parse_any) else {
        return Err(input.error("here belongs a key and its value, such as `name = \"orders.charge\"`"));
    };
    let key = Key::find(&ident.to_string()).map_err(|message| syn::Error::new(ident.span(), message))?;
    if input.parse::<Token![=]>().is_err() {
        return Err(syn::Error::new(ident.span(), format!("there is no `=` and value: {}", key.takes())));
    }
    if input.is_empty() || input.peek(Token![,]) {
        return Err(syn::Error::new(ident.span(), format!("there is no value: {}", key.takes())));
    }
    // The value is often there but half written, so the key's own words help more than the parser's.
    let at = input.span();
    let value = input.parse::<Expr>().map_err(|_| syn::Error::new(at, key.takes()))?;
    Ok(Entry { key, ident, value: ungrouped(value) })
}

/// Goes to the next comma, so that one fault does not hide the next.
fn skip_entry(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}

/// The value inside the invisible group that a `macro_rules!` variable puts around it.
pub(crate) fn ungrouped(mut value: Expr) -> Expr {
    while let Expr::Group(group) = value {
        value = *group.expr;
    }
    value
}
