//! A file system of a few bytes, where this user may mount one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// It is unmounted when this is dropped.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    directory: TempDir,
}

impl SmallDisk {
    /// One that holds so many KiB. None where it cannot be mounted and `ZATO_TEST_NO_MOUNT` is set.
    ///
    /// # Panics
    ///
    /// Where it cannot be mounted otherwise: a test that does nothing must not pass in silence.
    pub(crate) fn mount(kib: usize) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"]).arg(directory.path());
        let status = mount.stdout(Stdio::null()).stderr(Stdio::null()).status();
        if status.is_ok_and(|status| status.success()) {
            return Some(Self { directory });
        }
        let may_be_left_out = std::env::var_os("ZATO_TEST_NO_MOUNT").is_some();
        assert!(
            may_be_left_out,
            "this user may not mount a file system: run it as root, or set ZATO_TEST_NO_MOUNT=1 to leave it out"
        );
        eprintln!("LEFT OUT: this user may not mount a file system, and ZATO_TEST_NO_MOUNT is set");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Fills it but for so many KiB.
    pub(crate) fn fill(&self, kib: usize, left: usize) {
        fs::write(self.ballast(), vec![0; (kib - left) << 10]).expect("there is room");
    }

    /// Makes room, if it is full.
    pub(crate) fn clear(&self) {
        // It may have been cleared already.
        let _ = fs::remove_file(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What is left mounted is a few bytes of memory.
        let _ = Command::new("umount").arg(self.path()).status();
    }
}
