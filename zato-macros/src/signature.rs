//! The signature of an annotated function, and its rules.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident};
use syn::spanned::Spanned;
use syn::{
    FnArg, GenericParam, Lifetime, Member, Pat, PatType, PathArguments, ReturnType, Safety, Signature, Type,
    TypeReference, parse_quote,
};

use crate::fault::Faults;
use crate::item;
use crate::resource::Resource;

/// A function as a service sees it.
pub(crate) struct Function {
    /// The function's own identifier; that of its type may be another.
    pub(crate) ident: Ident,
    /// The type behind the context's reference; none where there is no such parameter, which is a fault.
    pub(crate) context: Option<Type>,
    /// The request's type; none means the unit, and that the function is not given it.
    pub(crate) request: Option<Type>,
    /// The return type; `None` if there is none, which is a fault.
    pub(crate) returned: Option<Type>,
    /// The parameters after the request.
    pub(crate) resources: Vec<Resource>,
    /// `true` if types in the signature are generic, so that no other code can name them.
    pub(crate) is_generic: bool,
}

const SHAPE: &str = "async fn name(ctx: &Context, request: Request, resource: &Resource) -> Result<Response>";

/// Reads the signature; `None` for a method, beside which nothing can be written.
pub(crate) fn read(signature: &Signature, faults: &mut Faults) -> Option<Function> {
    if let Some(receiver) = signature.receiver() {
        faults.add(
            receiver,
            "a service function stands on its own and has no `self`: move it out of the `impl`, or annotate the \
             struct and write `impl Service` for it",
        );
        return None;
    }
    qualifiers(signature, faults);
    let is_generic = generics(signature, faults);
    let parameters: Vec<&PatType> = signature
        .inputs
        .iter()
        .filter_map(|input| match input {
            FnArg::Typed(parameter) => Some(parameter),
            FnArg::Receiver(_) => None,
        })
        .collect();
    let (context, rest) = context(signature, &parameters, faults);
    let context = context.cloned();
    // The request comes by value, so a reference in its place is the first resource, and the request is the unit.
    let (given, resources) = match rest.split_first() {
        Some((first, resources)) if !is_reference(&first.ty) => (Some(first), resources),
        _ => (None, rest),
    };
    for parameter in parameters.first().into_iter().chain(given) {
        if let Some(cfg) = parameter.attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
            let message = "a service has one context and one request, whatever is configured: put `#[cfg]` above the function, \
                           and write a function for each case";
            faults.add(cfg, message);
        }
    }
    let request = given
        .and_then(|parameter| concrete(&parameter.ty, "request", faults).then(|| (*parameter.ty).clone()));
    let resources = resources.iter().enumerate();
    let resources = resources
        .filter_map(|(index, parameter)| {
            let field = field(index, parameter, &parameters);
            resource(field, given.is_none() && index == 0, parameter, faults)
        })
        .collect();
    let returned = returned(signature, faults);
    let ident = signature.ident.clone();
    Some(Function { ident, context, request, returned, resources, is_generic })
}

impl Function {
    /// A function of which only the name can be read.
    pub(crate) fn unfinished(ident: Ident) -> Self {
        Self { ident, context: None, request: None, returned: None, resources: Vec::new(), is_generic: false }
    }
}

fn qualifiers(signature: &Signature, faults: &mut Faults) {
    let name = &signature.ident;
    if signature.asyncness.is_none() {
        let message = format!("a service function is async: write `async fn {name}`");
        faults.add(signature.fn_token, message);
    }
    if let Some(token) = &signature.constness {
        faults.add(token, "a service function is not `const`: leave `const` out");
    }
    if let Safety::Unsafe(token) = &signature.safety {
        faults.add(
            token,
            "the bus cannot keep the promises of an `unsafe` function: annotate a safe one that calls it",
        );
    }
    if let Some(abi) = &signature.abi {
        faults.add(abi, "a service function is a Rust function: leave `extern` out");
    }
    if let Some(variadic) = &signature.variadic {
        faults.add(variadic, "a service takes one request: leave `...` out");
    }
}

