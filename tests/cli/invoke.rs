//! `invoke`: a service, synchronously.

use std::fs;

use serde_json::json;

use crate::program::directory;
use crate::store::Store;
use crate::two_crates::{ADA, ZOE, zato, zato_on};

const GREETING: &str = "Dzień dobry, Ada!\n";

#[test]
fn the_response_is_printed_alone() {
    let ran = zato(["invoke", "greetings.hello", ADA]);
    assert_eq!((ran.printed(), &*ran.stderr), (GREETING, ""));
    assert_eq!(zato(["invoke", "zato.ping"]).printed(), "{\"pong\":\"zato\"}\n");
}

#[test]
fn the_request_comes_from_an_argument_a_file_or_standard_input() {
    let directory = directory();
    let file = directory.path().join("ada.json");
    fs::write(&file, ADA).expect("the file can be written");
    let file = file.to_str().expect("the path is UTF-8");
    assert_eq!(zato(["invoke", "greetings.hello", "--file", file]).printed(), GREETING);
    assert_eq!(zato_on(["invoke", "greetings.hello", "-"], ADA).printed(), GREETING);
    assert_eq!(zato_on(["invoke", "greetings.hello", "--file", "-"], ADA).printed(), GREETING);
}

#[test]
fn a_request_comes_back_as_it_was_given() {
    for text in ["hello", "17", "null", "\"quoted\"", "[1, 2]", "{\"a\":  1}", " spaces ", "Zażółć"] {
        assert_eq!(zato(["invoke", "zato.helpers.echo", text]).printed(), format!("{text}\n"));
    }
    assert_eq!(zato(["invoke", "zato.helpers.echo"]).printed(), "");
    assert_eq!(zato(["invoke", "zato.helpers.echo", "--", "-1"]).printed(), "-1\n");
    for number in ["-5", "-0.5", "-1e3"] {
        assert_eq!(zato(["invoke", "zato.helpers.echo", number]).printed(), format!("{number}\n"));
    }
}

#[test]
fn as_json_the_response_is_a_value() {
    let ran = zato(["invoke", "greetings.hello", ADA, "--json"]);
    ran.printed();
    let value = &ran.values()[0];
    assert_eq!(value["outcome"], "Completed");
    assert_eq!(value["service"], "greetings.hello");
    assert_eq!(value["response"], "Dzień dobry, Ada!");
    let ran = zato(["invoke", "zato.ping", "--json"]);
    assert_eq!(ran.values()[0]["response"], json!({ "pong": "zato" }));
}

#[test]
fn what_the_service_started_is_finished() {
    let ran = zato(["invoke", "greetings.welcome", ADA]);
    assert_eq!(ran.printed(), "");
    assert!(ran.stderr.contains("the visitor has been greeted"), "{}", ran.stderr);
    assert!(ran.stderr.contains("Dzień dobry, Ada!"), "{}", ran.stderr);
}

#[test]
fn a_failure_is_told_with_its_reason() {
    let ran = zato(["invoke", "greetings.hello", ZOE]);
    let error = ran.refused(1);
    assert!(error.contains("Failed") && error.contains("no greeting in `xx`"), "{error}");
}

