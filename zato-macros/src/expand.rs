//! What the attribute writes. Every path is absolute; all that the user's code can see of it are `NAME`,
//! `service()` and, for a function, the struct of the same name.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Generics, Member, Visibility};

use crate::fault::Faults;
use crate::model::{self, Meaning, Name, Service};
use crate::pair::Pair;
use crate::resource::Resource;
use crate::signature::{self, Function};

/// The item as it was, its faults, and the code that makes it a service.
pub(crate) fn service(attribute: TokenStream, item: &TokenStream) -> TokenStream {
    let mut faults = Faults::default();
    let meaning = model::read(attribute, item.clone(), &mut faults);
    let is_sound = faults.is_empty();
    let errors = faults.into_compile_errors();
    // A service function is async whether it awaits or not, so that lint would ask for what cannot be.
    let lint = matches!(&meaning, Meaning::Service(service) if service.function.is_some())
        .then(|| quote!(#[allow(clippy::unused_async)]));
    // A faulty service is written as far as other code needs it, so that nothing else turns red.
    let written = match &meaning {
        Meaning::Service(service) => {
            let structure = service.function.as_ref().map(|_| structure(service, is_sound));
            let registered =
                if is_sound { registered(service) } else { unsound(&service.ident, &Generics::default()) };
            let handler = service.function.as_ref().map(|function| handler(service, function, is_sound));
            let inherent = inherent(&service.ident, &service.vis, &Generics::default());
            let submitted = is_sound.then(|| submitted(service));
            quote!(#structure #registered #inherent #handler #submitted)
        }
        Meaning::Mistaken(ident, vis, generics) => {
            let (registered, inherent) = (unsound(ident, generics), inherent(ident, vis, generics));
            quote!(#registered #inherent)
        }
        Meaning::Nothing => TokenStream::new(),
    };
    quote!(#lint #item #errors #written)
}

/// The struct that stands for a function. Its braces leave the value of that name to the function.
fn structure(service: &Service, is_sound: bool) -> TokenStream {
    let Service { ident, vis, docs, resources, .. } = service;
    let fields = resources
        .iter()
        .filter(|_| is_sound)
        .map(|Resource { member, ty, cfg, .. }| quote!(#(#cfg)* #member: #ty));
    quote! {
        #(#docs)*
        #[allow(non_camel_case_types)]
        #vis struct #ident { #(#fields),* }
    }
}

fn registered(service: &Service) -> TokenStream {
    let Service { ident, .. } = service;
    let text = ident.unraw().to_string();
    let named = named(service);
    let settings = (!service.settings.is_empty()).then(|| {
        let settings = &service.settings;
        quote!(const SETTINGS: ::zato_core::Settings = ::zato_core::Settings::new()#(.#settings)*;)
    });
    let callback_of = match (&service.name, &service.pair) {
        (Name::Explicit(_), Some(pair)) => Some(callback_of(ident, pair)),
        _ => None,
    };
    let needs = needs(&service.resources);
    let build = build(&service.resources);
    quote! {
        #[automatically_derived]
        impl ::zato_core::Registered for #ident {
            const ORIGIN: ::zato_core::Origin = ::zato_core::Origin::new(
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
    let private = quote!(::zato_core::__private);
    let is_function = service.function.is_some();
    let named = match (&service.name, &service.pair) {
        (Name::Explicit(name), _) => quote!(#private::Named::explicit(#name)),
        (Name::Paired, Some(pair)) => {
            let (ident, caller) = (&service.ident, &pair.caller);
            let constructor = format_ident!("{}", pair.role.constructor());
            let looked_up = in_module(
                ident,
                pair,
                &quote! {
                    #private::Named::#constructor(#private::Beside::<#caller>::FOUND, #private::Here::<Self, #ident>::IS)
                },
            );
            return quote! {
                #[allow(dead_code, unused_imports, non_camel_case_types)]
                const NAMED: #private::Named = #looked_up;
            };
        }
        (Name::Derived | Name::Paired | Name::Faulty, _) => {
            quote!(#private::Named::derived(&<Self as ::zato_core::Registered>::ORIGIN, #is_function))
        }
    };
    quote!(const NAMED: #private::Named = #named;)
}

fn callback_of(ident: &Ident, pair: &Pair) -> TokenStream {
    let caller = &pair.caller;
    let constant = format_ident!("{}", pair.role.constant());
    let private = quote!(::zato_core::__private);
    let found = quote!(#private::Beside::<#caller>::FOUND.service(#private::Here::<Self, #ident>::IS));
    let looked_up = in_module(ident, pair, &found);
    quote! {
        #[allow(dead_code, unused_imports, non_camel_case_types)]
        const #constant: ::core::option::Option<&'static str> = #looked_up;
    }
}

/// Evaluates with the names of the caller and of the callback as the module knows them, where it does: a glob import
/// in an inner block goes before the aliases in the outer one.
fn in_module(ident: &Ident, pair: &Pair, expression: &TokenStream) -> TokenStream {
    let caller = &pair.caller;
    quote! {
        {
            type #caller = ::zato_core::__private::Nothing;
            type #ident = ::zato_core::__private::Nothing;
            {
                use self::*;
                use ::zato_core::__private::Otherwise as _;
                #expression
            }
        }
    }
}

fn needs(resources: &[Resource]) -> Option<TokenStream> {
    let needs = resources.iter().map(|Resource { member, ty, cfg, .. }| {
        let text = match member {
            Member::Named(field) => field.unraw().to_string(),
            Member::Unnamed(field) => field.index.to_string(),
        };
        quote!(#(#cfg)* ::zato_core::Need::of::<#ty>(#text))
    });
    (!resources.is_empty()).then(|| quote!(const NEEDS: &'static [::zato_core::Need] = &[#(#needs),*];))
}

fn build(resources: &[Resource]) -> TokenStream {
    let given = format_ident!("{}", if resources.is_empty() { "_resources" } else { "resources" });
    let fields = resources.iter().map(|Resource { member, ty, cfg, .. }| {
        // Under the type, because it is there that a type which is no resource is to be reported.
        let got = quote_spanned!(ty.span()=> #given.get()?);
        quote!(#(#cfg)* #member: #got)
    });
    quote! {
        fn build(
            #given: &::zato_core::Resources,
        ) -> ::core::result::Result<Self, ::zato_core::MissingResource> {
            ::core::result::Result::Ok(Self { #(#fields),* })
        }
    }
}

fn inherent(ident: &Ident, vis: &Visibility, generics: &Generics) -> TokenStream {
    let (parameters, arguments, clause) = generics.split_for_impl();
    let clause = clause_of_mistaken(ident, generics).unwrap_or_else(|| clause.to_token_stream());
    quote! {
        #[automatically_derived]
        #[allow(dead_code)]
        impl #parameters #ident #arguments #clause {
            /// The service's name.
            #vis const NAME: &'static str = <Self as ::zato_core::Registered>::NAME;
            /// The service by its type: stands wherever its name may stand, and lets the compiler check the call.
            #vis const fn service() -> ::zato_core::Handle<Self> {
                ::zato_core::Handle::new()
            }
        }
    }
}

fn handler(service: &Service, function: &Function, is_sound: bool) -> Option<TokenStream> {
    if function.is_generic {
        return None;
    }
    let Service { ident, resources, .. } = service;
    let request = function.request.as_ref().map_or_else(|| quote!(()), ToTokens::to_token_stream);
    // Under the response's type, because it is there that one which is none is to be reported.
    let at = function.returned.as_ref().map_or_else(Span::call_site, signature::response_span);
    let response = function.returned.as_ref().map_or_else(
        || quote!(()),
        |returned| quote_spanned!(at=> <#returned as ::zato_core::__private::Returned>::Response),
    );
    let handled = quote_spanned!(at=> ::zato_core::Result<Self::Response>);
    let body = if is_sound {
        // Under the parameter's type, because it is there that a context of another crate is to be reported.
        let ctx = Ident::new("ctx", Span::mixed_site().located_at(function.context));
        let given = function.request.as_ref().map(|_| quote!(request,));
        let resources = resources.iter().map(|Resource { member, cfg, by_reference, .. }| {
            if *by_reference {
                quote!(#(#cfg)* &self.#member)
            } else {
                quote!(#(#cfg)* ::core::clone::Clone::clone(&self.#member))
            }
        });
        let ended = quote_spanned! {at=>
            ::zato_core::__private::Ended::of(#ident(#ctx, #given #(#resources),*).await).handled()
        };
        quote! {
            #[allow(unused_imports)]
            use ::zato_core::__private::EndedOtherwise as _;
            #ended
        }
    } else {
        quote!(::core::unreachable!())
    };
    let unused = function.request.is_none().then(|| quote!(_));
    let (ctx, request_name) =
        (Ident::new("ctx", Span::mixed_site()), unused.unwrap_or_else(|| quote!(request)));
    Some(quote! {
        #[automatically_derived]
        impl ::zato_core::Service for #ident {
            type Request = #request;
            type Response = #response;
            async fn handle(
                &self,
                #ctx: &::zato_core::Context,
                #request_name: Self::Request,
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
    let checked = checked
        .map(|checked| quote_spanned!(ident.span()=> <#ident as ::zato_core::Registered>::NAMED.#checked;));
    quote! {
        const _: () = {
            ::zato_core::__private::inventory::submit! { ::zato_core::Registration::of::<#ident>() }
            #checked
        };
    }
}

/// A registration that only lets other code compile, beside the errors that are reported.
fn unsound(ident: &Ident, generics: &Generics) -> TokenStream {
    let (parameters, arguments, clause) = generics.split_for_impl();
    let clause = clause_of_mistaken(ident, generics).unwrap_or_else(|| clause.to_token_stream());
    quote! {
        #[automatically_derived]
        impl #parameters ::zato_core::Registered for #ident #arguments #clause {
            const ORIGIN: ::zato_core::Origin = ::zato_core::Origin::new("", "", "", 0);
            const NAMED: ::zato_core::__private::Named = ::zato_core::__private::Named::explicit("faulty");
            fn build(
                _: &::zato_core::Resources,
            ) -> ::core::result::Result<Self, ::zato_core::MissingResource> {
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
