//! `run`: an asynchronous invocation for every line.

use std::fs;

use crate::program::directory;
use crate::two_crates::{ADA, ZOE, zato, zato_on};

#[test]
fn the_summary_counts_the_lines_of_a_file() {
    let directory = directory();
    let file = directory.path().join("visitors.jsonl");
    fs::write(&file, format!("{ADA}\n").repeat(1_000)).expect("the file can be written");
    let file = file.to_str().expect("the path is UTF-8");
    let ran = zato(["run", "greetings.hello", "--lines", file]);
    assert!(ran.printed().starts_with("1,000 lines: 0 failed; 1,000 invocations in all, "), "{ran:?}");
    assert_eq!((ran.stdout.lines().count(), &*ran.stderr), (1, ""));
}

#[test]
fn standard_input_is_read_where_no_file_is_named() {
    // The last line need not end, and lines may end as on Windows.
    let lines = format!("{ADA}\r\n{ADA}\n{ADA}");
    for ran in [
        zato_on(["run", "greetings.hello", "--json"], &lines),
        zato_on(["run", "greetings.hello", "--json", "--lines", "-"], &lines),
    ] {
        ran.printed();
        let value = &ran.values()[0];
        assert_eq!((&value["lines"], &value["failed"]), (&3.into(), &0.into()));
    }
}

#[test]
fn failures_are_counted_and_in_the_exit_code() {
    let lines = format!("{ADA}\n{ZOE}\nno JSON\n{ADA}\n");
    let ran = zato_on(["run", "greetings.hello"], &lines);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.starts_with("4 lines") && ran.stdout.contains(" 2 failed"), "{ran:?}");
    for reason in ["no greeting in `xx`", "Undecodable"] {
        assert!(ran.stderr.contains(reason), "{reason} in {}", ran.stderr);
    }
}

#[test]
fn all_that_follows_is_finished_and_counted() {
    let ran = zato_on(["run", "greetings.welcome", "--json", "--log", "warn"], &format!("{ADA}\n{ADA}\n"));
    ran.printed();
    let value = &ran.values()[0];
    // Each is welcomed, greeted, and the greeting called back.
    assert_eq!(
        (&value["lines"], &value["invocations"], &value["callbacks"]),
        (&2.into(), &6.into(), &2.into())
    );
}

#[test]
fn callbacks_may_be_named() {
    let arguments =
        ["run", "greetings.hello", "--json", "--callback", "zato.ping", "--on-failure", "zato.ping"];
    let ran = zato_on(arguments, &format!("{ADA}\n{ZOE}\n"));
    let value = &ran.values()[0];
    assert_eq!((&value["callbacks"], &value["failed"], ran.code), (&2.into(), &1.into(), Some(1)));
    assert_eq!(ran.stderr, "", "a failure that somebody is told of is not logged as one that nobody is");
}

#[test]
fn no_lines_are_no_failure() {
    assert!(zato_on(["run", "greetings.hello"], "").printed().starts_with("0 lines"));
}

#[test]
fn an_unknown_name_and_a_missing_file_are_refused() {
    let ran = zato_on(["run", "greetings.helo"], ADA);
    assert!(ran.refused(1).contains("did you mean `greetings.hello`?"), "{ran:?}");
    let ran = zato(["run", "greetings.hello", "--lines", "nowhere.jsonl"]);
    assert!(ran.refused(1).contains("`nowhere.jsonl`"), "{ran:?}");
}
