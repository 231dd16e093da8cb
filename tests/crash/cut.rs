//! Where the power is lost in what a child has done, and what is there afterwards.

use crate::chance::Chance;
use crate::disk::{Directory, Disk, Syncs};
use crate::record::{self, Step};

/// What a child has done to a directory.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) before: Directory,
    pub(crate) steps: Vec<Step>,
}

/// What keeps the numbers of cuts apart from others.
pub(crate) const OF_CUTS: u64 = 1 << 43;

/// What keeps the numbers of a disk apart from others.
const OF_DISKS: u64 = 1 << 42;

/// A point at which the power is lost, and what decides what is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    /// So many steps have been made.
    pub(crate) steps: usize,
    pub(crate) seed: u64,
}

impl Recorded {
    /// Half of the cuts stand anywhere, half just before or after a child has told something or synced something. Where
    /// a sync has failed, all stand after it.
    pub(crate) fn cuts(&self, chance: &mut Chance, count: u64) -> Vec<Cut> {
        let failed = self.steps.iter().position(|step| matches!(step, Step::Unsynced { .. })).unwrap_or(0);
        let after = self.steps.iter().enumerate().skip(failed);
        let marked = |(_, step): &(usize, &Step)| matches!(step, Step::Receipt { .. } | Step::Synced { .. });
        let marks: Vec<usize> = after.filter(marked).map(|(index, _)| index).collect();
        let cuts = (0..count).map(|index| {
            let anywhere = index % 2 == 0 || marks.is_empty();
            let steps = if anywhere {
                failed + chance.index(self.steps.len() + 1 - failed)
            } else {
                marks[chance.index(marks.len())] + chance.index(2)
            };
            Cut { steps, seed: chance.next() }
        });
        cuts.collect()
    }

    /// What the steps come to, if all of them are made: what the directory really holds.
    pub(crate) fn whole(&self) -> Directory {
        let mut disk = Disk::new(&self.before, Syncs::Lie, Chance::new(0, OF_DISKS));
        disk.play(&self.steps);
        disk.keep_power()
    }

    /// What is there after it, and what had been told.
    pub(crate) fn lost(&self, cut: Cut, syncs: Syncs) -> (Directory, String) {
        let done = &self.steps[..cut.steps];
        let mut disk = Disk::new(&self.before, syncs, Chance::new(cut.seed, OF_DISKS));
        disk.play(done);
        (disk.lose_power(), record::told(done))
    }
}
