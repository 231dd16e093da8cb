//! `services` and `check`.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::two_crates::{PROGRAM, zato};

#[test]
fn the_table_has_a_row_for_each_service() {
    let ran = zato(["services"]);
    let mut rows = ran.printed().lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let headings = rows.next().unwrap_or_default();
    assert_eq!(headings[..4], ["NAME", "REQUEST", "RESPONSE", "CALLBACK"]);
    let rows: Vec<_> = rows.collect();
    let welcome =
        ["greetings.welcome", "Visitor", "()", "greetings.welcome-async-callback", "-", "greetings"];
    assert_eq!(rows[0], ["greetings.hello", "Visitor", "String", "-", "-", "greetings"]);
    assert_eq!(rows[1], welcome);
    assert!(rows.iter().any(|row| row[0] == "zato.ping"));
}

#[test]
fn as_json_there_is_a_value_for_each_service() {
    let ran = zato(["services", "--json"]);
    ran.printed();
    let values = ran.values();
    let welcome = values.iter().find(|value| value["name"] == "greetings.welcome").expect("it is linked");
    let expected = json!({
        "name": "greetings.welcome",
        "request": "Visitor",
        "response": "()",
        "callback": "greetings.welcome-async-callback",
        "on_failure": null,
        "attributes": {},
        "module": "greetings",
        "file": welcome["file"],
        "line": welcome["line"],
    });
    assert_eq!(welcome, &expected);
    assert!(welcome["file"].as_str().is_some_and(|file| file.ends_with("lib.rs")));
    assert!(welcome["line"].is_u64());
}

#[test]
fn check_says_that_all_is_well() {
    assert!(zato(["check"]).printed().contains("no faults"));
    let ran = zato(["check", "--json"]);
    ran.printed();
    assert_eq!(ran.values()[0]["faults"], Value::Array(Vec::new()));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = Command::new(PROGRAM)
        .env("ZATO_ENGINE", "memory:")
        .args(["run", "greetings.hello", "--log", "off", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cargo has built the program");
    // Nobody reads when it comes to print: first the reader goes, then the input ends.
    drop(child.stdout.take());
    drop(child.stdin.take());
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));

    let mut child = Command::new(PROGRAM)
        .env("ZATO_ENGINE", "memory:")
        .arg("services")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is built");
    let mut first = String::new();
    let read = BufReader::new(child.stdout.take().expect("it was piped")).read_line(&mut first);
    assert!(read.is_ok() && first.starts_with("NAME"), "{first}");
    assert!(child.wait().expect("the program ends").success());
}
