//! The one place where correlation IDs are minted.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use uuid::Uuid;
use zato_core::{Cid, Moment};

/// The last tick handed out: milliseconds since the Unix epoch in the upper 48 bits, a counter within the
/// millisecond in the lower 16. Written by [`mint`] alone.
static LAST: AtomicU64 = AtomicU64::new(0);

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
}
