//! Compares the output of the attribute with a committed file, so that a change shows in a review.

use std::path::Path;

use quote::quote;
use syn::{Attribute, Item, Meta};

/// Takes `#[service(..)]` off an item, and returns what stands between its parentheses.
fn taken(item: &mut Item) -> Option<proc_macro2::TokenStream> {
    let attributes: &mut Vec<Attribute> = match item {
        Item::Struct(item) => &mut item.attrs,
        Item::Fn(item) => &mut item.attrs,
        _ => return None,
    };
    let at = attributes.iter().position(|attribute| attribute.path().is_ident("service"))?;
    match attributes.remove(at).meta {
        Meta::List(list) => Some(list.tokens),
        _ => Some(quote!()),
    }
}

#[test]
fn the_attribute_writes_what_the_golden_file_shows() -> Result<(), Box<dyn std::error::Error>> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let mut file = syn::parse_file(&std::fs::read_to_string(golden.join("service.rs"))?)?;
    let mut written = Vec::new();
    for mut item in std::mem::take(&mut file.items) {
        match taken(&mut item) {
            Some(attribute) => {
                let tokens = crate::expand::service(attribute, &quote!(#item));
                written.extend(syn::parse2::<syn::File>(tokens)?.items);
            }
            None => written.push(item),
        }
    }
    file.items = written;
    let written = prettyplease::unparse(&file);
    let path = golden.join("service.expanded.rs");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &written)?;
    }
    let shown = std::fs::read_to_string(&path)?;
    assert!(
        shown == written,
        "{} does not show what the attribute writes; if the change is meant, run with UPDATE_GOLDEN=1.\n\n{written}",
        path.display()
    );
    Ok(())
}

/// Code of an attribute that names the crate refers to no other crate.
#[test]
fn the_crate_of_the_attribute_is_the_only_one() {
    let items = [
        quote!(
            struct Charge {
                #[cfg(any())]
                pool: Pool,
                mailer: Mailer,
            }
        ),
        quote!(
            struct ChargeAsyncCallback;
        ),
        quote!(
            #[deprecated]
            async fn price(ctx: &Context, order: Order, rates: &Rates) -> Result<Price> {}
        ),
        quote!(
            async fn price_async_failure(ctx: &Context) -> Result<()> {}
        ),
        quote!(
            enum Faulty {}
        ),
        quote!(struct Unfinished { pool: Vec<, }),
        quote!(async fn unfinished(ctx: &Context, order: ) -> Result<()> {}),
    ];
    let attributes = [
        quote!(crate = bus),
        quote!(crate = "my::bus"),
        quote!(
            crate = bus,
            name = "a.b",
            backoff = "1s..2m",
            timeout = "1s",
            rate = "1/s",
            callback = Receipt
        ),
        quote!(crate = bus, name = "Faulty", on_failure = Receipt),
    ];
    for item in &items {
        for attribute in &attributes {
            let written = crate::expand::service(attribute.clone(), item).to_string();
            assert!(
                !written.replace(&item.to_string(), "").contains(":: zato_core"),
                "{attribute}: {written}"
            );
            assert!(written.contains("bus :: __private as __zato"), "{attribute}: {written}");
        }
    }
}
