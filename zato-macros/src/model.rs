//! The model of a service: the item that the attribute is on, checked against every rule.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt;
use syn::{Attribute, Fields, GenericParam, Generics, Item, ItemStruct, LitStr, Member, Path, Visibility};

use crate::fault::Faults;
use crate::item::{self, Annotated};
use crate::pair::Pair;
use crate::resource::Resource;
use crate::settings::{self, Said};
use crate::signature::{self, Function};
use crate::{name, parse};

/// The code to write beside the item.
pub(crate) struct Meaning {
    /// The path to `zato-core`, where the attribute names one.
    pub(crate) root: Option<Path>,
    pub(crate) item: Meant,
}

/// The item as it was meant.
pub(crate) enum Meant {
    /// A service.
    Service(Box<Service>),
    /// An item that cannot be a service, although the user's code takes it for one.
    Mistaken(Ident, Visibility, Generics),
    /// The item cannot be read, so no code is written.
    Nothing,
}

/// A service that is to be.
pub(crate) struct Service {
    /// The type.
    pub(crate) ident: Ident,
    /// The item's own identifier as text, from which a name is derived.
    pub(crate) text: String,
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
    /// The item's attributes that concern the generated code too.
    pub(crate) attrs: Shared,
}

/// The attributes of an item that concern the code that is written for it.
#[derive(Default)]
pub(crate) struct Shared {
    /// The attributes of [`item::shared`], which hold for all that is written.
    pub(crate) everywhere: Vec<Attribute>,
    /// `#[doc]` and `#[deprecated]`, which a function's struct gets too.
    pub(crate) described: Vec<Attribute>,
    /// `true` if the item is deprecated; the generated code then does not warn about it.
    pub(crate) is_deprecated: bool,
}

impl Shared {
    fn of(attrs: &[Attribute]) -> Self {
        let of = |names: &[&str]| {
            let is_one = |attribute: &&Attribute| names.iter().any(|name| attribute.path().is_ident(name));
            attrs.iter().filter(is_one).cloned().collect::<Vec<_>>()
        };
        Self {
            everywhere: item::shared(attrs),
            described: of(&["doc", "deprecated"]),
            is_deprecated: !of(&["deprecated"]).is_empty(),
        }
    }
}

/// The origin of a service's name.
pub(crate) enum Name {
    /// The name is explicit.
    Explicit(LitStr),
    /// From the module path and the identifier.
    Derived,
    /// From the caller beside which it stands.
    Paired,
    /// The name is explicit and not valid.
    Faulty,
}

/// Reads the attribute and the item, and gathers the faults of both.
pub(crate) fn read(attribute: TokenStream, item: TokenStream, faults: &mut Faults) -> Meaning {
    let mut said = settings::read(parse::attribute(attribute, faults), faults);
    let root = said.root.take();
    Meaning { root, item: meant(said, item, faults) }
}

