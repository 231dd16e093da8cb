//! A resource of a service: a field of its struct, or a parameter of its function.

use syn::{Attribute, Member, Type};

/// What a service is given when the runtime starts.
pub(crate) struct Resource {
    pub(crate) member: Member,
    pub(crate) ty: Type,
    /// `#[cfg]`s, which go wherever the member is named.
    pub(crate) cfg: Vec<Attribute>,
    /// Whether the function takes a reference to it.
    pub(crate) by_reference: bool,
}
