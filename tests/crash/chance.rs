//! Chance that can be repeated: numbers that follow from a seed.

/// `splitmix64`: small, and good enough to mix what is called in which order.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The numbers of a seed and of what they are for.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut chance = Self(seed ^ purpose.wrapping_mul(0xd6e8_feb8_6659_fd93));
        chance.next();
        chance
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ value >> 31
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// An index below `limit`.
    pub(crate) fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap_or_default()
    }

    /// True once in `times`.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Something once in `times`.
    pub(crate) fn maybe<T>(&mut self, times: u64, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.one_in(times).then(|| make(self))
    }

    /// One of these.
    pub(crate) fn one_of<T: Copy>(&mut self, these: &[T]) -> T {
        let limit = these.len() as u64;
        these[usize::try_from(self.below(limit)).unwrap_or_default()]
    }
}
