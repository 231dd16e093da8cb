//! A program of `examples/` as a process: how it is run, and what it prints.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

/// What a program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program; what it reads from standard input is empty.
pub(crate) fn run(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
    run_on(program, arguments, "")
}

/// Runs a program on this standard input. What it invokes is held in memory.
pub(crate) fn run_on(
    program: &str,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    stdin: impl AsRef<[u8]>,
) -> Ran {
    let mut child = command(program)
        .args(arguments)
        .env("ZATO_ENGINE", "memory:")
        .spawn()
        .expect("cargo has built the program");
    // A program that does not read its input closes it, which is its right.
    let _ = child.stdin.take().expect("it was piped").write_all(stdin.as_ref());
    ran(child)
}

/// A program that can be talked to. What the environment says of Zato does not reach it.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .env_remove("ZATO_ENGINE")
        .env_remove("ZATO_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a program comes to.
pub(crate) fn ran(child: Child) -> Ran {
    let output = child.wait_with_output().expect("the program ends");
    let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The text with its CIDs replaced by their numbers.
pub(crate) fn numbered(text: &str) -> String {
    let (mut out, mut seen, mut rest) = (String::new(), HashMap::new(), text);
    while let Some(first) = rest.chars().next() {
        let (taken, left) = match rest.split_at_checked(36).filter(|(head, _)| is_cid(head)) {
            Some((cid, left)) => {
                let next = seen.len() + 1;
                let _ = write!(out, "<cid {}>", seen.entry(cid).or_insert(next));
                ("", left)
            }
            None => rest.split_at(first.len_utf8()),
        };
        out.push_str(taken);
        rest = left;
    }
    out
}

pub(crate) fn is_cid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            14 => byte == b'7',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// A new directory, which goes when it is dropped.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory can be made")
}
