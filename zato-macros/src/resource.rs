//! A resource of a service: a field of its struct, or a parameter of its function.

use syn::{Attribute, Member, Type};

/// A resource of a service, which the runtime provides when it starts.
pub(crate) struct Resource {
    pub(crate) member: Member,
    pub(crate) ty: Type,
    /// The attributes that go wherever the member is named.
    pub(crate) attrs: Vec<Attribute>,
    /// `true` if the function takes a reference to it.
    pub(crate) by_reference: bool,
}
