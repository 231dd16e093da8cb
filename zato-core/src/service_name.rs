//! A service's name on its way: it costs nothing to carry.

use std::fmt;
use std::hash::{Hash, Hasher};

/// A service's name as it travels: the one that its linked service has, and free to clone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServiceName(&'static str);

impl ServiceName {
    /// The name of a linked service.
    pub const fn linked(name: &'static str) -> Self {
        Self(name)
    }

    /// The name as text.
    pub const fn as_str(&self) -> &'static str {
        self.0
    }
}

impl std::ops::Deref for ServiceName {
    type Target = str;

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
