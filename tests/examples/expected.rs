//! What the examples are expected to print.

use std::path::{Path, PathBuf};

use crate::program::numbered;

/// Compares with `examples/expected/NAME.txt`, in which every CID stands as `<cid 1>`, `<cid 2>` and so on, in order
/// of appearance.
#[track_caller]
pub(crate) fn assert_expected(name: &str, printed: &str) {
    let path = source("expected").join(name).with_extension("txt");
    let printed = numbered(printed);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &printed).expect("the file can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        printed == expected,
        "the output differs from {}; if that is meant, run with UPDATE_GOLDEN=1.\n\nexpected:\n{expected}\nprinted:\n\
         {printed}",
        path.display()
    );
}

/// A path in the sources of the examples.
pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
