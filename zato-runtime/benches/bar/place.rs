//! Where things stand.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate stands in the workspace")
}

/// The folder of plots and results.
pub(crate) fn benchmarks() -> PathBuf {
    root().join("benchmarks")
}

pub(crate) fn results() -> PathBuf {
    benchmarks().join("results.json")
}

/// For what is built and written on the way; on the disk that is measured.
pub(crate) fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// An empty directory on the disk that is measured, which goes when it is dropped.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(scratch()).expect("a temporary directory")
}
