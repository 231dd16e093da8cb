//! The storage of a payload's bytes: a few inline, more in an allocation that clones share.

use std::fmt;

use bytes::Bytes;

use super::kind::Kind;

/// The number of bytes that are stored inline: as many as the pointer to an allocation takes.
const FEW: usize = 37;

/// Bytes and their kind.
#[derive(Clone)]
pub(super) enum Storage {
    Few { kind: Kind, len: u8, bytes: [u8; FEW] },
    Many { kind: Kind, bytes: Bytes },
}

impl Storage {
    pub(super) const EMPTY: Self = Self::Few { kind: Kind::Empty, len: 0, bytes: [0; FEW] };

    /// Stores a copy of `bytes`.
    #[inline]
    pub(super) fn copied(kind: Kind, bytes: &[u8]) -> Self {
        Self::few(kind, bytes).unwrap_or_else(|| Self::Many { kind, bytes: Bytes::copy_from_slice(bytes) })
    }

    /// Bytes in an allocation of their own, which is kept where they are many.
    pub(super) fn of_bytes(kind: Kind, bytes: Bytes) -> Self {
        Self::few(kind, &bytes).unwrap_or(Self::Many { kind, bytes })
    }

    #[inline]
    fn few(kind: Kind, bytes: &[u8]) -> Option<Self> {
        let mut few = [0; FEW];
        few.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self::Few { kind, len: u8::try_from(bytes.len()).ok()?, bytes: few })
    }

    #[inline]
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Few { kind, .. } | Self::Many { kind, .. } => *kind,
        }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Few { len, bytes, .. } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Many { bytes, .. } => bytes,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl PartialEq for Storage {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Storage {}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {} bytes", self.kind(), self.as_bytes().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_and_many_read_the_same() {
        for len in [0, 1, FEW - 1, FEW, FEW + 1, 1_000] {
            let bytes = vec![b'x'; len];
            let (copied, kept) =
                (Storage::copied(Kind::Text, &bytes), Storage::of_bytes(Kind::Text, bytes.clone().into()));
            assert_eq!((copied.as_bytes(), copied.kind()), (&bytes[..], Kind::Text));
            assert!(copied == kept && copied != Storage::copied(Kind::Bytes, &bytes), "{len} bytes");
            assert_eq!(matches!(copied, Storage::Few { .. }), len <= FEW);
        }
    }

    #[test]
    fn what_stands_in_the_payload_makes_it_no_larger() {
        assert_eq!(size_of::<Storage>(), 8 + size_of::<Bytes>());
    }
}
