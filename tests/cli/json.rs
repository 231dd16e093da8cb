//! `--json` prints a value on standard output in every case, and the exit code is the same as without it.

use serde_json::{Value, json};

use crate::app::configured;
use crate::program::{Ran, directory};
use crate::store::{NOBODY, Store};

/// The only value.
#[track_caller]
fn value(ran: &Ran, code: i32) -> Value {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    let values = ran.values();
    assert_eq!(values.len(), 1, "{ran:?}");
    values.into_iter().next().unwrap_or_default()
}

#[test]
fn check_prints_its_faults() {
    let directory = directory();
    let ran = configured(directory.path(), &[("CONFIGURED_WITHOUT", "1")], &["check", "--json"]);
    let checked = value(&ran, 1);
    let faults = checked["faults"].as_array().expect("a list");
    assert!(
        faults.len() == 1 && faults[0].as_str().is_some_and(|fault| fault.contains("`Currency`")),
        "{ran:?}"
    );
    assert_eq!((&checked["services"], &checked["built_in"]), (&3.into(), &3.into()));
    let sound = configured(directory.path(), &[], &["check", "--json"]);
    assert_eq!(value(&sound, 0)["faults"], Value::Array(Vec::new()));
    assert_eq!(value(&sound, 0)["warnings"], Value::Array(Vec::new()));
}

#[test]
fn an_error_is_a_value_too() {
    let directory = directory();
    let faulty = [("CONFIGURED_WITHOUT", "1")];
    for (variables, arguments, code, said) in [
        (&[][..], &["invoke", "x.unknown", "--json"][..], 1, "`x.unknown`"),
        (&[], &["run", "x.unknown", "--lines", "lines", "--json"], 1, "`x.unknown`"),
        (&[], &["run", "zato.ping", "--lines", "nowhere", "--json"], 1, "`nowhere`"),
        (&[], &["invocations", "--engine", "sqlite:nowhere.db", "--json"], 1, "nowhere.db"),
        (&[], &["dead", "list", "--engine", "memory:", "--json"], 1, "`memory:`"),
        (&[], &["cancel", NOBODY, "--engine", "memory:", "--json"], 1, "`memory:`"),
        (&[], &["explain", NOBODY, "--json"], 1, NOBODY),
        (&[], &["explain", "ffffff", "--json"], 1, "`ffffff`"),
        (&[], &["cancel", NOBODY, "--json"], 1, NOBODY),
        (&[], &["services", "--log", "bogus", "--json"], 2, "bogus"),
        (&[("ZATO_ENGINE", "")], &["services", "--json"], 2, "`ZATO_ENGINE`"),
        (&faulty, &["services", "--json"], 1, "`Currency`"),
        (&faulty, &["invoke", "zato.ping", "--json"], 1, "`Currency`"),
        (&[("CONFIGURED_RATE", "x")], &["serve", "--json"], 1, "`Rates`"),
    ] {
        std::fs::write(directory.path().join("lines"), "a\n").expect("it can be written");
        configured(directory.path(), &[], &["invoke", "zato.ping"]).printed();
        let ran = configured(directory.path(), variables, arguments);
        let error = value(&ran, code);
        assert!(error["error"].as_str().is_some_and(|error| error.contains(said)), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(said), "people read it too: {ran:?}");
    }
}

#[test]
fn what_is_refused_among_others_is_a_value_of_its_own() {
    let store = Store::new();
    store.zato(["invoke", "probe.fails", "why"]);
    store.zato(["invoke", "probe.fails", "why", "--async"]);
    store.zato(["invoke", "probe.fails", "why", "--async"]);
    let letter = store.zato(["dead", "list", "--json"]).values().remove(0);
    let ran = store.zato(["dead", "discard", NOBODY, letter["cid"].as_str().expect("a CID"), "--json"]);
    assert_eq!(ran.code, Some(1));
    let values = ran.values();
    assert_eq!((&values[0]["cid"], values[0]["error"].is_string()), (&NOBODY.into(), true));
    assert_eq!((&values[1]["cid"], &values[1]["discarded"]), (&letter["cid"], &true.into()));
    assert_eq!(values[2], json!({ "summary": { "discarded": 1, "refused": 1 } }));
    let ran = store.zato(["dead", "retry", NOBODY, "--json"]);
    assert_eq!((ran.code, ran.values()[0]["error"].is_string()), (Some(1), true), "{ran:?}");
    let summary = json!({ "summary": { "run_again": 0, "refused": 1, "invocations": 0, "failed": 0 } });
    assert_eq!(ran.values()[1], summary);
}

/// Where there is nothing to do, that is a value too.
#[test]
fn dead_letters_that_are_run_again_or_discarded_have_a_summary() {
    let store = Store::new();
    store.zato(["invoke", "zato.ping"]).printed();
    let none = json!({ "run_again": 0, "refused": 0, "invocations": 0, "failed": 0 });
    assert_eq!(value(&store.zato(["dead", "retry", "--all", "--json"]), 0)["summary"], none);
    let none = json!({ "discarded": 0, "refused": 0 });
    assert_eq!(value(&store.zato(["dead", "discard", "--all", "--json"]), 0)["summary"], none);
    for text in ["a", "b"] {
        store.zato(["invoke", "probe.fails", text, "--async"]);
    }
    let ran = store.zato(["dead", "retry", "--all", "--json"]);
    let all = json!({ "summary": { "run_again": 2, "refused": 0, "invocations": 2, "failed": 2 } });
    assert_eq!((ran.code, ran.values().len(), ran.values().pop()), (Some(1), 5, Some(all)), "{ran:?}");
    let ran = store.zato(["dead", "discard", "--all", "--yes", "--json"]);
    let all = json!({ "summary": { "discarded": 2, "refused": 0 } });
    assert_eq!((ran.code, ran.values().len(), ran.values().pop()), (Some(0), 3, Some(all)), "{ran:?}");
}

#[test]
fn a_retry_that_is_stopped_has_a_summary_of_what_has_ended() {
    let store = Store::new();
    let cid = store.interrupted("one");
    store.zato(["cancel", &cid]).printed();
    let mut begun = store.begin(["dead", "retry", &cid, "--json"]);
    begun.prints("one runs as");
    begun.signal("-INT");
    let ran = begun.ended();
    assert_eq!(ran.code, Some(130), "{ran:?}");
    let summary = r#"{"summary":{"failed":0,"invocations":0,"refused":0,"run_again":1}}"#;
    assert_eq!(ran.stdout.lines().last(), Some(summary), "{ran:?}");
}
