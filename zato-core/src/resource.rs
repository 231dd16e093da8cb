//! Resources: what services are given once, by type, when the runtime starts.

use std::any::{Any, TypeId, type_name};
use std::collections::{BTreeSet, HashMap, HashSet};

use crate::name::short_type_name;

/// What may be a field of a service: anything that can be cloned into it and shared between threads.
///
/// Implemented for every `Clone + Send + Sync + 'static` type, and by nothing else.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a resource of a service",
    label = "a field of a `#[service]` struct must be `Clone + Send + Sync + 'static`",
    note = "share it as `std::sync::Arc<..>`: `Arc` instead of `Rc`, `Mutex` instead of `RefCell`, \
            `Arc<T>` around what cannot be cloned"
)]
pub trait Resource: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Resource for T {}

/// A resource that a service asks for.
#[derive(Clone, Copy)]
pub struct Need {
    field: &'static str,
    type_id: fn() -> TypeId,
    type_name: fn() -> &'static str,
}

impl Need {
    /// Not bounded by [`Resource`]: what is none is reported once, where `build` gets it.
    #[doc(hidden)]
    pub const fn of<T: 'static>(field: &'static str) -> Self {
        Self { field, type_id: TypeId::of::<T>, type_name: type_name::<T> }
    }

    /// The struct's field, or the function's parameter.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// The type, as its user writes it.
    pub fn type_name(&self) -> String {
        short_type_name((self.type_name)())
    }
}

/// The resources that a runtime was given, one of a type.
#[derive(Default)]
pub struct Resources {
    by_type: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    /// The types of resources that are put in later, before the runtime starts.
    promised: HashSet<TypeId>,
    /// The types that were put in more than once.
    doubled: BTreeSet<String>,
}

impl Resources {
    /// Puts a resource in. A second one of a type is kept as a fault, see [`doubled`](Self::doubled).
    pub fn put<T: Resource>(&mut self, resource: T) {
        let type_id = TypeId::of::<T>();
        if self.by_type.insert(type_id, Box::new(resource)).is_some() || self.promised.contains(&type_id) {
            self.doubled.insert(short_type_name(type_name::<T>()));
        }
    }

    /// Puts a resource in, in place of one of the same type if there is one or one is promised.
    pub fn replace<T: Resource>(&mut self, resource: T) {
        self.promised.remove(&TypeId::of::<T>());
        self.by_type.insert(TypeId::of::<T>(), Box::new(resource));
    }

    /// Announces a resource that [`fulfil`](Self::fulfil) puts in later, before the runtime starts. Until then services that
    /// need it can be checked, but not built.
    pub fn promise<T: Resource>(&mut self) {
        let type_id = TypeId::of::<T>();
        if !self.promised.insert(type_id) || self.by_type.contains_key(&type_id) {
            self.doubled.insert(short_type_name(type_name::<T>()));
        }
    }

    /// Puts a promised resource in, unless it has been replaced since.
    pub fn fulfil<T: Resource>(&mut self, resource: T) {
        if self.promised.remove(&TypeId::of::<T>()) {
            self.by_type.insert(TypeId::of::<T>(), Box::new(resource));
        }
    }

    /// Returns `true` if a resource was promised and has not been put in.
    pub fn has_promises(&self) -> bool {
        !self.promised.is_empty()
    }

    /// The types that were put in or promised more than once, as their user writes them, in the order of their names.
    pub fn doubled(&self) -> impl Iterator<Item = &str> {
        self.doubled.iter().map(String::as_str)
    }

    /// Returns `true` if there is one of the type that is needed, or one is promised.
    pub fn has(&self, need: &Need) -> bool {
        let type_id = (need.type_id)();
        self.by_type.contains_key(&type_id) || self.promised.contains(&type_id)
    }

    /// A clone of the resource of this type.
    ///
    /// # Errors
    ///
    /// [`MissingResource`] if none of the type was given.
    pub fn get<T: Resource>(&self) -> Result<T, MissingResource> {
        self.by_type
            .get(&TypeId::of::<T>())
            .and_then(|resource| resource.downcast_ref::<T>())
            .cloned()
            .ok_or(MissingResource { type_name: type_name::<T>() })
    }
}

impl std::fmt::Debug for Resources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resources({} types)", self.by_type.len())
    }
}

/// A resource that no one provided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no `{type_name}` was provided: add one with `.provide(..)` before the runtime starts")]
#[non_exhaustive]
pub struct MissingResource {
    /// The type, with its module path.
    pub type_name: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubled(fill: impl FnOnce(&mut Resources)) -> (Vec<String>, Option<u8>) {
        let mut resources = Resources::default();
        fill(&mut resources);
        let doubled = resources.doubled().map(str::to_owned).collect();
        (doubled, resources.get::<u8>().ok())
    }

    #[test]
    fn a_second_resource_of_a_type_is_doubled_in_whatever_order_the_two_come() {
        let u8s = || vec!["u8".to_owned()];
        let fulfilled = doubled(|all| {
            all.promise::<u8>();
            all.put(2_u16);
            all.fulfil(1_u8);
        });
        assert_eq!(fulfilled, (Vec::new(), Some(1)));
        for fill in [
            (|all| [1_u8, 2].into_iter().for_each(|one| all.put(one))) as fn(&mut Resources),
            |all| {
                all.promise::<u8>();
                all.promise::<u8>();
            },
            |all| {
                all.put(1_u8);
                all.promise::<u8>();
            },
            |all| {
                all.promise::<u8>();
                all.put(1_u8);
            },
        ] {
            assert_eq!(doubled(fill).0, u8s());
        }
    }

    #[test]
    fn what_replaces_a_resource_stays() {
        let replaced = doubled(|all| {
            all.put(1_u8);
            all.replace(2_u8);
        });
        assert_eq!(replaced, (Vec::new(), Some(2)));
        let replaced = doubled(|all| {
            all.promise::<u8>();
            all.replace(2_u8);
            all.fulfil(1_u8);
        });
        assert_eq!(replaced, (Vec::new(), Some(2)));
    }
}
