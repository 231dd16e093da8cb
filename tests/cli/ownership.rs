//! `invoke` and `run` on a store: which one, whose trees, and what where another process owns it.

use crate::store::{Store, cid};

#[test]
fn the_store_is_zato_db_the_environment_names_another_and_the_option_a_third() {
    let store = Store::new();
    let is_there = |name: &str| store.directory.path().join(name).exists();
    store.zato(["invoke", "zato.ping"]).printed();
    assert!(is_there("zato.db"));
    store.zato_with("sqlite:second.db", &["invoke", "zato.ping"]).printed();
    assert!(is_there("second.db") && !is_there("third.db"));
    store.zato_with("sqlite:second.db", &["invoke", "zato.ping", "--engine", "sqlite:third.db"]).printed();
    assert!(is_there("third.db"));
    assert_eq!(store.zato(["invocations", "--engine", "sqlite:third.db", "--json"]).values().len(), 1);
}

#[test]
fn what_others_have_left_waits_and_is_counted() {
    let store = Store::new();
    let one = store.interrupted("one");
    for command in [&["invoke", "zato.helpers.echo", "hi"][..], &["run", "zato.helpers.echo", "--json"]] {
        let ran = store.zato_with("sqlite:zato.db", command);
        assert!(!ran.printed().contains("one"), "{ran:?}");
        assert_eq!(ran.stderr, "1 invocation waits in `sqlite:zato.db`: `serve` runs what is due\n");
    }
    store.interrupted("two");
    let ran = store.zato(["invoke", "zato.ping"]);
    assert_eq!(ran.stderr, "2 invocations wait in `sqlite:zato.db`: `serve` runs what is due\n");
    let page = store.explain(&one);
    assert!(page.contains("attempts    0 of 1, and 1 interrupted"), "it was left as it is: {page}");
}

#[test]
fn it_waits_for_the_owner_to_go() {
    let store = Store::new();
    let serving = store.serve();
    let mut begun = store.begin(["invoke", "zato.ping"]);
    let line = begun.logs("waiting up to 10 s");
    assert!(line.contains(&format!("belongs to process {}", serving.pid())), "{line}");
    serving.terminate();
    let ran = begun.ended();
    assert_eq!((ran.code, &*ran.stdout), (Some(0), "{\"pong\":\"zato\"}\n"));
}

#[test]
fn it_waits_ten_seconds_and_then_names_the_owner() {
    let store = Store::new();
    let serving = store.serve();
    let ran = store.zato(["run", "zato.ping"]);
    let error = ran.refused(1);
    assert!(error.starts_with("error: waited 10 s for the store: "), "{error}");
    assert!(error.contains(&format!("belongs to process {}", serving.pid())), "{error}");
}

#[test]
fn asked_to_stop_while_it_waits_it_stops_at_once() {
    let store = Store::new();
    let serving = store.serve();
    let mut begun = store.begin(["invoke", "zato.ping"]);
    begun.logs("waiting up to 10 s");
    let ran = begun.terminate();
    assert_eq!(ran.code, Some(143));
    assert!(ran.stderr.contains("stopped by SIGTERM: nothing was started"), "{ran:?}");
    serving.terminate();
    assert!(store.zato(["invocations"]).printed().is_empty());
}

/// A command that waits for what is not due says so, and may be left.
#[test]
fn what_it_waits_for_is_told() {
    let store = Store::new();
    let mut begun = store.begin(["invoke", "probe.later", "hi"]);
    let line = begun.logs("not due until");
    assert!(line.contains("probe.prints"), "{line}");
    begun.logs("ctrl-C leaves them in `sqlite:zato.db` for `serve`");
    let ran = begun.terminate();
    assert!(ran.stderr.contains("1 invocation waits in `sqlite:zato.db`"), "{ran:?}");
    let later = store.first_of("probe.prints");
    assert_eq!(later["state"], "waiting");
    assert!(store.explain(cid(&later)).contains("not due until"));
}
