//! A disk that loses power: what of a child's record is there afterwards.
//!
//! What was synced is there. Of what was not, each sector holds one of the contents that it has had since, whatever
//! the others hold, and so do a file's size and a directory's names. A sync that failed has lost what it was to sync,
//! also if a later one succeeds, as on Linux.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use crate::chance::Chance;
use crate::record::Step;

/// What a directory holds: bytes by name.
pub(crate) type Directory = BTreeMap<String, Vec<u8>>;

/// What stands in a directory of files, without indexes of logs: SQLite makes them anew.
pub(crate) fn read(directory: &Path) -> Directory {
    let entries = fs::read_dir(directory).expect("the directory can be read");
    let files = entries.map(|entry| {
        let entry = entry.expect("an entry can be read");
        let name = entry.file_name().into_string().expect("a name is text");
        (name, fs::read(entry.path()).expect("a file can be read"))
    });
    files.filter(|(name, _)| is_kept(name)).collect()
}

/// Writes it into a directory that is empty.
pub(crate) fn write(held: &Directory, directory: &Path) {
    for (name, bytes) in held {
        fs::write(directory.join(name), bytes).expect("a file can be written");
    }
}

fn is_kept(name: &str) -> bool {
    !name.ends_with("-shm")
}

/// Whether syncs do what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syncs {
    Work,
    /// They say that they did, and did nothing: the cache of a bad disk.
    Lie,
}

/// How much of what was not synced is there.
#[derive(Debug, Clone, Copy)]
enum Kept {
    Nothing,
    All,
    /// Some of it, in sectors of so many bytes.
    Some(usize),
}

#[derive(Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Resize(usize),
}

#[derive(Debug, Default)]
struct File {
    synced: Vec<u8>,
    /// What was done since, with the number of the step.
    changes: Vec<(usize, Change)>,
}

#[derive(Debug)]
enum NameChange {
    Set(String, usize),
    Unset(String),
    Rename(String, String),
}

/// A disk while it has power.
#[derive(Debug)]
pub(crate) struct Disk {
    syncs: Syncs,
    chance: Chance,
    /// All that there ever were.
    files: Vec<File>,
    /// The index in `files` of each file of the child that runs, by its number.
    open: HashMap<u32, usize>,
    /// What a child sees: the index in `files` by name.
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    /// What was done to the names since, with the number of the step.
    name_changes: Vec<(usize, NameChange)>,
    /// When each sync under way has begun: the number of the step.
    begun: HashMap<u64, usize>,
}

impl Disk {
    /// One that holds this, synced.
    pub(crate) fn new(held: &Directory, syncs: Syncs, chance: Chance) -> Self {
        let files = held.values().map(|bytes| File { synced: bytes.clone(), changes: Vec::new() });
        let names: BTreeMap<_, _> = held.keys().cloned().zip(0..).collect();
        Self {
            syncs,
            chance,
            files: files.collect(),
            open: HashMap::new(),
            names: names.clone(),
            synced_names: names,
            name_changes: Vec::new(),
            begun: HashMap::new(),
        }
    }

    /// Does what children did, one after the other.
    pub(crate) fn play(&mut self, steps: &[Step]) {
        for (number, step) in steps.iter().enumerate() {
            self.step(number, step);
        }
    }

    fn step(&mut self, number: usize, step: &Step) {
        match step {
            Step::Begun => {
                self.open.clear();
                self.begun.clear();
            }
            Step::Opened { file, name } => {
                // An index of a log is not kept: it may be none of what is held.
                let held = self.names.get(name).copied().unwrap_or_else(|| self.add());
                self.open.insert(*file, held);
            }
            Step::Created { file, name } => {
                let made = self.add();
                self.open.insert(*file, made);
                self.name(number, NameChange::Set(name.clone(), made));
            }
            Step::Written { file, at, bytes } => {
                self.file(*file).changes.push((number, Change::Write { at: *at, bytes: bytes.clone() }));
            }
            Step::Resized { file, to } => self.file(*file).changes.push((number, Change::Resize(*to))),
            Step::Removed { name } => self.name(number, NameChange::Unset(name.clone())),
            Step::Renamed { from, to } => self.name(number, NameChange::Rename(from.clone(), to.clone())),
            Step::Syncing { sync, .. } => {
                self.begun.insert(*sync, number);
            }
            Step::Synced { file, sync } => self.ended(*file, *sync, Kept::All),
            Step::Unsynced { file, sync } => self.ended(*file, *sync, Kept::Some(4096)),
            Step::Receipt { .. } => {}
        }
    }

    fn add(&mut self) -> usize {
        self.files.push(File::default());
        self.files.len() - 1
    }