/// Reports what is generic; returns whether anything is.
fn generics(signature: &Signature, faults: &mut Faults) -> bool {
    let is_generic = |parameter: &&GenericParam| !matches!(parameter, GenericParam::Lifetime(_));
    let generic = signature.generics.params.iter().find(is_generic);
    if let Some(parameter) = generic {
        faults.add(
            parameter,
            "a service is one function, not a family of them: write the type or value itself, and annotate a \
             function for each; they may call a generic one",
        );
    }
    if let (true, Some(clause)) = (signature.generics.params.is_empty(), &signature.generics.where_clause) {
        faults.add(clause, "a service function has nothing that is generic: leave the `where` clause out");
    }
    generic.is_some()
}

/// The context's type, and the parameters after it. Which type it is, under whatever name, the compiler finds out.
fn context<'a>(
    signature: &Signature,
    parameters: &'a [&'a PatType],
    faults: &mut Faults,
) -> (Option<&'a Type>, &'a [&'a PatType]) {
    let Some((first, rest)) = parameters.split_first() else {
        let message = format!("a service function takes the context first: `{SHAPE}`");
        faults.push(syn::Error::new(signature.paren_token.span.join(), message));
        return (None, &[]);
    };
    if let Type::Reference(TypeReference { lifetime, mutability: None, elem, .. }) = plain(&first.ty)
        && !is_static(lifetime.as_ref())
    {
        return (Some(elem), rest);
    }
    let message = format!("the first parameter of a service function is `ctx: &Context`: `{SHAPE}`");
    faults.add(&first.ty, message);
    // Something like `ctx: Context` is the context misspelt; anything else is the request, with no context before it.
    let meant = first.ty.to_token_stream().to_string().contains("Context");
    (None, if meant { rest } else { parameters })
}

/// The response type inside the result type; a name such as `Fallible` is used for both.
pub(crate) fn response_span(returned: &Type) -> Span {
    let Type::Path(path) = plain(returned) else { return returned.span() };
    match path.path.segments.last().map(|segment| &segment.arguments) {
        Some(PathArguments::AngleBracketed(arguments)) if arguments.args.len() == 1 => arguments.args.span(),
        _ => returned.span(),
    }
}

fn is_static(lifetime: Option<&Lifetime>) -> bool {
    lifetime.is_some_and(|lifetime| lifetime.ident == "static")
}

fn is_reference(ty: &Type) -> bool {
    matches!(plain(ty), Type::Reference(_))
}

/// The owned type of a borrowed one, if it is known.
fn owned(borrowed: &Type) -> String {
    match plain(borrowed) {
        Type::Slice(slice) => format!("Vec<{}>", shown(&slice.elem)),
        other => match shown(other).as_str() {
            "str" => "String".to_owned(),
            other => other.to_owned(),
        },
    }
}

/// For a type that has no size, as far as it can be seen: one with a size that shares it.
pub(crate) fn sized(ty: &Type) -> Option<String> {
    let is_unsized = matches!(plain(ty), Type::Slice(_) | Type::TraitObject(_)) || shown(ty) == "str";
    is_unsized.then(|| format!("std::sync::Arc<{}>", shown(ty)))
}

/// The field for a resource: the parameter's name, or one that no parameter has where it is a pattern.
fn field(index: usize, parameter: &PatType, parameters: &[&PatType]) -> Ident {
    let named = |parameter: &PatType| match &*parameter.pat {
        Pat::Ident(pattern) => Some(pattern.ident.clone()),
        _ => None,
    };
    named(parameter).unwrap_or_else(|| {
        let mut field = format_ident!("resource_{}", index + 1);
        while parameters.iter().filter_map(|parameter| named(parameter)).any(|other| other == field) {
            field = format_ident!("{field}_");
        }
        field
    })
}

/// Reads a parameter that is a resource, or the request if it stands where that would and was meant to be it.
fn resource(
    field: Ident,
    may_be_request: bool,
    parameter: &PatType,
    faults: &mut Faults,
) -> Option<Resource> {
    let (ty, by_reference) = match plain(&parameter.ty) {
        Type::Reference(TypeReference { mutability: Some(_), elem, .. }) => {
            let elem = shown(elem);
            let message = format!(
                "resources are shared by all runs: write `&{elem}`, and `&Mutex<{elem}>` to change it"
            );
            faults.add(&parameter.ty, with_request(may_be_request, &elem, message));
            return None;
        }
        Type::Reference(TypeReference { lifetime, elem, .. }) if !is_static(lifetime.as_ref()) => {
            if let Some(sized) = sized(elem) {
                let message = format!("a resource is of a type that has a size: write `&{sized}`");
                faults.add(&parameter.ty, with_request(may_be_request, &owned(elem), message));
                return None;
            }
            ((**elem).clone(), true)
        }
        _ => ((*parameter.ty).clone(), false),
    };
    concrete(&ty, "resource", faults).then_some(Resource {
        member: Member::Named(field),
        ty,
        attrs: item::shared(&parameter.attrs),
        by_reference,
    })
}

fn with_request(may_be_request: bool, owned: &str, message: String) -> String {
    if may_be_request {
        return format!(
            "the request is taken by value: write `{owned}`; if this is meant as a resource: {message}"
        );
    }
    message
}

fn returned(signature: &Signature, faults: &mut Faults) -> Option<Type> {
    match &signature.output {
        ReturnType::Type(_, ty) if !concrete(ty, "response", faults) => None,
        ReturnType::Type(_, ty) if is_no_result(ty) => {
            let message = format!(
                "a service function returns a result: write `-> zato_core::Result<{}>`, and `Ok(..)`",
                shown(ty)
            );
            faults.add(ty, message);
            Some(parse_quote!(::core::result::Result<#ty, ()>))
        }
        ReturnType::Type(_, ty) => Some((**ty).clone()),
        ReturnType::Default => {
            let message = "a service function returns a result: write `-> zato_core::Result<()>`, and `Ok(())` at its end";
            faults.add(&signature.ident, message);
            None
        }
    }
}

/// Returns `true` if the type is evidently not a result. The compiler finds out about the others, in more words.
fn is_no_result(ty: &Type) -> bool {
    match plain(ty) {
        Type::Path(path) => path.path.segments.first().is_some_and(|first| {
            let others = ["bool", "char", "f32", "f64", "String", "Option", "Vec", "Payload"];
            let name = first.ident.to_string();
            let is_integer = name
                .strip_prefix(['i', 'u'])
                .is_some_and(|size| size == "size" || size.parse::<u8>().is_ok());
            path.path.segments.len() == 1 && (is_integer || others.contains(&name.as_str()))
        }),
        other => matches!(other, Type::Tuple(_) | Type::Array(_) | Type::Reference(_)),
    }
}

/// Returns `true` if the type can be written outside the signature: it names every type and owns what it holds.
fn concrete(ty: &Type, what: &str, faults: &mut Faults) -> bool {
    let Some((token, is_borrow)) = unfit(ty.to_token_stream()) else { return true };
    let message = if is_borrow {
        format!(
            "a {what} owns what it holds, for it outlives every borrow: `String` instead of `&str`, for instance"
        )
    } else {
        format!(
            "a {what} is of a type with a name, because the service is registered with it: write that instead of `impl`"
        )
    };
    faults.add(token, message);
    false
}

/// The first token that borrows or stands for an unnamed type, and whether it is the former.
fn unfit(tokens: TokenStream) -> Option<(TokenTree, bool)> {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            // `fn(&T)` and `dyn Fn(&T)` borrow nothing themselves.
            TokenTree::Ident(ident) if ident == "fn" || ident == "Fn" || ident == "dyn" => return None,
            TokenTree::Ident(ident) if ident == "impl" => return Some((token, false)),
            TokenTree::Punct(punct) if punct.as_char() == '&' => match tokens.peek() {
                Some(TokenTree::Punct(next)) if next.as_char() == '\'' => {}
                _ => return Some((token, true)),
            },
            TokenTree::Punct(punct) if punct.as_char() == '\'' => match tokens.peek() {
                Some(TokenTree::Ident(lifetime)) if lifetime == "static" => {}
                _ => return Some((token, true)),
            },
            TokenTree::Group(group) => {
                if let Some(found) = unfit(group.stream()) {
                    return Some(found);
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    None
}

/// The type inside parentheses and the invisible groups that `macro_rules!` variables put around it.
fn plain(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            other => return other,
        };
    }
}

/// A type as a person writes it.
fn shown(ty: &Type) -> String {
    let text = plain(ty).to_token_stream().to_string();
    [(" :: ", "::"), (" <", "<"), ("< ", "<"), (" >", ">"), (" ,", ","), ("& ", "&")]
        .into_iter()
        .fold(text, |text, (from, to)| text.replace(from, to))
}
