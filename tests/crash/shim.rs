//! The layer between a child and its files: `shim.c`, built once, and what is said to it and read from it.

use std::env;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::sync::OnceLock;

use tempfile::TempDir;

/// The library. It is built when it is first asked for, and gone with this process's temporary files.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // Named by what it is made of: it is built once for this source, and processes may race for it.
        let source = include_bytes!("shim.c");
        let sum =
            source.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(0x0100_0000_01b3) ^ u64::from(*byte));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let library = directory.join(format!("shim-{sum:016x}.so"));
        if !library.exists() {
            let unfinished = TempDir::new_in(directory).expect("a temporary directory");
            let built = unfinished.path().join("shim.so");
            let compiled = Command::new("cc")
                .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
                .arg(&built)
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("crash/shim.c"))
                .args(["-ldl", "-lpthread"])
                .output()
                .expect("`cc` is installed: SQLite is built with it");
            assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
            std::fs::rename(built, &library).expect("the library can be moved");
        }
        library
    })
}

/// A kind of call; the order is that of `shim.c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All of them but `Unlock`, counted together.
    Any,
    Open,
    Close,
    Read,
    Write,
    Seek,
    Truncate,
    Sync,
    /// Of the directory.
    DirectorySync,
    /// And `rename`.
    Unlink,
    /// And `access`.
    Stat,
    Lock,
    /// What SQLite cannot give back stays taken for it, until its process has no connection to the file any more.
    Unlock,
    Map,
    /// Of the mode or the owner.
    Change,
}

impl Kind {
    /// All, in their order.
    pub(crate) const ALL: [Self; 15] = [
        Self::Any,
        Self::Open,
        Self::Close,
        Self::Read,
        Self::Write,
        Self::Seek,
        Self::Truncate,
        Self::Sync,
        Self::DirectorySync,
        Self::Unlink,
        Self::Stat,
        Self::Lock,
        Self::Unlock,
        Self::Map,
        Self::Change,
    ];
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = |kind: &Self| format!("{kind:?}") == name;
        Self::ALL.into_iter().find(named).ok_or_else(|| format!("no kind of call is called {name}"))
    }
}

/// Calls that fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// From which call of the kind on, counted from 1.
    pub(crate) first: u64,
    /// How many of them.
    pub(crate) calls: u64,
    /// The number of the operating system's error.
    pub(crate) error: u64,
    /// Whether what cannot be written is written by half.
    pub(crate) is_torn: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, first, calls, error, is_torn } = self;
        write!(f, "{kind:?} {first} {calls} {error} {is_torn}")
    }
}

impl FromStr for Fault {
    type Err = String;

    /// Reads what was displayed.
    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<_> = text.split(' ').collect();
        let [kind, first, calls, error, is_torn] = words[..] else {
            return Err(format!("`{text}` is no fault: `Sync 3 1 5 false` is one"));
        };
        let number = |word: &str| word.parse().map_err(|_| format!("`{word}` is no number"));
        Ok(Self {
            kind: kind.parse()?,
            first: number(first)?,
            calls: number(calls)?,
            error: number(error)?,
            is_torn: is_torn == "true",
        })
    }
}

/// Input or output failed.
pub(crate) const EIO: u64 = 5;
/// The disk is full.
pub(crate) const ENOSPC: u64 = 28;
/// Too many files are open.
pub(crate) const EMFILE: u64 = 24;
/// There is no memory.
pub(crate) const ENOMEM: u64 = 12;
/// For ever.
pub(crate) const EVER: u64 = u64::MAX;

