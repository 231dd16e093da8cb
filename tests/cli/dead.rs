//! `dead`: what has failed is listed, run again and forgotten.

use crate::store::{NOBODY, Store, cid};

/// A store with three dead letters, of two services.
fn with_letters() -> Store {
    let store = Store::new();
    for (service, text) in [("probe.fails", "a"), ("probe.fails", "b"), ("probe.fails-unless-told", "c")] {
        store.zato(["invoke", service, text, "--async"]);
    }
    store
}

#[test]
fn they_are_listed_the_newest_first() {
    let store = with_letters();
    let listed = store.zato(["dead", "list"]);
    let lines: Vec<_> = listed.printed().lines().collect();
    assert!(lines[0].starts_with("CID  ") && lines[0].ends_with("ATTEMPTS  ERROR"), "{listed:?}");
    assert!(lines[1].contains("probe.fails-unless-told") && lines[3].ends_with("31ma"), "{listed:?}");
    let listed = store.zato(["dead", "list", "--service", "probe.fails", "--json"]);
    listed.printed();
    assert!(listed.values().iter().all(|value| value["outcome"] == "Failed" && value["state"] == "dead"));
    assert_eq!(listed.values().len(), 2);
    let page = store.explain(cid(&listed.values()[0]));
    assert!(page.contains("`dead retry ") && page.contains("`dead discard "), "{page}");
}

#[test]
fn one_is_run_again_and_its_outcome_is_printed() {
    let store = with_letters();
    let first = store.first_of("probe.fails-unless-told");
    std::fs::write(store.directory.path().join("told"), "").expect("it can be written");
    let ran = store.zato(["dead", "retry", cid(&first)]);
    let lines: Vec<_> = ran.printed().lines().collect();
    let (old, again) = lines[0].split_once(" runs again as ").expect("both CIDs");
    assert_eq!(old, cid(&first));
    assert!(lines[1].starts_with(&format!("{again} probe.fails-unless-told")), "{ran:?}");
    assert!(lines[1].ends_with("Completed") && lines.len() == 3, "{ran:?}");
    assert_eq!(lines[2], "1 dead letter run again: 1 invocation with all that followed, 0 failed");
    assert!(store.explain(old).contains(&format!("run again as {again}")));

    let ran = store.zato(["dead", "retry", old, NOBODY]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains(&format!("it has been run again, as {again}")), "{ran:?}");
    assert!(ran.stderr.contains(NOBODY), "{ran:?}");
}

#[test]
fn all_of_a_service_are_run_again() {
    let store = with_letters();
    let ran = store.zato(["dead", "retry", "--all", "--service", "probe.fails", "--json"]);
    assert_eq!(ran.code, Some(1), "they fail again");
    let values = ran.values();
    assert!(values[0]["run_again_as"].is_string() && values[1]["run_again_as"].is_string(), "{ran:?}");
    assert!(values[0]["cid"].as_str() < values[1]["cid"].as_str(), "the oldest comes first");
    assert!(values[2..4].iter().all(|value| value["outcome"] == "Failed"), "{ran:?}");
    assert_eq!((values.len(), &values[4]["summary"]["failed"]), (5, &2.into()), "{ran:?}");
    assert_eq!(
        store.zato(["dead", "list", "--json"]).values().len(),
        3,
        "those that were run again are not listed"
    );
}

#[test]
fn they_are_forgotten() {
    let store = with_letters();
    let first = store.first_of("probe.fails");
    assert_eq!(store.zato(["dead", "discard", cid(&first)]).printed(), "1 dead letter discarded\n");
    assert!(store.zato(["explain", cid(&first)]).refused(1).contains(cid(&first)));
    let ran = store.zato(["dead", "discard", "--all"]);
    assert!(ran.refused(2).contains("deletes 2 dead letters for good: add `--yes`"), "{ran:?}");
    assert_eq!(store.zato(["dead", "discard", "--all", "--yes"]).printed(), "2 dead letters discarded\n");
    let ran = store.zato(["dead", "discard", "--all"]);
    assert_eq!((ran.printed(), &*ran.stderr), ("0 dead letters discarded\n", "no dead letter matches\n"));
    store.zato(["invoke", "zato.ping"]);
    let ran = store.zato(["dead", "discard", cid(&store.first_of("zato.ping"))]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("it completed"), "{ran:?}");
}

#[test]
fn which_ones_must_be_said() {
    let store = with_letters();
    for (ran, said) in [
        (store.zato(["dead", "retry"]), "Usage: probe dead retry <CID|--all>"),
        (store.zato(["dead", "discard", "--service", "probe.fails"]), "<CID|--all>"),
        (store.zato(["dead", "retry", NOBODY, "--all"]), "--all"),
    ] {
        let error = ran.refused(2);
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn while_another_process_owns_the_store_they_stay() {
    let store = with_letters();
    let serving = store.serve();
    for command in ["retry", "discard"] {
        let ran = store.zato(["dead", command, "--all"]);
        let error = ran.refused(1);
        assert!(error.contains(&format!("belongs to process {}", serving.pid())), "{error}");
        assert!(error.contains(&format!("`kill {}`", serving.pid())), "{error}");
        assert!(error.contains(&format!("`dead {command}`")), "{error}");
    }
    assert_eq!(store.zato(["dead", "list", "--json"]).values().len(), 3);
}
