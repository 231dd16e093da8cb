//! Mints correlation IDs, and the hash map that is keyed by them.
//!
//! A CID is a UUIDv7 (RFC 9562, method 3): 60 bits of time (48 of milliseconds and 12 of fractions, so a tick is 244 ns)
//! and 62 bits from the operating system's cryptographic random source. Without version and variant it is a number of
//! 122 bits. A thread keeps the last number that it minted, and nothing is shared between threads: only a parent orders
//! a CID after one of another thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::io;

use uuid::Uuid;
use zato_core::{Cid, Moment};

use super::wall_clock;

/// A hash map that is keyed by CIDs.
pub(crate) type CidMap<T> = HashMap<Cid, T, foldhash::fast::RandomState>;

/// The bits below the time.
const RANDOM_BITS: u32 = 62;

/// The bits of all.
const BITS: u32 = 122;

/// The random bits of the distance to the CID before, where the time alone does not order the two. Sixteen such distances
/// fit into a tick on the way from one to the next, so the time in a CID hardly runs ahead of the clock.
const STEP_BITS: u32 = 58;

/// The random numbers that one system call draws.
const DRAWN_AT_ONCE: usize = 32;

/// The minter of one thread.
struct Minter {
    /// The last number that was minted.
    last: u128,
    random: [[u8; 8]; DRAWN_AT_ONCE],
    /// How many of `random` are used up.
    used: usize,
    /// The millisecond in which `random` was drawn. It is used in that millisecond alone, so that the two processes after
    /// a fork do not both use what was drawn before it.
    drawn_in: u64,
}

thread_local! {
    static MINTER: RefCell<Minter> = const {
        RefCell::new(Minter { last: 0, random: [[0; 8]; DRAWN_AT_ONCE], used: DRAWN_AT_ONCE, drawn_in: 0 })
    };
}

/// Returns a new CID, greater than `after` and than every CID that this thread minted before, also when the wall clock
/// steps back or `after` comes from a machine whose clock is ahead.
pub(crate) fn mint(after: Option<Cid>) -> Cid {
    mint_at(wall_clock::now(), after)
}

/// Returns the same as [`mint`], for callers that have just read the time.
#[inline]
pub(crate) fn mint_at(now: Moment, after: Option<Cid>) -> Cid {
    let after = after.map_or(0, number_of);
    compose(MINTER.with_borrow_mut(|minter| minter.next(tick_at(now), after)))
}

/// Draws from the random source once, so that a start without one is refused.
///
/// # Errors
///
/// The system's error.
pub(crate) fn check_random_source() -> io::Result<()> {
    Ok(getrandom::fill(&mut [0; 8])?)
}

impl Minter {
    #[inline]
    fn next(&mut self, tick: u64, after: u128) -> u128 {
        let (floor, random) = (self.last.max(after), self.draw(tick >> 12));
        let fresh = u128::from(tick) << RANDOM_BITS | u128::from(random >> (u64::BITS - RANDOM_BITS));
        let number = if u128::from(tick) > floor >> RANDOM_BITS {
            fresh
        } else {
            floor + 1 + u128::from(random >> (u64::BITS - STEP_BITS))
        };
        // Only a CID that a caller brought from the last ticks of the year 10889 has no successor.
        self.last = if number >> BITS == 0 { number } else { fresh };
        self.last
    }

    /// Returns 64 random bits.
    #[inline]
    fn draw(&mut self, millis: u64) -> u64 {
        if self.drawn_in != millis || self.used == DRAWN_AT_ONCE {
            self.refill(millis);
        }
        let random = self.random[self.used];
        self.used += 1;
        u64::from_ne_bytes(random)
    }

    #[cold]
    fn refill(&mut self, millis: u64) {
        if getrandom::fill(self.random.as_flattened_mut()).is_err() {
            // The source worked at start and has been taken away since, by a seccomp filter for instance. The CIDs of
            // callbacks are needed all the same: these do not collide, but can be guessed.
            let state = foldhash::quality::RandomState::default();
            for (index, random) in self.random.iter_mut().enumerate() {
                *random = state.hash_one((index, millis, self.last)).to_ne_bytes();
            }
        }
        (self.used, self.drawn_in) = (0, millis);
    }
}

/// Milliseconds since 1970 in the upper 48 of 60 bits, and 4,096ths of the next one below.
#[inline]
fn tick_at(now: Moment) -> u64 {
    let millis = now.millis();
    (millis << 12) + ((now.nanos() - millis * 1_000_000) << 12) / 1_000_000
}

#[inline]
fn compose(number: u128) -> Cid {
    const VERSION_7: u128 = 7 << 76;
    const VARIANT: u128 = 2 << 62;
    let bits = (number >> 74) << 80 | VERSION_7 | (number >> 62 & 0xfff) << 64 | VARIANT | number & MASK;
    match Cid::try_from(Uuid::from_u128(bits)) {
        Ok(cid) => cid,
        Err(error) => unreachable!("version and variant are set above: {error}"),
    }
}

/// The 122 bits of a CID without version and variant: the inverse of [`compose`].
#[inline]
fn number_of(cid: Cid) -> u128 {
    let bits = cid.as_u128();
    (bits >> 80) << 74 | (bits >> 64 & 0xfff) << 62 | bits & MASK
}

