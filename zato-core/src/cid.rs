//! Correlation IDs: how every invocation is known, from the call to its last callback.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::{Uuid, Variant, Version};

/// A correlation ID: a UUID of version 7, printed and parsed in its hyphenated text form.
///
/// The first 48 bits are the time of creation in milliseconds since the Unix epoch, so CIDs sort roughly by age. A CID is
/// greater than its parent's, and than those that the same thread of the bus minted before. The bits below the time are
/// random: CIDs of several processes do not collide and cannot be guessed. A CID is not a credential all the same.
///
/// ```
/// use zato_core::Cid;
///
/// let cid: Cid = "0197f3c2-8a41-7c3e-9b1d-6f2e4a5b6c7d".parse()?;
/// assert_eq!(cid.to_string(), "0197f3c2-8a41-7c3e-9b1d-6f2e4a5b6c7d");
/// # Ok::<(), zato_core::CidError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cid(Uuid);

/// The error of a text or a UUID that is not a [`Cid`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidError {
    /// The text is not a UUID in hyphenated form.
    #[error(
        "`{0}` is not a correlation ID, which has 36 characters like `0197f3c2-8a41-7c3e-9b1d-6f2e4a5b6c7d`"
    )]
    Malformed(String),
    /// The UUID has another version than 7.
    #[error("`{0}` is not a correlation ID: it is a UUID, but not of version 7")]
    Version(Uuid),
}

impl Cid {
    /// The UUID inside.
    #[inline]
    pub fn as_uuid(self) -> Uuid {
        self.0
    }

    /// The time at which the CID was made, to the millisecond, by the clock of the process that made it.
    #[inline]
    pub fn created_at(self) -> SystemTime {
        let millis = u64::try_from(self.as_u128() >> 80).unwrap_or_default();
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    /// The 128 bits as a number; its order is the order of CIDs.
    #[inline]
    pub fn as_u128(self) -> u128 {
        self.0.as_u128()
    }
}

impl TryFrom<Uuid> for Cid {
    type Error = CidError;

    #[inline]
    fn try_from(uuid: Uuid) -> Result<Self, CidError> {
        match (uuid.get_version(), uuid.get_variant()) {
            (Some(Version::SortRand), Variant::RFC4122) => Ok(Self(uuid)),
            _ => Err(CidError::Version(uuid)),
        }
    }
}

/// One number: to hash an array of bytes takes its length too.
impl Hash for Cid {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.0.into_bytes()));
    }
}

impl FromStr for Cid {
    type Err = CidError;

    fn from_str(text: &str) -> Result<Self, CidError> {
        if text.len() != 36 {
            return Err(CidError::Malformed(text.to_owned()));
        }
        let uuid = Uuid::try_parse(text).map_err(|_| CidError::Malformed(text.to_owned()))?;
        Self::try_from(uuid)
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.as_hyphenated(), f)
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Cid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
