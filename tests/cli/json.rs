//! `--json` prints a value on standard output in every case, and the exit code is the same as without it.

use serde_json::Value;

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
        (&[], &["dead", "retry", NOBODY, "--json"], 1, NOBODY),
        (&[], &["dead", "discard", NOBODY, "--json"], 1, NOBODY),
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
    let letter = store.zato(["dead", "list", "--json"]).values().remove(0);
    let ran = store.zato(["dead", "discard", NOBODY, letter["cid"].as_str().expect("a CID"), "--json"]);
    assert_eq!(ran.code, Some(1));
    let values = ran.values();
    assert_eq!((&values[0]["cid"], values[0]["error"].is_string()), (&NOBODY.into(), true));
    assert_eq!((&values[1]["cid"], &values[1]["discarded"]), (&letter["cid"], &true.into()));
}
