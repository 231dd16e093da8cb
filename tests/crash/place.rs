//! Where a child works: a directory for its file, and beside it what is written down of it.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::disk::{self, Directory};
use crate::process::command;
use crate::record::{self, Step};
use crate::shim::Shim;

/// The name of the file, and that of what stands beside it.
const NAME: &str = "zato.db";

/// Directories that are gone when this is.
#[derive(Debug)]
pub(crate) struct Place {
    directory: TempDir,
    beside: TempDir,
}

impl Place {
    /// Empty ones.
    pub(crate) fn new() -> Self {
        Self::new_in(&std::env::temp_dir())
    }

    /// Empty ones; that for the file is made in `directory`.
    pub(crate) fn new_in(directory: &Path) -> Self {
        let directory = TempDir::new_in(directory).expect("a temporary directory");
        Self { directory, beside: TempDir::new().expect("a temporary directory") }
    }

    /// One that holds this, after that has been told.
    pub(crate) fn with(held: &Directory, told: &str) -> Self {
        let place = Self::new();
        disk::write(held, place.directory.path());
        std::fs::write(place.journal(), told).expect("the journal can be written");
        place
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join(NAME)
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.beside.path().join("journal")
    }

    /// This binary in a role; what it tells comes into the journal.
    pub(crate) fn command(&self, role: &str) -> Command {
        let command = command(role, &self.file(), &self.said());
        let mut command = command.expect("a command can be made");
        command.stdout(Stdio::null()).stdin(self.open_journal().expect("the journal can be opened"));
        command
    }

    fn open_journal(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(self.journal())
    }

    /// Has its files pass through the layer, and what is done to them recorded.
    pub(crate) fn watch(&self, shim: &Shim, command: &mut Command) {
        shim.watch(command, self.directory.path(), &self.record());
    }

    fn record(&self) -> PathBuf {
        self.beside.path().join("record")
    }

    /// What its directory holds.
    pub(crate) fn held(&self) -> Directory {
        disk::read(self.directory.path())
    }

    /// What was recorded.
    pub(crate) fn steps(&self) -> Vec<Step> {
        record::read(&self.record())
    }

    /// What has been told.
    pub(crate) fn told(&self) -> String {
        std::fs::read_to_string(self.journal()).expect("the journal can be read")
    }

    /// What the processes have said on their standard error.
    pub(crate) fn errors(&self) -> String {
        std::fs::read_to_string(self.said()).unwrap_or_default()
    }

    pub(crate) fn said(&self) -> PathBuf {
        self.beside.path().join("said")
    }

    /// Keeps the files, and answers where they are.
    pub(crate) fn keep(&mut self) -> [&Path; 2] {
        self.directory.disable_cleanup(true);
        self.beside.disable_cleanup(true);
        [self.directory.path(), self.beside.path()]
    }
}
