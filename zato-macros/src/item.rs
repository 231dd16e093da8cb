//! The annotated item, read no further than a service needs it: what the compiler reports by itself is not reported again.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Item, ItemStruct, Meta, Signature, Token, Visibility, parse_quote};

/// The annotated item.
pub(crate) enum Annotated {
    /// A struct.
    Struct(ItemStruct),
    /// A function, without its body: a syntax error in it is the compiler's, and hides nothing else.
    Function { attrs: Vec<Attribute>, vis: Visibility, sig: Signature },
    /// A struct or a function that is not finished, such as one in an editor.
    Unfinished { attrs: Vec<Attribute>, vis: Visibility, ident: Ident, is_function: bool, error: syn::Error },
    /// Something else.
    Other(Item),
    /// An item that cannot be read.
    Unknown,
}

/// The attributes of an item, a field or a parameter that hold for the code that is written for it too: `#[cfg]`, and what
/// the user allows. A lint that is expected is allowed, because the user's own code meets the expectation.
pub(crate) fn shared(attrs: &[Attribute]) -> Vec<Attribute> {
    attrs
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::List(list) if list.path.is_ident("expect") => {
                let lints = &list.tokens;
                Some(parse_quote!(#[allow(#lints)]))
            }
            meta => ["cfg", "allow"].iter().any(|name| meta.path().is_ident(name)).then(|| attribute.clone()),
        })
        .collect()
}

/// Reads the item.
pub(crate) fn read(tokens: TokenStream) -> Annotated {
    let whole = tokens.clone();
    let head = |input: ParseStream<'_>| {
        let (attrs, vis) = (input.call(Attribute::parse_outer)?, input.parse::<Visibility>()?);
        let rest: TokenStream = input.parse()?;
        Ok((attrs, vis, rest))
    };
    let Ok((attrs, vis, rest)) = head.parse2(tokens) else { return Annotated::Unknown };
    let Some((ident, is_function)) = kind(rest.clone()) else {
        return syn::parse2(whole).map_or(Annotated::Unknown, Annotated::Other);
    };
    if is_function {
        let signature = |input: ParseStream<'_>| {
            let sig: Signature = input.parse()?;
            let _body: TokenStream = input.parse()?;
            Ok(sig)
        };
        return match signature.parse2(rest) {
            Ok(sig) => Annotated::Function { attrs, vis, sig },
            Err(error) => Annotated::Unfinished { attrs, vis, ident, is_function, error },
        };
    }
    match syn::parse2(whole) {
        Ok(item) => Annotated::Struct(item),
        Err(error) => Annotated::Unfinished { attrs, vis, ident, is_function, error },
    }
}

/// The identifier of a function or a struct, and whether it is a function.
fn kind(tokens: TokenStream) -> Option<(Ident, bool)> {
    let find = |input: ParseStream<'_>| {
        let mut found = None;
        loop {
            if input.parse::<Option<Token![fn]>>()?.is_some() {
                found = Some((input.call(Ident::parse_any)?, true));
            } else if input.parse::<Option<Token![struct]>>()?.is_some() {
                found = Some((input.call(Ident::parse_any)?, false));
            } else if input.parse::<Option<Token![async]>>()?.is_some()
                || input.parse::<Option<Token![const]>>()?.is_some()
                || input.parse::<Option<Token![unsafe]>>()?.is_some()
            {
                continue;
            } else if input.parse::<Option<Token![extern]>>()?.is_some() {
                let _: Option<syn::LitStr> = input.parse()?;
                continue;
            }
            break;
        }
        let _rest: TokenStream = input.parse()?;
        Ok(found)
    };
    find.parse2(tokens).ok().flatten()
}
