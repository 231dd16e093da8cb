//! The hash functions under a digest: one with a name, which every later program knows, and a faster one that this process
//! alone knows.

use std::hash::{DefaultHasher, Hasher as _};

/// How digests are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// By a named algorithm, which every later program knows.
    Named,
    /// By one that this process alone knows.
    InProcess,
}

impl Algorithm {
    pub(super) fn begin(self) -> Box<dyn Sum> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Named => Box::new(named::Sha::default()),
            _ => Box::new(InProcess::default()),
        }
    }
}

/// A digest that is being made.
pub(super) trait Sum {
    /// Adds bytes.
    fn write(&mut self, bytes: &[u8]);

    /// Another one, of the same algorithm.
    fn another(&self) -> Box<dyn Sum>;

    /// The digest.
    fn finish(&mut self) -> u128;
}

/// So wide that two that are not equal do not meet by chance.
struct InProcess([DefaultHasher; 2]);

impl Default for InProcess {
    fn default() -> Self {
        let mut halves = [DefaultHasher::new(), DefaultHasher::new()];
        halves[1].write_u8(1);
        Self(halves)
    }
}

impl Sum for InProcess {
    fn write(&mut self, bytes: &[u8]) {
        self.0.iter_mut().for_each(|half| half.write(bytes));
    }

    fn another(&self) -> Box<dyn Sum> {
        Box::new(Self::default())
    }

    fn finish(&mut self) -> u128 {
        u128::from(self.0[0].finish()) << 64 | u128::from(self.0[1].finish())
    }
}

#[cfg(feature = "sqlite")]
mod named {
    use sha2::{Digest as _, Sha256};

    use super::Sum;

    /// The first 128 bits of SHA-256.
    #[derive(Default)]
    pub(super) struct Sha(Sha256);

    impl Sum for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn another(&self) -> Box<dyn Sum> {
            Box::new(Self::default())
        }

        fn finish(&mut self) -> u128 {
            let all: [u8; 32] = self.0.finalize_reset().into();
            all.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte))
        }
    }
}
