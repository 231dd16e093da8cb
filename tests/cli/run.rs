//! `run`: an asynchronous invocation for every line.

use std::fs;

use crate::program::directory;
use crate::store::Store;
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
    for ran in [zato_on(["run", ""], ADA), zato_on(["invoke", ""], "")] {
        assert!(ran.refused(1).starts_with("error: the name of the target is empty\n"), "{ran:?}");
    }
    let ran = zato(["run", "greetings.hello", "--lines", "nowhere.jsonl"]);
    assert!(ran.refused(1).contains("`nowhere.jsonl`"), "{ran:?}");
}

/// The log says nothing of what the summary says, and the summary names the lines.
#[test]
fn lines_that_failed_are_named_and_not_logged_one_by_one() {
    let store = Store::new();
    let file = store.directory.path().join("lines");
    let lines: String = (1..=100).map(|number| if number % 4 == 0 { "\"odd\"\n" } else { "7\n" }).collect();
    fs::write(&file, lines).expect("the file can be written");
    let ran = store.zato(["run", "probe.even", "--lines", "lines"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.starts_with("100 lines: 100 failed; "), "{ran:?}");
    let listed: Vec<_> = ran.stderr.lines().collect();
    assert!(listed.len() == 11, "ten lines and the number of the others: {ran:?}");
    assert!(listed[0].starts_with("lines:1: probe.even Failed: 7 is odd ("), "{ran:?}");
    assert!(listed[3].starts_with("lines:4: probe.even Undecodable: "), "{ran:?}");
    assert_eq!(listed[10], "and 90 more failed lines; `--json` lists all of them");

    let ran = store.zato(["run", "probe.even", "--lines", "lines", "--json"]);
    assert_eq!((ran.code, &*ran.stderr), (Some(1), ""));
    let value = &ran.values()[0];
    let failed = value["failed_lines"].as_array().expect("a list");
    assert_eq!(failed.len(), 100);
    assert_eq!(
        (&failed[99]["line"], &failed[99]["failures"][0]["outcome"]),
        (&100.into(), &"Undecodable".into())
    );
    let logged = store.zato(["run", "probe.even", "--lines", "lines", "--log", "info"]);
    assert!(
        logged
            .stderr
            .matches("the invocation did not complete, and no failure callback receives its outcome")
            .count()
            == 100,
        "where it is asked for"
    );
}

#[test]
fn a_line_fails_with_what_follows_from_it() {
    let store = Store::new();
    fs::write(store.directory.path().join("lines"), "2\n3\n4\n").expect("the file can be written");
    let ran = store.zato(["run", "probe.asks-even", "--lines", "lines", "--json"]);
    let value = &ran.values()[0];
    assert_eq!((ran.code, &value["invocations"]), (Some(1), &6.into()));
    let failed = value["failed_lines"].as_array().expect("a list");
    assert_eq!(failed.len(), 1, "{value}");
    assert_eq!((&failed[0]["line"], &failed[0]["failures"][0]["service"]), (&2.into(), &"probe.even".into()));
}

/// Its line ends are not those of UTF-8: halves of characters would become requests.
#[test]
fn a_file_in_utf_16_is_refused_with_the_cure() {
    let directory = directory();
    let path = directory.path().join("visitors.txt");
    let text: Vec<u8> = "\u{feff}one\ntwo\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(&path, text).expect("the file can be written");
    let ran = zato(["run", "zato.helpers.echo", "--lines", path.to_str().expect("the path is UTF-8")]);
    let error = ran.refused(1);
    assert!(error.contains("byte order mark of UTF-16") && error.contains("iconv"), "{error}");
    assert!(!error.contains("give the path of a file"), "{error}");
}

/// An editor's byte order mark and the line ends of Windows are not part of a request.
#[test]
fn a_byte_order_mark_costs_no_line() {
    let directory = directory();
    let path = directory.path().join("visitors.jsonl");
    let text = format!("\u{feff}{ADA}\r\n{ADA}\r\n");
    fs::write(&path, &text).expect("the file can be written");
    let path = path.to_str().expect("the path is UTF-8");
    for ran in [zato(["run", "greetings.hello", "--lines", path]), zato_on(["run", "greetings.hello"], &text)]
    {
        assert!(ran.printed().starts_with("2 lines: 0 failed"), "{ran:?}");
    }
    let one = format!("\u{feff}{ADA}\r\n");
    fs::write(path, &one).expect("the file can be written");
    zato(["invoke", "greetings.hello", "--file", path]).printed();
    zato_on(["invoke", "greetings.hello", "-"], &one).printed();
    zato_on(["invoke", "greetings.hello", "--file", "-"], &one).printed();
}
