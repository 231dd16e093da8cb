//! A service's name on its way: it costs nothing to carry.

use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{LazyLock, PoisonError, RwLock};

/// Every text that [`ServiceName::interned`] answers with.
static INTERNED: LazyLock<RwLock<HashSet<&'static str>>> = LazyLock::new(RwLock::default);

/// A service's name as it travels: the one that its linked service has, and free to clone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServiceName(&'static str);

impl ServiceName {
    /// The name of a linked service.
    pub const fn linked(name: &'static str) -> Self {
        Self(name)
    }

    /// The name that reads so, for names that come from outside the program: from a file, from another process.
    ///
    /// Each distinct name takes its own memory once and keeps it until the process ends, so this is for the names of
    /// services, of which there are few, and never for texts that somebody outside can make up at will. A linked
    /// name that was [lent](Self::lend) is found first, and takes none.
    ///
    /// ```
    /// use zato_core::ServiceName;
    ///
    /// let name = ServiceName::interned("orders.price");
    /// assert_eq!(name, ServiceName::linked("orders.price"));
    /// assert_eq!(name.as_ptr(), ServiceName::interned("orders.price").as_ptr());
    /// ```
    pub fn interned(name: &str) -> Self {
        if let Some(known) = INTERNED.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Self(known);
        }
        let mut interned = INTERNED.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have come first.
        if let Some(known) = interned.get(name) {
            return Self(known);
        }
        let name: &'static str = Box::leak(name.into());
        interned.insert(name);
        Self(name)
    }

    /// Makes [`interned`](Self::interned) return this very string from now on, unless it has an equal one already.
    ///
    /// ```
    /// use zato_core::ServiceName;
    ///
    /// const NAME: &str = "orders.charge";
    /// ServiceName::linked(NAME).lend();
    /// assert_eq!(ServiceName::interned("orders.charge").as_ptr(), NAME.as_ptr());
    /// ```
    pub fn lend(self) {
        INTERNED.write().unwrap_or_else(PoisonError::into_inner).insert(self.0);
    }

    /// The address and the length of the string. Different names never have the same address and length, because names
    /// live as long as the program; equal names may have different addresses.
    #[inline]
    pub fn place(&self) -> (usize, usize) {
        (self.0.as_ptr().addr(), self.0.len())
    }

    /// The name as text.
    #[inline]
    pub const fn as_str(&self) -> &'static str {
        self.0
    }
}

impl std::ops::Deref for ServiceName {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.0
    }
}

impl std::borrow::Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        self.0
    }
}

impl Hash for ServiceName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}
