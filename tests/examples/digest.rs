//! `digest`: what it writes, `sha256sum --check` accepts.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::program::{Ran, directory, run};

const DIGEST: &str = env!("CARGO_BIN_EXE_digest");

/// Names that a manifest could break at.
const ODD_NAMES: [&[u8]; 14] = [
    b"plain",
    b"with space",
    b" space first",
    b"*star first",
    b"-rf",
    b"back\\slash",
    b"back\\nslash",
    b"line\nfeed",
    b"line feed at the end\n",
    b"carriage\rreturn",
    b"carriage return at the end\r",
    b"\\",
    "Zażółć gęślą jaźń".as_bytes(),
    b"not UTF-8 \xff\xfe",
];

fn digest(dir: &Path, manifest: &Path) -> Ran {
    run(DIGEST, [dir, manifest])
}

/// Whether `sha256sum` finds everything in the manifest right, and how many lines that is.
fn check(manifest: &Path) -> (bool, usize) {
    let output = Command::new("sha256sum").args(["--check", "--strict"]).arg(manifest).output();
    let output = output.expect("sha256sum is installed");
    let right = output.stdout.split(|byte| *byte == b'\n').filter(|line| line.ends_with(b": OK")).count();
    (output.status.success(), right)
}

/// A tree with odd names, an empty file, deep directories and one larger file; answers how many files there are.
fn tree(dir: &Path) -> usize {
    let write = |path: &Path, content: &[u8]| fs::write(path, content).expect("the file can be written");
    for name in ODD_NAMES {
        write(&dir.join(OsStr::from_bytes(name)), name);
    }
    let deep = dir.join("a/b\nc/d");
    fs::create_dir_all(&deep).expect("the directories can be made");
    write(&deep.join("empty"), b"");
    // Neither a whole number of chunks nor less than one.
    write(&deep.join("large"), &b"0123456789".repeat(100_001));
    symlink("plain", dir.join("link to a file")).expect("a link can be made");
    symlink(".", dir.join("link to a directory")).expect("a link can be made");
    ODD_NAMES.len() + 3
}

fn counted(hashed: usize, unreadable: usize) -> String {
    format!("hashed: {hashed}, unreadable: {unreadable}; check with: sha256sum --check ")
}

#[test]
fn sha256sum_accepts_the_manifest() {
    let (dir, elsewhere) = (directory(), directory());
    let files = tree(dir.path());
    let manifest = elsewhere.path().join("SHA256SUMS");
    let ran = digest(dir.path(), &manifest);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    assert!(ran.stdout.starts_with(&counted(files, 0)), "{}", ran.stdout);
    assert_eq!(check(&manifest), (true, files));
}

#[test]
fn the_lines_are_those_of_sha256sum() {
    let (dir, elsewhere) = (directory(), directory());
    tree(dir.path());
    let manifest = elsewhere.path().join("SHA256SUMS");
    digest(dir.path(), &manifest);
    let sums =
        Command::new("find").arg(dir.path()).args(["-xtype", "f", "-exec", "sha256sum", "{}", "+"]).output();
    let sorted = |bytes: Vec<u8>| {
        let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.sort();
        lines
    };
    let manifest = fs::read(manifest).expect("the manifest is there");
    assert!(sorted(manifest) == sorted(sums.expect("find is installed").stdout));
}

#[test]
fn what_cannot_be_read_is_counted_and_the_rest_is_hashed() {
    let (dir, elsewhere) = (directory(), directory());
    let files = tree(dir.path());
    symlink("nowhere", dir.path().join("dangling")).expect("a link can be made");
    symlink("circle", dir.path().join("circle")).expect("a link can be made");
    // Nobody writes to it: a program that opens it waits for ever.
    let pipe = Command::new("mkfifo").arg(dir.path().join("pipe")).status();
    assert!(pipe.expect("mkfifo is installed").success());
    let manifest = elsewhere.path().join("SHA256SUMS");
    let ran = digest(dir.path(), &manifest);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.starts_with(&counted(files, 3)), "{}", ran.stdout);
    for (name, reason) in
        [("dangling", "No such file"), ("circle", "Too many levels"), ("pipe", "not a regular file")]
    {
        let told = ran.stderr.lines().any(|line| line.contains(&format!("/{name}: {reason}")));
        assert!(told, "nothing is said of `{name}`: {}", ran.stderr);
    }
    assert_eq!(check(&manifest), (true, files));
}

#[test]
fn a_manifest_inside_the_directory_is_not_in_itself() {
    let dir = directory();
    let files = tree(dir.path());
    let manifest = dir.path().join("a/SHA256SUMS");
    // The second time it is there before the walk begins.
    for _ in 0..2 {
        // Neither is what stands before it in the path.
        let ran = digest(&dir.path().join("a/.."), &manifest);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
        assert_eq!(check(&manifest), (true, files));
    }
}

#[test]
fn more_files_than_may_wait_hold_the_walk_back_and_all_are_hashed() {
    let (dir, elsewhere) = (directory(), directory());
    for number in 0..5_000 {
        fs::write(dir.path().join(number.to_string()), number.to_string()).expect("the file can be written");
    }
    let manifest = elsewhere.path().join("SHA256SUMS");
    let ran = digest(dir.path(), &manifest);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    assert_eq!(check(&manifest), (true, 5_000));
}

#[test]
fn a_directory_that_is_not_there_is_named_and_nothing_is_written() {
    let dir = directory();
    let manifest = dir.path().join("SHA256SUMS");
    let ran = digest(&dir.path().join("nowhere"), &manifest);
    assert!(ran.stderr.contains("nowhere`: No such file"), "{}", ran.stderr);
    assert_eq!(ran.code, Some(1));
    assert!(!manifest.exists());
}