/// The bits below the time.
const MASK: u128 = (1 << RANDOM_BITS) - 1;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;
    use std::time::SystemTime;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(nanos: u64) -> Moment {
        Moment::from_nanos(nanos)
    }

    fn millis(cid: Cid) -> u128 {
        cid.as_u128() >> 80
    }

    /// Runs on a thread that has minted nothing, as a test run with one thread may share that with others.
    fn on_a_new_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
        thread::spawn(run).join().expect("minting does not panic")
    }

    #[test]
    fn cids_increase_within_a_thread_and_differ_between_threads() {
        let mint_many = || (0..50_000).map(|_| mint(None)).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(mint_many)).collect();
        let mut all = Vec::new();
        for thread in threads {
            let minted = thread.join().expect("minting does not panic");
            assert!(minted.is_sorted_by(|a, b| a < b));
            all.extend(minted);
        }
        let different: HashSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "no CID is minted twice");
    }

    #[test]
    fn a_child_is_greater_than_its_parent_of_another_thread() {
        let mut last = mint(None);
        for round in 0..100 {
            let parent = last;
            // Each thread's clock is behind that of the one before.
            let now = at(1_000 * SECOND - round);
            last = on_a_new_thread(move || mint_at(now, Some(parent)));
            assert!(last > parent, "{last} after {parent}");
        }
    }

    #[test]
    fn cids_increase_when_the_clock_steps_back() {
        let [before, after, later] =
            on_a_new_thread(|| [1_000, 900, 1_100].map(|seconds| mint_at(at(seconds * SECOND), None)));
        assert!(after > before, "{after} after {before}");
        assert_eq!([before, after, later].map(millis), [1_000_000, 1_000_000, 1_100_000]);
    }

    #[test]
    fn a_parent_whose_clock_is_ahead_comes_before_its_child_and_the_next_of_the_thread() {
        let parent: Cid = "0fffffff-ffff-7fff-bfff-fffffffffff0".parse().expect("a CID");
        let (child, next) = on_a_new_thread(move || (mint(Some(parent)), mint(None)));
        assert!(child > parent, "{child} after {parent}");
        assert!(next > child, "{next} after {child}");
    }

    #[test]
    fn a_parent_without_a_successor_does_no_harm() {
        let parent: Cid = "ffffffff-ffff-7fff-bfff-ffffffffffff".parse().expect("a CID");
        let mint_many = |after| (0..100).map(|_| mint(after)).collect::<Vec<_>>();
        let (children, others) = on_a_new_thread(move || (mint_many(Some(parent)), mint_many(None)));
        assert_eq!(children.iter().collect::<HashSet<_>>().len(), 100);
        assert!(others.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn more_than_a_tick_holds_go_on_in_the_next() {
        let mint_many = || (0..1_000).map(|_| mint_at(at(1_000 * SECOND), None)).collect();
        let minted: Vec<_> = on_a_new_thread(mint_many);
        assert!(minted.is_sorted_by(|a, b| a < b));
        assert!(minted.iter().all(|cid| millis(*cid) == 1_000_000), "a thousand fit into a millisecond");
    }

    /// Each bit below the time is set in about half of all CIDs, whether time or distance orders them, and independently of the
    /// CID before: 4,000 flips of a coin are outside 1,600..2,400 once in 10^36.
    #[test]
    fn the_bits_below_the_time_are_random() {
        let mint_at = |seconds| number_of(mint_at(at(seconds * SECOND), None));
        let fresh: Vec<_> = on_a_new_thread(move || (1_000..5_001).map(mint_at).collect());
        let same_tick: Vec<_> = on_a_new_thread(move || (0..4_001).map(|_| mint_at(1)).collect());
        let distances: Vec<_> = same_tick.windows(2).map(|pair| pair[1] - pair[0] - 1).collect();
        let changes: Vec<_> = fresh.windows(2).map(|pair| pair[0] ^ pair[1]).collect();
        for (numbers, bits) in [(&fresh[1..], RANDOM_BITS), (&changes, RANDOM_BITS), (&distances, STEP_BITS)]
        {
            for bit in 0..bits {
                let set = numbers.iter().filter(|number| *number >> bit & 1 == 1).count();
                assert!((1_600..2_400).contains(&set), "bit {bit} is set in {set} of 4,000");
            }
            assert_eq!(numbers.iter().map(|n| n & MASK).collect::<HashSet<_>>().len(), numbers.len());
        }
    }

    #[test]
    fn random_numbers_are_used_in_the_millisecond_in_which_they_were_drawn() {
        let mut before_fork =
            Minter { last: 0, random: [[0; 8]; DRAWN_AT_ONCE], used: DRAWN_AT_ONCE, drawn_in: 0 };
        before_fork.draw(1);
        let Minter { last, random, used, drawn_in } = before_fork;
        let mut child = Minter { last, random, used, drawn_in };
        let draw = |minter: &mut Minter| (0..100).map(|_| minter.draw(2)).collect::<HashSet<_>>();
        assert!(draw(&mut before_fork).is_disjoint(&draw(&mut child)));
    }

    #[test]
    fn a_cid_begins_with_the_time() {
        let before = Moment::from(SystemTime::now()).millis();
        let minted = u64::try_from(millis(on_a_new_thread(|| mint(None)))).expect("48 bits");
        let after = Moment::from(SystemTime::now()).millis();
        // The clock of this thread may be a millisecond behind one that is set.
        assert!((before - 1..=after + 1).contains(&minted), "{before} <= {minted} <= {after}");
    }

    #[test]
    fn the_number_of_a_cid_is_what_it_was_composed_of() {
        for number in [0, 1, MASK, MASK + 1, (1 << 74) - 1, 1 << 74, (1 << BITS) - 1] {
            assert_eq!(number_of(compose(number)), number);
        }
    }
}