/// The words of `struct control`.
mod word {
    pub(super) const KIND: u64 = 0;
    pub(super) const FIRST: u64 = 1;
    pub(super) const CALLS: u64 = 2;
    pub(super) const ERROR: u64 = 3;
    pub(super) const TORN: u64 = 4;
    pub(super) const LIMITED: u64 = 5;
    pub(super) const ROOM: u64 = 6;
    pub(super) const HITS: u64 = 7;
    pub(super) const HIT: u64 = 8;
    pub(super) const COUNTS: u64 = 9;
    pub(super) const FEW_THREADS: u64 = COUNTS + super::Kind::ALL.len() as u64;
    pub(super) const THREADS: u64 = FEW_THREADS + 1;
    pub(super) const PATIENT: u64 = THREADS + 1;
}

/// What a child's files do, from outside: it holds for one process at a time, and can be changed while that runs.
#[derive(Debug)]
pub(crate) struct Shim {
    /// Where its file is, for who made that.
    _directory: Option<TempDir>,
    path: PathBuf,
    words: File,
}

impl Shim {
    /// Nothing fails, and there is room.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("control");
        let words = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let words = words.expect("a file can be made");
        words.set_len(4096).expect("it can be made longer");
        Self { _directory: Some(directory), path, words }
    }

    /// The layer of the process that asks.
    pub(crate) fn of_this_process() -> Self {
        let path = PathBuf::from(env::var_os("SHIM_CONTROL").expect("the layer is there"));
        let words = OpenOptions::new().read(true).write(true).open(&path).expect("its file can be opened");
        Self { _directory: None, path, words }
    }

    /// Has the command's process use the layer for what is in `directory`, and append to `record` what is written and
    /// synced there; what is written to its standard input, its journal, stands between, as receipts.
    pub(crate) fn watch(&self, command: &mut Command, directory: &Path, record: &Path) {
        let directory = directory.canonicalize().expect("the directory is there");
        command.env("LD_PRELOAD", library()).env("SHIM_DIRECTORY", directory);
        command.env("SHIM_CONTROL", &self.path).env("SHIM_RECORD", record).env("SHIM_RECEIPTS", "0");
    }

    /// Has these calls fail from now on.
    pub(crate) fn fail(&self, fault: Fault) {
        self.write(word::KIND, fault.kind as u64);
        self.write(word::CALLS, fault.calls);
        self.write(word::ERROR, fault.error);
        self.write(word::TORN, u64::from(fault.is_torn));
        self.write(word::FIRST, fault.first);
    }

    /// Leaves so many threads to the process, or any number.
    pub(crate) fn limit_threads(&self, threads: Option<u64>) {
        self.write(word::THREADS, threads.unwrap_or_default());
        self.write(word::FEW_THREADS, u64::from(threads.is_some()));
    }

    /// SQLite waits for locks as long as it asks for, also once an unlock has failed.
    pub(crate) fn wait_as_long_as_asked(&self) {
        self.write(word::PATIENT, 1);
    }

    /// Nothing fails any more.
    pub(crate) fn mend(&self) {
        self.write(word::FIRST, 0);
        self.write(word::LIMITED, 0);
    }

    /// Leaves room for so many bytes on the disk.
    pub(crate) fn limit(&self, room: u64) {
        self.write(word::ROOM, room);
        self.write(word::LIMITED, 1);
    }

    /// How many calls of a kind have been made.
    pub(crate) fn count(&self, kind: Kind) -> u64 {
        self.read(word::COUNTS + kind as u64)
    }

    /// How many calls have failed.
    pub(crate) fn hits(&self) -> u64 {
        self.read(word::HITS)
    }

    /// What kind the last one was that has failed.
    pub(crate) fn hit(&self) -> Option<Kind> {
        let place = usize::try_from(self.read(word::HIT)).unwrap_or_default();
        Kind::ALL.get(place).copied().filter(|kind| *kind != Kind::Any)
    }

    fn write(&self, word: u64, value: u64) {
        self.words.write_all_at(&value.to_ne_bytes(), word * 8).expect("it can be written");
    }

    fn read(&self, word: u64) -> u64 {
        let mut bytes = [0; 8];
        self.words.read_exact_at(&mut bytes, word * 8).expect("it can be read");
        u64::from_ne_bytes(bytes)
    }
}
