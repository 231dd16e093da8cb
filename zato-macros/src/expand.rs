//! The code that the attribute writes: `NAME`, `service()` and, for a function, a struct of the same name are all that the
//! user's code can see of it.
//!
//! Everything else stands in a block of its own, where `__zato` is `zato_core::__private` by whatever path that is found.
//! Local variables begin with `__zato_` too: a macro's local variables are hidden from the user's code, but a constant of
//! the user's with the same name would turn the variable into a pattern.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Generics, Member, Visibility};

use crate::fault::Faults;
use crate::manifest::{self, Dependency};
use crate::model::{self, Meaning, Meant, Name, Service};
use crate::pair::Pair;
use crate::resource::Resource;
use crate::signature::{self, Function};

/// The item as it was, its faults, and the code that makes it a service.
pub(crate) fn service(attribute: TokenStream, item: &TokenStream) -> TokenStream {
    let mut faults = Faults::default();
    let Meaning { root, item: meant } = model::read(attribute, item.clone(), &mut faults);
    let is_sound = faults.is_empty();
    let root = match root {
        Some(path) => Some(quote_spanned!(path.span()=> #path::__private)),
        None => found(&mut faults),
    };
    let errors = faults.into_compile_errors();
    // A service function is async whether it awaits or not, and a resource such as `&String` cannot be a `&str`.
    let lint = matches!(&meant, Meant::Service(service) if service.function.is_some())
        .then(|| quote!(#[allow(clippy::unused_async, clippy::ptr_arg, clippy::single_call_fn)]));
    let written = root.map(|root| written(&root, &meant, is_sound));
    quote!(#lint #item #errors #written)
}

/// The path to `zato_core::__private` where the attribute does not name the crate; none where there is no such path.
fn found(faults: &mut Faults) -> Option<TokenStream> {
    let dependency = manifest::dependency();
    if let Some(dependency) = &dependency {
        faults.push(syn::Error::new(Span::call_site(), dependency.message()));
    }
    match dependency {
        None => Some(quote!(::zato_core::__private)),
        // The code is written nonetheless, so that nothing else turns red.
        Some(Dependency::Renamed(name)) => {
            let name = syn::parse_str::<Ident>(&name.replace('-', "_")).ok()?;
            Some(quote!(::#name::__private))
        }
        Some(Dependency::Missing) => None,
    }
}

/// The code beside the item. For a faulty service it is what other code needs, so that nothing else turns red.
fn written(root: &TokenStream, meant: &Meant, is_sound: bool) -> TokenStream {
    let (outside, inside, shared, is_deprecated) = match meant {
        Meant::Service(service) => {
            let structure = service.function.as_ref().map(|_| structure(service, is_sound));
            let registered =
                if is_sound { registered(service) } else { unsound(&service.ident, &Generics::default()) };
            let handler = service.function.as_ref().map(|function| handler(service, function, is_sound));
            let inherent = inherent(&service.ident, &service.vis, &Generics::default());
            let submitted = is_sound.then(|| submitted(service));
            let inside = quote!(#registered #inherent #handler #submitted);
            (structure, inside, &service.attrs.everywhere[..], service.attrs.is_deprecated)
        }
        Meant::Mistaken(ident, vis, generics) => {
            let (registered, inherent) = (unsound(ident, generics), inherent(ident, vis, generics));
            (None, quote!(#registered #inherent), &[][..], false)
        }
        Meant::Nothing => return TokenStream::new(),
    };
    let lint = is_deprecated.then(|| quote!(#[allow(deprecated)]));
    quote! {
        #outside
        #(#shared)*
        #lint
        const _: () = {
            use #root as __zato;
            #inside
        };
    }
}

/// The struct that stands for a function. Its braces leave the value of that name to the function.
fn structure(service: &Service, is_sound: bool) -> TokenStream {
    let Service { ident, vis, attrs, resources, .. } = service;
    let fields = resources
        .iter()
        .filter(|_| is_sound)
        .map(|Resource { member, ty, attrs, .. }| quote!(#(#attrs)* #member: #ty));
    let (shared, described) = (&attrs.everywhere, &attrs.described);
    quote! {
        #(#shared)*
        #(#described)*
        #[allow(non_camel_case_types, missing_docs, clippy::missing_docs_in_private_items)]
        #vis struct #ident { #(#fields),* }
    }
}

fn registered(service: &Service) -> TokenStream {
    let Service { ident, text, .. } = service;
    let named = named(service);
    let settings = (!service.settings.is_empty()).then(|| {
        let settings = &service.settings;
        quote!(const SETTINGS: __zato::Settings = __zato::Settings::new()#(.#settings)*;)
    });
    let callback_of = match (&service.name, &service.pair) {
        (Name::Explicit(_), Some(pair)) => Some(callback_of(ident, pair)),
        _ => None,
    };
    let needs = needs(&service.resources);
    let build = build(&service.resources);
    quote! {
        #[automatically_derived]
        impl __zato::Registered for #ident {
            const ORIGIN: __zato::Origin = __zato::Origin::new(
                #text,
                ::core::module_path!(),
                ::core::file!(),
                ::core::line!(),
            );
            #named
            #settings
            #callback_of
            #needs
            #build
        }
    }
}

fn named(service: &Service) -> TokenStream {
    let is_function = service.function.is_some();
    let named = match (&service.name, &service.pair) {
        (Name::Explicit(name), _) => quote!(__zato::Named::explicit(#name)),
        (Name::Paired, Some(pair)) => {
            let (ident, caller) = (&service.ident, &pair.caller);
            let constructor = format_ident!("{}", pair.role.constructor());
            let looked_up = in_module(
                ident,
                pair,
                &quote! {
                    __zato::Named::#constructor(__zato::Beside::<#caller>::FOUND, __zato::Here::<Self, #ident>::IS)
                },
            );
            return quote! {
                #[allow(dead_code, unused_imports, non_camel_case_types, deprecated)]
                const NAMED: __zato::Named = #looked_up;
            };
        }
        (Name::Derived | Name::Paired | Name::Faulty, _) => {
            quote!(__zato::Named::derived(&<Self as __zato::Registered>::ORIGIN, #is_function))
        }
    };
    quote!(const NAMED: __zato::Named = #named;)
}

fn callback_of(ident: &Ident, pair: &Pair) -> TokenStream {
    let caller = &pair.caller;
    let constant = format_ident!("{}", pair.role.constant());
    let found = quote!(__zato::Beside::<#caller>::FOUND.service(__zato::Here::<Self, #ident>::IS));
    let looked_up = in_module(ident, pair, &found);
    quote! {
        #[allow(dead_code, unused_imports, non_camel_case_types, deprecated)]
        const #constant: ::core::option::Option<&'static ::core::primitive::str> = #looked_up;
    }
}

/// Evaluates with the names of the caller and of the callback as the module knows them, where it does: a glob import
/// in an inner block goes before the aliases in the outer one.
fn in_module(ident: &Ident, pair: &Pair, expression: &TokenStream) -> TokenStream {
    let caller = &pair.caller;
    quote! {
        {
            type #caller = __zato::Nothing;
            type #ident = __zato::Nothing;
            {
                use self::*;
                use __zato::Otherwise as _;
                #expression
            }
        }
    }
}

fn needs(resources: &[Resource]) -> Option<TokenStream> {
    let needs = resources.iter().map(|Resource { member, ty, attrs, .. }| {
        let text = match member {
            Member::Named(field) => field.unraw().to_string(),
            Member::Unnamed(field) => field.index.to_string(),
        };
        quote!(#(#attrs)* __zato::Need::of::<#ty>(#text))
    });
    (!resources.is_empty()).then(|| quote!(const NEEDS: &'static [__zato::Need] = &[#(#needs),*];))
}

fn build(resources: &[Resource]) -> TokenStream {
    let given = local("resources", Span::call_site());
    let given = if resources.is_empty() { quote!(_) } else { given.to_token_stream() };
    let fields = resources.iter().map(|Resource { member, ty, attrs, .. }| {
        // Under the type, because it is there that a type which is no resource is to be reported.
        let got = quote_spanned!(ty.span()=> #given.get()?);
        quote!(#(#attrs)* #member: #got)
    });
    quote! {
        fn build(
            #given: &__zato::Resources,
        ) -> ::core::result::Result<Self, __zato::MissingResource> {
            ::core::result::Result::Ok(Self { #(#fields),* })
        }
    }
}

/// A local variable of the written code.
fn local(name: &str, at: Span) -> Ident {
    Ident::new(&format!("__zato_{name}"), Span::mixed_site().located_at(at))
}

fn inherent(ident: &Ident, vis: &Visibility, generics: &Generics) -> TokenStream {
    let (parameters, arguments, clause) = generics.split_for_impl();
    let clause = clause_of_mistaken(ident, generics).unwrap_or_else(|| clause.to_token_stream());
    // What the method returns is a handle, also where the type is called `Service`.
    let lint = ident.unraw().to_string().eq_ignore_ascii_case("service");
    let lint = lint.then(|| quote!(#[allow(clippy::self_named_constructors)]));
    quote! {
        #[automatically_derived]
        #[allow(dead_code)]
        #lint
        impl #parameters #ident #arguments #clause {
            /// The service's name.
            #vis const NAME: &'static ::core::primitive::str = <Self as __zato::Registered>::NAME;
            /// The handle of the service, which is accepted wherever its name is; with it, the compiler checks the call.
            #vis const fn service() -> __zato::Handle<Self> {
                __zato::Handle::new()
            }
        }
    }
}

fn handler(service: &Service, function: &Function, is_sound: bool) -> Option<TokenStream> {
    if function.is_generic {
        return None;
    }
    let Service { ident, resources, .. } = service;
    let request_type = function.request.as_ref().map_or_else(|| quote!(()), ToTokens::to_token_stream);
    // Under the response's type, because it is there that one which is none is to be reported.
    let at = function.returned.as_ref().map_or_else(Span::call_site, signature::response_span);
    let response = function.returned.as_ref().map_or_else(
        || quote!(()),
        |returned| quote_spanned!(at=> <#returned as __zato::Returned>::Response),
    );
    let handled = quote_spanned!(at=> __zato::Result<Self::Response>);
    let (ctx, request) = (local("ctx", Span::call_site()), local("request", Span::call_site()));
    let body = match &function.context {
        Some(context) if is_sound => {
            // Under the parameter's type, because it is there that a context of another crate is to be reported.
            let ctx = quote_spanned!(context.span()=> <#context as __zato::IsContext>::of(#ctx));
            let given = function.request.as_ref().map(|_| quote!(#request,));
            let resources = resources.iter().map(|Resource { member, attrs, by_reference, .. }| {
                if *by_reference {
                    quote!(#(#attrs)* &self.#member)
                } else {
                    quote!(#(#attrs)* ::core::clone::Clone::clone(&self.#member))
                }
            });
            let function = &function.ident;
            let ended = quote_spanned! {at=>
                __zato::Ended::of(#function(#ctx, #given #(#resources),*).await).handled()
            };
            quote! {
                #[allow(unused_imports)]
                use __zato::EndedOtherwise as _;
                #ended
            }
        }
        _ => quote!(::core::unreachable!()),
    };
    let request = if function.request.is_none() { quote!(_) } else { request.to_token_stream() };
    Some(quote! {
        #[automatically_derived]
        #[allow(unused_qualifications)]
        impl __zato::Service for #ident {
            type Request = #request_type;
            type Response = #response;
            async fn handle(
                &self,
                #ctx: &__zato::Context,
                #request: Self::Request,
            ) -> #handled {
                #body
            }
        }
    })
}

fn submitted(service: &Service) -> TokenStream {
    let ident = &service.ident;
    let checked = match (&service.name, &service.pair) {
        (Name::Paired, Some(pair)) => {
            let (text, caller) = (ident.unraw().to_string(), pair.caller.unraw().to_string());
            let (role, key) = pair.role.texts();
            Some(quote_spanned!(ident.span()=> check_pair(#text, #caller, #role, #key)))
        }
        (Name::Derived, _) => Some(quote_spanned!(ident.span()=> check())),
        _ => None,
    };
    // Under the identifier, because it is there that a name which cannot be computed is to be reported.
    let checked =
        checked.map(|checked| quote_spanned!(ident.span()=> <#ident as __zato::Registered>::NAMED.#checked;));
    quote! {
        __zato::inventory::submit! { __zato::Registration::of::<#ident>() }
        #checked
    }
}

/// A registration that only lets other code compile, beside the errors that are reported.
fn unsound(ident: &Ident, generics: &Generics) -> TokenStream {
    let (parameters, arguments, clause) = generics.split_for_impl();
    let clause = clause_of_mistaken(ident, generics).unwrap_or_else(|| clause.to_token_stream());
    quote! {
        #[automatically_derived]
        impl #parameters __zato::Registered for #ident #arguments #clause {
            const ORIGIN: __zato::Origin = __zato::Origin::new("", "", "", 0);
            const NAMED: __zato::Named = __zato::Named::explicit("faulty");
            fn build(
                _: &__zato::Resources,
            ) -> ::core::result::Result<Self, __zato::MissingResource> {
                ::core::unreachable!()
            }
        }
    }
}

/// For a generic type that was taken for a service: what a service must be, so that this is not reported too.
fn clause_of_mistaken(ident: &Ident, generics: &Generics) -> Option<TokenStream> {
    if generics.params.is_empty() {
        return None;
    }
    let (_, arguments, _) = generics.split_for_impl();
    let mut clause = generics.clone();
    let clause = clause.make_where_clause();
    clause
        .predicates
        .push(syn::parse_quote!(#ident #arguments: ::core::marker::Send + ::core::marker::Sync + 'static));
    Some(clause.to_token_stream())
}
