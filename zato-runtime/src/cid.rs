//! The one place where correlation IDs are minted.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use foldhash::fast::FoldHasher;
use uuid::Uuid;
use zato_core::{Cid, Moment};

use crate::apart::Apart;

/// The last tick handed out: milliseconds since the Unix epoch in the upper 48 bits, a counter within the
/// millisecond in the lower 16. Written by [`mint`] alone.
static LAST: Apart<AtomicU64> = Apart(AtomicU64::new(0));

/// What keeps the CIDs of two processes apart that mint in the same millisecond.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));

/// A new CID, greater than every one that this process minted before, also when the clock steps back.
///
/// A UUIDv7 (RFC 9562, method 1): 48 bits of milliseconds, a 16-bit counter, and 58 bits that differ from
/// process to process and from CID to CID. Past 65,536 in one millisecond the counter runs into the next.
pub(crate) fn mint() -> Cid {
    mint_at(SystemTime::now().into())
}

/// The same where the wall clock has just been read.
pub(crate) fn mint_at(now: Moment) -> Cid {
    let now = now.millis() << 16;
    let mut last = LAST.load(Ordering::Relaxed);
    let tick = loop {
        let next = now.max(last + 1);
        match LAST.compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => break next,
            Err(current) => last = current,
        }
    };
    compose(tick, mix(tick.wrapping_add(*SEED)))
}

fn compose(tick: u64, noise: u64) -> Cid {
    const VERSION_7: u128 = 7 << 76;
    const VARIANT: u128 = 2 << 62;
    let tick = u128::from(tick);
    let bits = (tick >> 16) << 80
        | VERSION_7
        | (tick >> 4 & 0xfff) << 64
        | VARIANT
        | (tick & 0xf) << 58
        | u128::from(noise >> 6);
    match Cid::try_from(Uuid::from_u128(bits)) {
        Ok(cid) => cid,
        Err(error) => unreachable!("version and variant are set above: {error}"),
    }
}

/// The counter of a CID that [`mint`] made: its tick. None for all others.
#[inline]
fn tick_of(bits: u128) -> Option<u64> {
    // The upper and the lower half.
    #[expect(clippy::cast_possible_truncation, reason = "each is a half")]
    let (high, low) = ((bits >> 64) as u64, bits as u64);
    let tick = high >> 16 << 16 | (high & 0xfff) << 4 | low >> 58 & 0xf;
    (mix(tick.wrapping_add(*SEED)) >> 6 == low & (u64::MAX >> 6)).then_some(tick)
}

/// Hashes CIDs so that those which this process has minted one after the other stand side by side in a table: what comes
/// together and goes together is read from memory together. Nobody outside can make up such CIDs; all others are
/// scattered.
#[derive(Debug, Clone, Default)]
pub(crate) struct SideBySide(foldhash::fast::RandomState);

/// What is found by a CID.
pub(crate) type ByCid<T> = HashMap<Cid, T, SideBySide>;

/// The hash of one CID.
pub(crate) struct Hash<'a> {
    scattered: FoldHasher<'a>,
    of_minted: Option<u64>,
}

impl BuildHasher for SideBySide {
    type Hasher = Hash<'static>;

    #[inline]
    fn build_hasher(&self) -> Hash<'static> {
        Hash { scattered: self.0.build_hasher(), of_minted: None }
    }
}

impl Hasher for Hash<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.scattered.write(bytes);
    }

    #[inline]
    fn write_u128(&mut self, bytes: u128) {
        match tick_of(u128::from_be_bytes(bytes.to_ne_bytes())) {
            // A table looks for a place from the lower bits on, and tells what stands there apart by the upper ones.
            Some(tick) => {
                let block = mix(tick >> BLOCK);
                self.of_minted = Some(block >> BLOCK << BLOCK ^ tick & ((1 << BLOCK) - 1) ^ tick << 57);
            }
            None => self.scattered.write_u128(bytes),
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.of_minted.unwrap_or_else(|| self.scattered.finish())
    }
}

/// So many CIDs stand side by side, as a power of two: what fills some lines of the cache.
const BLOCK: u32 = 6;

/// The finalizer of `splitmix64`: every input has an output of its own.
fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn cids_increase_within_a_thread_and_differ_between_threads() {
        let threads: Vec<_> =
            (0..4).map(|_| thread::spawn(|| (0..50_000).map(|_| mint()).collect::<Vec<_>>())).collect();
        let mut all = Vec::new();
        for thread in threads {
            let minted = thread.join().expect("minting does not panic");
            assert!(minted.is_sorted_by(|a, b| a < b));
            all.extend(minted);
        }
        all.sort_unstable();
        assert!(all.is_sorted_by(|a, b| a < b), "no CID is minted twice");
    }

    #[test]
    fn a_cid_begins_with_the_time() {
        let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        let minted = mint().as_u128() >> 80;
        assert!(minted >= before && minted < before + 60_000, "{minted} is about {before}");
    }

    #[test]
    fn what_is_minted_together_stands_side_by_side() {
        let hasher = SideBySide::default();
        let place = |cid: Cid| hasher.hash_one(cid) & 0xffff;
        let minted: Vec<_> = (0..10_000).map(|_| mint()).collect();
        let near = minted.windows(2).filter(|pair| place(pair[0]).abs_diff(place(pair[1])) < 64).count();
        assert!(near > 9_500, "{near} of 9,999 stand beside the one before");
        let different: std::collections::HashSet<_> =
            minted.iter().map(|cid| hasher.hash_one(*cid)).collect();
        assert_eq!(different.len(), minted.len());
        // What another process may have minted is scattered.
        let foreign = minted.iter().map(|cid| Uuid::from_u128(cid.as_u128() ^ 1));
        let foreign: Vec<_> = foreign.map(|uuid| Cid::try_from(uuid).expect("it is one")).collect();
        let near = foreign.windows(2).filter(|pair| place(pair[0]).abs_diff(place(pair[1])) < 64).count();
        assert!(near < 500, "{near} of 9,999 stand beside the one before");
    }
}
