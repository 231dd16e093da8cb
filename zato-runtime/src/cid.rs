//! The one place where correlation IDs are minted.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::FoldHasher;
use uuid::Uuid;
use zato_core::{Cid, Moment};

use crate::apart::Apart;
use crate::counter;

/// The last tick that was handed out by a count of all threads together: where the clock has gone back, or where there are
/// more threads than have numbers.
static COUNTED: Apart<AtomicU64> = Apart(AtomicU64::new(0));

/// How many threads have a number, or have asked for one.
static THREADS: AtomicU64 = AtomicU64::new(0);

/// So many bits of a CID are the number of the thread that has minted it: as many threads as Linux has at the most.
const THREAD_BITS: u32 = 22;

/// So many say how many this thread had minted before, counted round: more than it mints in a millisecond.
const COUNT_BITS: u32 = 12;

/// What keeps the CIDs of two processes apart that mint in the same tick.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));

/// What one thread has minted.
#[derive(Clone, Copy)]
struct Minted {
    /// Its number; zero for those that have none.
    thread: u64,
    /// How many they are.
    count: u64,
    /// The last tick.
    tick: u64,
}

thread_local! {
    static MINTED: Cell<Minted> = const { Cell::new(Minted { thread: 0, count: 0, tick: 0 }) };
}

/// A new CID, greater than every one that this thread minted before, or can have heard of from others in this process; also
/// when the clock steps back.
///
/// A UUIDv7 (RFC 9562, method 3): the time in 48 bits of milliseconds and 16 bits below, and 58 bits that differ from
/// process to process, from thread to thread and from CID to CID. Threads do not meet: one clock keeps their order, in ticks
/// of 15 ns, which is less than it takes to hear of another's.
pub(crate) fn mint() -> Cid {
    mint_at(counter::now())
}

/// The same where the time has just been read.
#[inline]
pub(crate) fn mint_at(now: Moment) -> Cid {
    let (at, last) = (tick_at(now), MINTED.get());
    if last.thread == 0 || at <= COUNTED.load(Ordering::Acquire) || now <= counter::went_back_from() {
        return mint_counted(at);
    }
    last.next(at.max(last.tick + 1))
}

/// The same where the thread has no number yet, or the time may have been told before.
#[cold]
fn mint_counted(at: u64) -> Cid {
    let mut last = MINTED.get();
    if last.thread == 0 {
        let number = 1 + THREADS.fetch_add(1, Ordering::Relaxed);
        last.thread = if number >> THREAD_BITS == 0 { number } else { 0 };
    }
    COUNTED.fetch_max(at.max(tick_at(counter::went_back_from())).max(last.tick), Ordering::AcqRel);
    last.next(COUNTED.fetch_add(1, Ordering::AcqRel) + 1)
}

impl Minted {
    /// The next of this thread.
    #[inline]
    fn next(self, tick: u64) -> Cid {
        let Self { thread, count, .. } = self;
        MINTED.set(Self { thread, count: count.wrapping_add(1), tick });
        compose(tick, noise(tick) ^ thread << COUNT_BITS ^ count & ((1 << COUNT_BITS) - 1))
    }
}

/// Milliseconds since 1970 in the upper 48 bits, and below what part of one more has passed.
#[inline]
fn tick_at(now: Moment) -> u64 {
    let millis = now.millis();
    (millis << 16) + ((now.nanos() - millis * 1_000_000) << 16) / 1_000_000
}

/// 58 bits that nobody outside knows.
#[inline]
fn noise(tick: u64) -> u64 {
    mix(tick.wrapping_add(*SEED)) >> 6
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
        | u128::from(noise);
    match Cid::try_from(Uuid::from_u128(bits)) {
        Ok(cid) => cid,
        Err(error) => unreachable!("version and variant are set above: {error}"),
    }
}

/// What thread has minted a CID that [`mint`] made, and after how many others. None for all others.
#[inline]
fn minted(bits: u128) -> Option<Minted> {
    // The upper and the lower half.
    #[expect(clippy::cast_possible_truncation, reason = "each is a half")]
    let (high, low) = ((bits >> 64) as u64, bits as u64);
    let tick = high >> 16 << 16 | (high & 0xfff) << 4 | low >> 58 & 0xf;
    let rest = noise(tick) ^ low & (u64::MAX >> 6);
    let (thread, count) = (rest >> COUNT_BITS, rest & ((1 << COUNT_BITS) - 1));
    (thread >> THREAD_BITS == 0).then_some(Minted { thread, count, tick })
}

/// Hashes CIDs so that those which a thread has minted one after the other stand side by side in a table: what comes
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
        match minted(u128::from_be_bytes(bytes.to_ne_bytes())) {
            // A table looks for a place from the lower bits on, and tells what stands there apart by the upper ones.
            Some(Minted { thread, count, tick }) => {
                let block = mix(tick >> 16 ^ thread << (64 - THREAD_BITS) ^ count >> BLOCK << 32);
                self.of_minted = Some(block >> BLOCK << BLOCK ^ count & ((1 << BLOCK) - 1) ^ count << 57);
            }
            None => self.scattered.write_u128(bytes),
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.of_minted.unwrap_or_else(|| self.scattered.finish())
    }
}

/// So many CIDs of a thread, minted in one millisecond, stand side by side, as a power of two: what fills some lines of the
/// cache.
const BLOCK: u32 = 6;

/// The finalizer of `splitmix64`: every input has an output of its own.
fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread;
    use std::time::{SystemTime, UNIX_EPOCH};

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
    fn a_cid_is_greater_than_all_that_its_thread_can_have_heard_of() {
        let last = Mutex::new(mint());
        thread::scope(|scope| {
            for number in 0..4 {
                let last = &last;
                scope.spawn(move || {
                    for round in 0..50_000 {
                        if number == 0 && round % 10_000 == 5_000 {
                            // As where the clock has gone back by two milliseconds.
                            COUNTED.fetch_max(tick_at(counter::now()) + (2 << 16), Ordering::AcqRel);
                        }
                        let mut last = last.lock().expect("nobody has panicked");
                        let next = mint();
                        assert!(next > *last, "{next} after {last}");
                        *last = next;
                    }
                });
            }
        });
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
        let minted: Vec<_> = (0..4_000).map(|_| mint()).collect();
        let near = minted.windows(2).filter(|pair| place(pair[0]).abs_diff(place(pair[1])) < 64).count();
        assert!(near > 3_500, "{near} of 3,999 stand beside the one before");
        let different: std::collections::HashSet<_> =
            minted.iter().map(|cid| hasher.hash_one(*cid)).collect();
        assert_eq!(different.len(), minted.len());
        // What another process may have minted is scattered.
        let foreign = minted.iter().map(|cid| Uuid::from_u128(cid.as_u128() ^ 1 << 57));
        let foreign: Vec<_> = foreign.map(|uuid| Cid::try_from(uuid).expect("it is one")).collect();
        let near = foreign.windows(2).filter(|pair| place(pair[0]).abs_diff(place(pair[1])) < 64).count();
        assert!(near < 500, "{near} of 3,999 stand beside the one before");
    }
}
