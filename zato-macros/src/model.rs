//! What was meant: the service that an annotated item is to become, and every rule of the item itself.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt;
use syn::{Attribute, Fields, GenericParam, Generics, Item, ItemStruct, LitStr, Member, Visibility};

use crate::fault::Faults;
use crate::pair::Pair;
use crate::resource::Resource;
use crate::signature::{self, Function};
use crate::{name, parse, settings};

/// What is to be written beside the item.
pub(crate) enum Meaning {
    /// A service.
    Service(Box<Service>),
    /// The item is no service, but the user's code takes it for one.
    Mistaken(Ident, Visibility, Generics),
    /// Nothing can be.
    Nothing,
}

/// A service that is to be.
pub(crate) struct Service {
    pub(crate) ident: Ident,
    pub(crate) vis: Visibility,
    pub(crate) name: Name,
    /// The caller that the identifier points to.
    pub(crate) pair: Option<Pair>,
    /// The calls on `Settings::new()`.
    pub(crate) settings: Vec<TokenStream>,
    /// The fields, or the parameters after the request.
    pub(crate) resources: Vec<Resource>,
    /// For a function: the rest of its signature.
    pub(crate) function: Option<Function>,
    /// The function's documentation, which its struct gets too.
    pub(crate) docs: Vec<Attribute>,
}

/// Where a service's name comes from.
pub(crate) enum Name {
    /// It was written out.
    Explicit(LitStr),
    /// From the module path and the identifier.
    Derived,
    /// From the caller beside which it stands.
    Paired,
    /// It was written out and is faulty.
    Faulty,
}

/// Reads the attribute and the item, and gathers the faults of both.
pub(crate) fn read(attribute: TokenStream, item: TokenStream, faults: &mut Faults) -> Meaning {
    let said = settings::read(parse::attribute(attribute, faults), faults);
    let Ok(item) = syn::parse2::<Item>(item.clone()) else {
        faults.add(item, "#[service] goes on a struct or an async function");
        return Meaning::Nothing;
    };
    let (ident, vis, resources, function, docs) = match item {
        Item::Struct(item) if !has_generics(&item.generics) => {
            (item.ident, item.vis, fields(item.fields), None, Vec::new())
        }
        Item::Struct(item) => return generic(item, faults),
        Item::Fn(item) => {
            let Some(mut function) = signature::read(&item.sig, faults) else { return Meaning::Nothing };
            let resources = std::mem::take(&mut function.resources);
            let docs = item.attrs.into_iter().filter(|attribute| attribute.path().is_ident("doc")).collect();
            (item.sig.ident, item.vis, resources, Some(function), docs)
        }
        other => return mistaken(other, faults),
    };
    let pair = Pair::of(&ident, function.is_some());
    let text = ident.unraw().to_string();
    let name = match said.name {
        Some(name) => Name::Explicit(name),
        None if said.has_name => Name::Faulty,
        None if !text.is_ascii() => {
            let message = format!(
                "no name can be derived from an identifier that is not ASCII: name it with \
                 #[service(name = \"{}\")]",
                name::nearest(&text)
            );
            faults.add(&ident, message);
            Name::Faulty
        }
        None if pair.is_some() => Name::Paired,
        None => Name::Derived,
    };
    Meaning::Service(Box::new(Service {
        ident,
        vis,
        name,
        pair,
        settings: said.settings,
        resources,
        function,
        docs,
    }))
}

fn has_generics(generics: &Generics) -> bool {
    !generics.params.is_empty() || generics.where_clause.is_some()
}

fn fields(fields: Fields) -> Vec<Resource> {
    let members: Vec<Member> = fields.members().collect();
    members
        .into_iter()
        .zip(fields)
        .map(|(member, field)| Resource {
            member,
            ty: field.ty,
            cfg: field.attrs.into_iter().filter(|attribute| attribute.path().is_ident("cfg")).collect(),
            by_reference: false,
        })
        .collect()
}

fn generic(item: ItemStruct, faults: &mut Faults) -> Meaning {
    let ident = &item.ident;
    let message = match item.generics.params.first() {
        Some(GenericParam::Lifetime(_)) => format!(
            "a service lives as long as the program: let the fields of `{ident}` own what they hold, such as `String` \
             instead of `&str`, or `std::sync::Arc<T>` instead of `&T`"
        ),
        Some(GenericParam::Type(_) | GenericParam::Const(_)) => format!(
            "a service is one type with one name: leave the parameter out and write what it stands for in the fields \
             of `{ident}`, with a struct for each; what differs at run time can be an `std::sync::Arc<dyn Trait>`"
        ),
        None => "a service has nothing that is generic: leave the `where` clause out".to_owned(),
    };
    match &item.generics.where_clause {
        Some(clause) if item.generics.params.is_empty() => faults.add(clause, message),
        _ => faults.add(&item.generics, message),
    }
    Meaning::Mistaken(item.ident, item.vis, item.generics)
}

fn mistaken(item: Item, faults: &mut Faults) -> Meaning {
    match item {
        Item::Enum(item) => {
            let message = format!(
                "an enum is no service, because a service is built in one way only, from its fields, which are its \
                 resources: write `struct {}`, and let an enum be its `Request`",
                item.ident
            );
            faults.add(item.enum_token, message);
            Meaning::Mistaken(item.ident, item.vis, item.generics)
        }
        Item::Union(item) => {
            faults.add(item.union_token, format!("a union is no service: write `struct {}`", item.ident));
            Meaning::Mistaken(item.ident, item.vis, item.generics)
        }
        Item::Trait(item) => {
            let message = "a trait is no service, because a service is registered with its code: put #[service] above \
                           each struct that implements `zato_core::Service`";
            faults.add(item.trait_token, message);
            Meaning::Nothing
        }
        Item::Impl(item) => {
            faults.add(
                item.impl_token,
                "#[service] goes above the struct, not above its `impl`: move it there",
            );
            Meaning::Nothing
        }
        Item::Mod(item) => {
            faults.add(item.mod_token, "a module is no service: put #[service] above each service inside it");
            Meaning::Nothing
        }
        Item::Type(item) => {
            faults.add(
                item.type_token,
                "an alias is no service: put #[service] above the struct that it stands for",
            );
            Meaning::Nothing
        }
        other => {
            faults.add(other, "#[service] goes on a struct or an async function");
            Meaning::Nothing
        }
    }
}
