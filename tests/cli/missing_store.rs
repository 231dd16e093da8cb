//! Where there is no store to look at: the error says what to do.

use std::fs;
use std::path::Path;

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
        assert!(ran.refused(1).contains("is not a store of zato"), "{ran:?}");
    }
    assert_eq!(fs::read_to_string(&path).expect("it is there"), text);
}

/// Nothing is made beside what cannot be a store.
#[test]
fn what_cannot_be_a_store_is_refused_by_name_and_leaves_no_file() {
    let store = Store::new();
    let refusals = [
        ("sqlite:/dev/null", "it is a device"),
        ("sqlite:/proc/x.db", "no file can be made in its directory"),
        ("sqlite:new.db/", "it is a directory"),
        ("sqlite:.", "it is a directory"),
        ("sqlite:none/new.db", "its directory does not exist"),
        ("sqlite::memory:", "use `memory:`"),
        ("sqlite://:memory:", "use `memory:`"),
        ("sqlite:new.db?mode=ro", "has the parameter `mode=ro`"),
        ("sqlite:file:new.db", "write `sqlite:new.db`"),
        ("sqlite:", "does not name a file"),
    ];
    for (engine, said) in refusals {
        for command in [&["invoke", "zato.ping"][..], &["serve"], &["invocations"]] {
            let ran = store.zato_with(engine, command);
            // A faulty URL is a fault of the command line or the environment, a file that cannot be had is not.
            let is_faulty = engine.contains(":memory:")
                || ["sqlite:", "sqlite:file:new.db", "sqlite:new.db?mode=ro"].contains(&engine);
            let error = ran.refused(if is_faulty { 2 } else { 1 });
            let is_read = command == ["invocations"] && engine == "sqlite:/proc/x.db";
            assert!(error.contains(if is_read { "it does not exist" } else { said }), "{engine}: {error}");
        }
    }
    assert!(!Path::new("/dev/null.lock").exists());
    assert_eq!(fs::read_dir(store.directory.path()).expect("it can be listed").count(), 0);
}

#[test]
fn a_url_with_slashes_names_the_same_file() {
    let store = Store::new();
    let whole = store.directory.path().join("zato.db");
    for engine in ["sqlite://zato.db", "sqlite:zato.db?mode=rwc", &format!("sqlite://{}", whole.display())] {
        store.zato_with(engine, &["invoke", "zato.ping"]).printed();
    }
    assert_eq!(store.zato(["invocations", "--json"]).values().len(), 3);
}

/// An empty file becomes a store where one is made, and is not taken for one before.
#[test]
fn an_empty_file_is_no_store_yet() {
    let store = Store::new();
    fs::write(store.directory.path().join("empty.db"), "").expect("it can be written");
    let ran = store.zato_with("sqlite:empty.db", &["invocations"]);
    let error = ran.refused(1);
    assert!(error.contains("it is empty") && error.contains("`serve`, `invoke` and `run`"), "{error}");
    store.zato_with("sqlite:empty.db", &["invoke", "zato.ping"]).printed();
    store.zato_with("sqlite:empty.db", &["invocations"]).printed();
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
