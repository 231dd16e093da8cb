//! A service's name on its way: the one of a linked service costs nothing to carry.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A service's name as it travels: free to clone where the service is linked into this program.
#[derive(Clone)]
pub enum ServiceName {
    /// The name of a linked service.
    Linked(&'static str),
    /// Any other, for example of a service that another process hosts.
    Other(Arc<str>),
}

impl ServiceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Linked(name) => name,
            Self::Other(name) => name,
        }
    }
}

impl std::ops::Deref for ServiceName {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl std::borrow::Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for ServiceName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for ServiceName {}

impl Hash for ServiceName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
