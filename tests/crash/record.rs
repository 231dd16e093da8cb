//! What a child has written and synced, in order: what `shim.c` has written down.

use std::fs;
use std::path::Path;

/// Bytes before what a step carries: what it is, the file's number, `at` and the length.
const HEAD: usize = 24;

/// One step of a child, or of several that have followed each other. A file is known by a number of its own, also where
/// a name has had two of them; the next child counts anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A child has begun.
    Begun,
    /// A file that was there before the child was opened.
    Opened {
        file: u32,
        name: String,
    },
    /// It was made.
    Created {
        file: u32,
        name: String,
    },
    Written {
        file: u32,
        at: usize,
        bytes: Vec<u8>,
    },
    Resized {
        file: u32,
        to: usize,
    },
    /// A sync has begun, and is known by this number; file 0 is the directory.
    Syncing {
        file: u32,
        sync: u64,
    },
    /// It ended well.
    Synced {
        file: u32,
        sync: u64,
    },
    /// It failed.
    Unsynced {
        file: u32,
        sync: u64,
    },
    Removed {
        name: String,
    },
    Renamed {
        from: String,
        to: String,
    },
    /// The child has told somebody.
    Receipt {
        bytes: Vec<u8>,
    },
}

/// All steps that stand in the file; the last may be cut off, where the child was killed.
pub(crate) fn read(path: &Path) -> Vec<Step> {
    let bytes = fs::read(path).expect("the record can be read");
    let mut rest = bytes.as_slice();
    let mut steps = Vec::new();
    while let Some((step, after)) = first(rest) {
        steps.push(step);
        rest = after;
    }
    steps
}

/// What was told in the first steps, one text.
pub(crate) fn told(steps: &[Step]) -> String {
    let bytes = steps.iter().filter_map(|step| match step {
        Step::Receipt { bytes } => Some(bytes.as_slice()),
        _ => None,
    });
    String::from_utf8(bytes.collect::<Vec<_>>().concat()).expect("receipts are text")
}

fn first(bytes: &[u8]) -> Option<(Step, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let four = |from: usize| head[from..from + 4].try_into().map(u32::from_ne_bytes).expect("four bytes");
    let eight = |from: usize| head[from..from + 8].try_into().map(u64::from_ne_bytes).expect("eight bytes");
    let (what, file, at) = (four(0), four(4), eight(8));
    let (bytes, rest) = rest.split_at_checked(size(eight(16)))?;
    let bytes = bytes.to_vec();
    let step = match what {
        1 => Step::Opened { file, name: text(bytes) },
        2 => Step::Created { file, name: text(bytes) },
        3 => Step::Written { file, at: size(at), bytes },
        4 => Step::Resized { file, to: size(at) },
        5 => Step::Syncing { file, sync: at },
        6 => Step::Synced { file, sync: at },
        7 => Step::Unsynced { file, sync: at },
        8 => Step::Removed { name: text(bytes) },
        9 => {
            let names = text(bytes);
            let (from, to) = names.split_once('\0').expect("two names");
            Step::Renamed { from: from.to_owned(), to: to.to_owned() }
        }
        10 => Step::Receipt { bytes },
        11 => Step::Begun,
        other => panic!("`shim.c` has written down {other}, which is no step"),
    };
    Some((step, rest))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("a name is text")
}

fn size(number: u64) -> usize {
    usize::try_from(number).expect("what is in memory has a size")
}