fn meant(said: Said, item: TokenStream, faults: &mut Faults) -> Meant {
    let (ident, vis, resources, function, attrs) = match item::read(item.clone()) {
        Annotated::Struct(item) if has_generics(&item.generics) => return generic(item, faults),
        Annotated::Struct(item) => {
            if let Some((ty, sized)) = item
                .fields
                .iter()
                .find_map(|field| signature::sized(&field.ty).map(|sized| (&field.ty, sized)))
            {
                faults.add(ty, format!("a resource is of a type that has a size: write `{sized}`"));
                return Meant::Nothing;
            }
            (item.ident, item.vis, fields(item.fields, faults), None, item.attrs)
        }
        Annotated::Function { attrs, vis, sig } => {
            let Some(mut function) = signature::read(&sig, faults) else { return Meant::Nothing };
            let resources = std::mem::take(&mut function.resources);
            (sig.ident, vis, resources, Some(function), attrs)
        }
        Annotated::Unfinished { attrs, vis, ident, is_function, error } => {
            faults.push(error);
            if !is_function {
                return Meant::Mistaken(ident, vis, Generics::default());
            }
            (ident.clone(), vis, Vec::new(), Some(Function::unfinished(ident)), attrs)
        }
        Annotated::Other(other) => return mistaken(other, faults),
        Annotated::Unknown => {
            faults.add(item, "#[service] goes on a struct or an async function");
            return Meant::Nothing;
        }
    };
    if let Some(again) = attrs.iter().find(|attribute| is_service(attribute.path())) {
        // The other one writes the code.
        faults.add(again, "#[service] is given twice: put the keys of both into one");
        return Meant::Nothing;
    }
    let text = ident.unraw().to_string();
    let ident = match said.ty {
        Some(ty) if function.is_none() => {
            faults
                .add(ty, "`type` names the type that is written for a function, and a struct is one already");
            ident
        }
        Some(ty) => ty,
        None => ident,
    };
    // What pairs are types, so the one of a function with a type of its own pairs as a struct does.
    let is_by_function = function.as_ref().is_some_and(|function| function.ident == ident);
    let pair = Pair::of(&ident, is_by_function);
    let name = match said.name {
        Some(name) => Name::Explicit(name),
        None if said.has_name => Name::Faulty,
        None if !text.is_ascii() => {
            let message = format!(
                "no name can be derived from an identifier that is not ASCII: name it with \
                 #[service(name = \"{}\")]",
                name::nearest(&text)
            );
            faults.add(function.as_ref().map_or(&ident, |function| &function.ident), message);
            Name::Faulty
        }
        None if pair.is_some() => Name::Paired,
        None => Name::Derived,
    };
    Meant::Service(Box::new(Service {
        ident,
        text,
        vis,
        name,
        pair,
        settings: said.settings,
        resources,
        function,
        attrs: Shared::of(&attrs),
    }))
}

/// Whether this is the path to the attribute, under its own name.
fn is_service(path: &Path) -> bool {
    let words: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    words == ["service"] || words == ["zato_core", "service"]
}

fn has_generics(generics: &Generics) -> bool {
    !generics.params.is_empty() || generics.where_clause.is_some()
}

fn fields(fields: Fields, faults: &mut Faults) -> Vec<Resource> {
    let members: Vec<Member> = fields.members().collect();
    if let Fields::Unnamed(fields) = &fields {
        let before_last = fields.unnamed.iter().rev().skip(1).flat_map(|field| &field.attrs);
        if let Some(cfg) = before_last.rev().find(|attribute| attribute.path().is_ident("cfg")) {
            faults.add(cfg, "the fields after this one have other numbers without it: give the fields names");
        }
    }
    members
        .into_iter()
        .zip(fields)
        .map(|(member, field)| Resource {
            member,
            ty: field.ty,
            attrs: item::shared(&field.attrs),
            by_reference: false,
        })
        .collect()
}

fn generic(item: ItemStruct, faults: &mut Faults) -> Meant {
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
    Meant::Mistaken(item.ident, item.vis, item.generics)
}

fn mistaken(item: Item, faults: &mut Faults) -> Meant {
    match item {
        Item::Enum(item) => {
            let message = format!(
                "an enum is not a service, because a service is built in one way only, from its fields, which are its \
                 resources: write `struct {}`, and let an enum be its `Request`",
                item.ident
            );
            faults.add(item.enum_token, message);
            Meant::Mistaken(item.ident, item.vis, item.generics)
        }
        Item::Union(item) => {
            faults.add(item.union_token, format!("a union is not a service: write `struct {}`", item.ident));
            Meant::Mistaken(item.ident, item.vis, item.generics)
        }
        Item::Trait(item) => {
            let message = "a trait is not a service, because a service is registered with its code: put #[service] above \
                           each struct that implements `zato_core::Service`";
            faults.add(item.trait_token, message);
            Meant::Nothing
        }
        Item::Impl(item) => {
            faults.add(
                item.impl_token,
                "#[service] goes above the struct, not above its `impl`: move it there",
            );
            Meant::Nothing
        }
        Item::Mod(item) => {
            faults.add(
                item.mod_token,
                "a module is not a service: put #[service] above each service inside it",
            );
            Meant::Nothing
        }
        Item::Type(item) => {
            faults.add(
                item.type_token,
                "an alias is not a service: put #[service] above the struct that it names",
            );
            Meant::Nothing
        }
        other => {
            faults.add(other, "#[service] goes on a struct or an async function");
            Meant::Nothing
        }
    }
}
