//! A program that is asked to stop.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use crate::two_crates::PROGRAM;

/// A run that has taken one line and waits for the next.
fn waiting() -> Child {
    let mut child = Command::new(PROGRAM)
        .env("ZATO_ENGINE", "memory:")
        .args(["run", "zato.helpers.input-logger"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cargo has built the program");
    child.stdin.as_mut().expect("it was piped").write_all(b"hi\n").expect("the program reads");
    let mut logged = String::new();
    let stderr = child.stderr.as_mut().expect("it was piped");
    BufReader::new(stderr).read_line(&mut logged).expect("the program logs");
    assert!(logged.contains("payload=hi"), "{logged}");
    child
}

#[test]
fn a_run_that_waits_for_lines_ends_with_its_summary() {
    let mut child = waiting();
    // The input stays open: only the signal can end the run.
    let input = child.stdin.take();
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(sent.expect("kill is installed").success());
    let output = child.wait_with_output().expect("the program ends");
    drop(input);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.starts_with("1 line"), "{printed}");
    assert_eq!(output.status.code(), Some(143), "SIGTERM stopped it before its input ended");
}