/// The failures that followed are named, so that an exit code of 1 has a reason, also without a log.
#[test]
fn a_failure_of_what_followed_is_named() {
    let store = Store::new();
    let ran = store.zato(["invoke", "probe.asks-even", "3"]);
    let child = ran.stdout.trim();
    let said =
        format!("1 of 1 invocation that followed from it failed:\n  probe.even Failed: 3 is odd ({child})\n");
    assert_eq!((ran.code, &*ran.stderr), (Some(1), &*said));

    let ran = store.zato(["invoke", "probe.asks-even", "3", "--json"]);
    let values = ran.values();
    assert_eq!((ran.code, &*ran.stderr, values.len()), (Some(1), "", 2), "{ran:?}");
    assert_eq!((&values[0]["outcome"], &values[1]["outcome"]), (&"Completed".into(), &"Failed".into()));
    assert_eq!((&values[1]["error"], &values[1]["parent"]), (&"3 is odd".into(), &values[0]["cid"]));

    let ran = store.zato(["invoke", "probe.odds"]);
    let lines: Vec<_> = ran.stderr.lines().collect();
    assert_eq!(
        (lines.len(), lines[0]),
        (12, "12 of 13 invocations that followed from it failed:"),
        "{ran:?}"
    );
    assert_eq!(lines[11], "  and 2 more; `--json` prints all of them");
    let logged = store.zato(["invoke", "probe.asks-even", "3", "--log", "info"]).stderr;
    assert!(logged.contains("no failure callback receives its outcome"), "where it is asked for: {logged}");
}

/// A synchronous call has one attempt, whatever the service says.
#[test]
fn a_failure_that_may_be_tried_again_names_the_option_that_does_so() {
    let store = Store::new();
    let ran = store.zato(["invoke", "probe.fails-first", "1"]);
    assert!(ran.stderr.ends_with("\nwith `--async` it has up to 2 attempts\n"), "{ran:?}");
    for arguments in [["invoke", "probe.fails", "why"], ["invoke", "probe.fails-first", "x"]] {
        let ran = store.zato(arguments);
        assert!(ran.code == Some(1) && !ran.stderr.contains("--async"), "{ran:?}");
    }
}

#[test]
fn a_request_that_cannot_be_read_is_told_with_what_is_wrong() {
    for (request, wrong) in [
        (r#"{"name": "Ada"}"#, "missing field `language`"),
        (r#"{"name": 7, "language": "pl"}"#, "`name`"),
        ("hi", "`Visitor`"),
        ("", "`Visitor`"),
    ] {
        let ran = zato(["invoke", "greetings.hello", request]);
        let error = ran.refused(1);
        assert!(error.contains("Undecodable") && error.contains(wrong), "{error}");
    }
}

#[test]
fn an_unknown_name_is_told_with_the_nearest_and_with_those_that_are_linked() {
    let ran = zato(["invoke", "greetings.helo", ADA]);
    let error = ran.refused(1);
    assert!(error.contains("did you mean `greetings.hello`?"), "{error}");
    assert!(error.contains("greetings.welcome"), "{error}");
    assert!(error.contains("`use the_crate as _;`"), "{error}");
    // Each time the bus ends before tokio does, or the other way about: neither is an error.
    for _ in 0..10 {
        let ran = zato(["invoke", "greetings.helo", ADA]);
        let error = ran.refused(1);
        assert!(!error.contains("ERROR") && !error.contains("tokio"), "{error}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let ran = zato(["invoke", "greetings.hello", "--file", "nowhere.json"]);
    let error = ran.refused(1);
    assert!(error.contains("`nowhere.json`") && error.contains("No such file"), "{error}");
}

#[test]
fn an_engine_that_is_not_there_is_named_with_those_that_are() {
    let ran = zato(["invoke", "zato.ping", "--engine", "carrier-pigeon:"]);
    let error = ran.refused(2);
    assert!(error.contains("`--engine carrier-pigeon:`") && error.contains("`carrier-pigeon:`"), "{error}");
    assert!(error.contains("`memory:`"), "{error}");
}

#[test]
fn the_log_is_what_it_is_asked_to_be() {
    assert!(zato(["invoke", "zato.helpers.input-logger", "hi"]).stderr.contains("payload=hi"));
    assert_eq!(zato(["invoke", "zato.helpers.input-logger", "hi", "--log", "warn"]).stderr, "");
    let ran = zato(["invoke", "zato.ping", "--log", "info,my_crate=loud"]);
    assert!(ran.refused(2).contains("`--log info,my_crate=loud`: `my_crate=loud` is not a level"), "{ran:?}");
}
