//! Where there is no store to look at: the error says what to do.

use std::fs;

use crate::store::{NOBODY, Store};

/// Every command that needs a store that is there.
const COMMANDS: [&[&str]; 6] = [
    &["invocations"],
    &["explain", NOBODY],
    &["dead", "list"],
    &["dead", "retry", "--all"],
    &["dead", "discard", NOBODY],
    &["cancel", NOBODY],
];

#[test]
fn in_memory_there_is_nothing_to_look_at() {
    let store = Store::new();
    for command in COMMANDS {
        let ran = store.zato_with("memory:", command);
        let error = ran.refused(1);
        assert!(
            error.contains("`memory:` keeps nothing") && error.contains("`--engine sqlite:PATH`"),
            "{error}"
        );
    }
}

#[test]
fn a_missing_file_is_named_and_not_made() {
    let store = Store::new();
    for command in COMMANDS {
        let ran = store.zato_with("sqlite:other.db", command);
        let error = ran.refused(1);
        assert!(error.contains("`other.db`") && error.contains("`serve`, `invoke` and `run`"), "{error}");
    }
    assert_eq!(fs::read_dir(store.directory.path()).expect("it can be listed").count(), 0);
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    let store = Store::new();
    let path = store.directory.path().join("zato.db");
    let text = "dear diary, ".repeat(200);
    fs::write(&path, &text).expect("it can be written");
    for command in COMMANDS.into_iter().chain([&["serve"][..], &["invoke", "zato.ping"]]) {
        let ran = store.zato_with("sqlite:zato.db", command);
        assert!(ran.refused(1).contains("is no store of zato"), "{ran:?}");
    }
    assert_eq!(fs::read_to_string(&path).expect("it is there"), text);
}

#[test]
fn what_is_not_held_is_told() {
    let store = Store::new();
    store.zato(["invoke", "zato.ping"]).printed();
    for command in [&["explain", NOBODY][..], &["cancel", NOBODY]] {
        let ran = store.zato_with("sqlite:zato.db", command);
        assert!(ran.refused(1).contains(NOBODY), "{ran:?}");
    }
    let no_cid = store.zato(["explain", "17"]);
    assert!(no_cid.refused(2).contains("'17'"), "{no_cid:?}");
}

#[test]
fn listing_services_makes_no_store() {
    let store = Store::new();
    store.zato(["services"]).printed();
    store.zato(["check"]).printed();
    assert_eq!(fs::read_dir(store.directory.path()).expect("it can be listed").count(), 0);
}