    fn name(&mut self, number: usize, change: NameChange) {
        rename(&mut self.names, &change);
        self.name_changes.push((number, change));
    }

    fn file(&mut self, file: u32) -> &mut File {
        &mut self.files[self.open[&file]]
    }

    /// A sync is over: of what was done before it began so much is on the disk, and the rest is lost.
    fn ended(&mut self, file: u32, sync: u64, kept: Kept) {
        let begun = self.begun.remove(&sync).expect("a sync begins before it ends");
        if self.syncs == Syncs::Lie {
            return;
        }
        if file == 0 {
            // The names of a directory whose sync failed are tried again by the next one.
            if matches!(kept, Kept::All) {
                let count = self.name_changes.partition_point(|(number, _)| *number < begun);
                let changes = self.name_changes.drain(..count);
                changes.for_each(|(_, change)| rename(&mut self.synced_names, &change));
            }
            return;
        }
        let file = &mut self.files[self.open[&file]];
        let count = file.changes.partition_point(|(number, _)| *number < begun);
        let changes: Vec<_> = file.changes.drain(..count).map(|(_, change)| change).collect();
        settle(&mut file.synced, &changes, kept, &mut self.chance);
    }

    /// The power is gone: what is there when it is back.
    pub(crate) fn lose_power(mut self) -> Directory {
        let kept = match self.chance.below(4) {
            0 => Kept::Nothing,
            1 => Kept::All,
            2 => Kept::Some(512),
            _ => Kept::Some(4096),
        };
        self.holds(kept)
    }

    /// What is there as long as it has power.
    pub(crate) fn keep_power(self) -> Directory {
        self.holds(Kept::All)
    }

    fn holds(mut self, kept: Kept) -> Directory {
        let held =
            self.names_after(kept).into_iter().filter(|(name, _)| is_kept(name)).map(|(name, file)| {
                let File { synced: mut bytes, changes } = std::mem::take(&mut self.files[file]);
                let changes: Vec<_> = changes.into_iter().map(|(_, change)| change).collect();
                settle(&mut bytes, &changes, kept, &mut self.chance);
                (name, bytes)
            });
        held.collect()
    }

    /// Each name stands as it did at some time since the directory was synced.
    fn names_after(&mut self, kept: Kept) -> BTreeMap<String, usize> {
        let mut names = self.synced_names.clone();
        let count = self.name_changes.len();
        let together = match kept {
            Kept::Nothing => Some(0),
            Kept::All => Some(count),
            // A name that becomes another ties the two.
            Kept::Some(_) => {
                let ties = |(_, change): &(usize, NameChange)| matches!(change, NameChange::Rename(..));
                self.name_changes.iter().any(ties).then(|| self.chance.index(count + 1))
            }
        };
        let mut until = HashMap::new();
        for (index, (_, change)) in self.name_changes.iter().enumerate() {
            let (NameChange::Set(name, _) | NameChange::Unset(name) | NameChange::Rename(name, _)) = change;
            let own = until.entry(name).or_insert_with(|| self.chance.index(count + 1));
            if index < together.unwrap_or(*own) {
                rename(&mut names, change);
            }
        }
        names
    }
}

fn rename(names: &mut BTreeMap<String, usize>, change: &NameChange) {
    match change {
        NameChange::Set(name, file) => {
            names.insert(name.clone(), *file);
        }
        NameChange::Unset(name) => {
            names.remove(name);
        }
        NameChange::Rename(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
    }
}

/// Makes so much of the changes.
fn settle(bytes: &mut Vec<u8>, changes: &[Change], kept: Kept, chance: &mut Chance) {
    let count = changes.len();
    let (sector, mut until): (usize, Box<dyn FnMut() -> usize>) = match kept {
        Kept::Nothing => (4096, Box::new(|| 0)),
        Kept::All => (4096, Box::new(|| count)),
        Kept::Some(sector) => (sector, Box::new(|| chance.index(count + 1))),
    };
    let sized_until = until();
    let mut size = bytes.len();
    let mut until_of = HashMap::new();
    for (index, change) in changes.iter().enumerate() {
        match change {
            Change::Resize(to) if index < sized_until => {
                bytes.truncate(*to);
                size = *to;
            }
            Change::Resize(_) => {}
            Change::Write { at, bytes: written } => {
                let end = at + written.len();
                if index < sized_until {
                    size = size.max(end);
                }
                let mut from = *at;
                while from < end {
                    let number = from / sector;
                    let to = end.min((number + 1) * sector);
                    if index < *until_of.entry(number).or_insert_with(&mut until) {
                        bytes.resize(bytes.len().max(to), 0);
                        bytes[from..to].copy_from_slice(&written[from - at..to - at]);
                    }
                    from = to;
                }
            }
        }
    }
    bytes.resize(size, 0);
}
