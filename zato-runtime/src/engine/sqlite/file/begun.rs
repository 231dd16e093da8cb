//! Which handlers have really begun, of invocations during which a process has died: `PATH.begun`.
//!
//! The begin of such a handler is recorded in the store before it begins, and the process may be killed between the two.
//! So the attempt is noted in this file too, right before the first poll of its handler, by one write without a sync: what
//! is written survives the death of the process. A recorded begin that is not noted here has not happened, and is no loss.
//!
//! After a crash of the machine the notes may be missing. The file names the boot that it belongs to, and where that is
//! another, or is not known, the store alone decides. The file is made before the first such begin is recorded, so that a
//! process that dies before its first note leaves a file without notes. It is removed when the engine is closed and all is
//! on disk.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use zato_core::Cid;

use super::paths;
use crate::base::lock::lock;
use crate::record::AttemptId;

/// A file that is longer than this many bytes is not read, and made anew.
const MOST: u64 = 16 << 20;

/// The notes of this process and of those before it.
#[derive(Debug)]
pub(in crate::engine::sqlite) struct Begun {
    path: PathBuf,
    /// Names the boot of the machine; none where that is not known.
    boot: Option<String>,
    /// What processes before this one noted; none where nothing is known of them.
    before: Option<HashSet<AttemptId>>,
    /// None before the first begin.
    file: Mutex<Option<File>>,
}

impl Begun {
    /// Reads the notes beside the store at `path`, whose lock this process has.
    pub(in crate::engine::sqlite) fn open(path: &Path) -> Self {
        let (path, boot) = (paths::begun(path), boot());
        let before = boot.as_deref().and_then(|boot| read(&path, boot));
        Self { path, boot, before, file: Mutex::new(None) }
    }

    /// Whether a handler whose begin is recorded has begun, as far as is known.
    pub(in crate::engine::sqlite) fn has(&self, attempt: AttemptId) -> bool {
        self.before.as_ref().is_none_or(|before| before.contains(&attempt))
    }

    /// Makes the file, before the first begin is recorded.
    pub(in crate::engine::sqlite) fn prepare(&self) {
        self.write("");
    }

    /// Notes that a handler begins now. A note that cannot be written is missing: the attempt then is no loss.
    pub(in crate::engine::sqlite) fn note(&self, attempt: AttemptId) {
        let AttemptId { cid, number } = attempt;
        self.write(&format!("{cid} {number}\n"));
    }

    fn write(&self, text: &str) {
        let Some(boot) = &self.boot else { return };
        let mut file = lock(&self.file);
        let opened = match &mut *file {
            Some(file) => Ok(file),
            none => self.create(boot).map(|made| none.insert(made)),
        };
        if let Err(error) = opened.and_then(|file| file.write_all(text.as_bytes())) {
            tracing::debug!(file = %self.path.display(), %error, "the begin of a handler could not be recorded");
        }
    }

    /// Opens the file to write behind what processes of the same boot noted, or makes it anew.
    fn create(&self, boot: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&self.path)?;
        if self.before.is_none() {
            file.set_len(0)?;
            file.write_all(format!("{boot}\n").as_bytes())?;
        }
        Ok(file)
    }

    /// Removes the file: what runs has been recorded as cut off.
    pub(in crate::engine::sqlite) fn close(&self) {
        *lock(&self.file) = None;
        // Where there is none, or it cannot be removed, nothing follows from it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Names the boot of the machine, where the operating system tells.
fn boot() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(boot.trim().to_owned()).filter(|boot| !boot.is_empty())
}

/// The notes of this boot.
fn read(path: &Path, boot: &str) -> Option<HashSet<AttemptId>> {
    if fs::metadata(path).ok()?.len() > MOST {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let mut lines = text.lines();
    let note = |line: &str| {
        let (cid, number) = line.split_once(' ')?;
        Some(AttemptId { cid: cid.parse::<Cid>().ok()?, number: number.parse().ok()? })
    };
    (lines.next() == Some(boot)).then(|| lines.filter_map(note).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sqlite::test_data::nth;

    fn attempt(number: u32) -> AttemptId {
        AttemptId { cid: nth(number.into()), number }
    }

    #[test]
    fn what_was_noted_is_known_to_the_next_process_and_nothing_else_is() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("zato.db");
        let first = Begun::open(&path);
        assert!(first.has(attempt(1)), "there are no notes, so that the store decides");
        first.note(attempt(1));
        first.note(attempt(2));
        // Its process dies.
        let second = Begun::open(&path);
        if boot().is_none() {
            assert!(second.has(attempt(3)));
            return;
        }
        assert_eq!([1, 2, 3].map(|number| second.has(attempt(number))), [true, true, false]);
        second.note(attempt(3));
        let third = Begun::open(&path);
        assert_eq!([1, 2, 3, 4].map(|number| third.has(attempt(number))), [true, true, true, false]);
        third.close();
        assert!(!paths::begun(&path).exists());
    }

    /// The process dies between the first record of a begin and the handler.
    #[test]
    fn a_file_without_notes_says_that_nothing_has_begun() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("zato.db");
        Begun::open(&path).prepare();
        assert_eq!(Begun::open(&path).has(attempt(1)), boot().is_none());
    }

    #[test]
    fn notes_of_another_boot_are_not_trusted() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("zato.db");
        fs::write(paths::begun(&path), format!("another boot\n{} 1\n", nth(1))).expect("it can be written");
        let begun = Begun::open(&path);
        assert!(begun.has(attempt(2)));
        begun.note(attempt(3));
        let next = Begun::open(&path);
        assert_eq!([1, 3].map(|number| next.has(attempt(number))), [boot().is_none(), true]);
    }
}
