//! `invoke` of a service that has something run later: it says what it waits for, or does not wait.

use crate::store::{Store, cid};

#[test]
fn what_is_due_later_is_said_at_once_with_its_time_and_the_way_out() {
    let store = Store::new();
    let mut begun = store.begin(["invoke", "probe.later", "hi", "--utc"]);
    let line = begun.logs("not due until");
    assert!(
        line.contains("probe.prints") && (line.contains("in 1 h") || line.contains("in 59 min")),
        "{line}"
    );
    let cure = begun.logs("ctrl-C leaves them in `sqlite:zato.db` for `serve`");
    assert!(cure.contains("`invoke --no-wait`"), "{cure}");
    begun.signal("-INT");
    assert_eq!(begun.ended().code, Some(130));
}

/// In memory a shutdown does not wait for what is due after its limit.
#[test]
fn in_memory_ctrl_c_cancels_what_is_due_later() {
    let store = Store::new();
    let mut begun = store.begin(["invoke", "probe.later", "hi", "--engine", "memory:"]);
    begun.logs("ctrl-C ends it and cancels them");
    begun.signal("-INT");
    begun.logs("probe.prints Cancelled");
    assert_eq!(begun.ended().code, Some(130));
}

#[test]
fn without_a_wait_it_stays_in_the_store() {
    let store = Store::new();
    let ran = store.zato(["invoke", "probe.later", "hi", "--no-wait"]);
    let later = ran.printed().trim().to_owned();
    assert_eq!(ran.stderr, "1 invocation waits in `sqlite:zato.db`: `serve` runs what is due\n");
    assert_eq!(cid(&store.first_of("probe.prints")), later);
    assert_eq!(store.first_of("probe.prints")["state"], "waiting");

    let ran = store.zato(["invoke", "probe.later", "hi", "--async", "--no-wait"]);
    let root = ran.printed().trim().to_owned();
    assert_eq!(cid(&store.first_of("probe.later")), root);

    let ran = store.zato(["invoke", "probe.fails", "why", "--no-wait"]);
    assert_eq!(ran.code, Some(1), "what was waited for is in the exit code");
}

#[test]
fn serve_waits_for_a_short_invoke() {
    let store = Store::new();
    let mut invoking = store.begin(["invoke", "probe.finishes"]);
    invoking.prints("runs");
    let mut serving = store.begin(["serve"]);
    let line = serving.logs("waiting up to 10 s for it");
    assert!(line.contains(&format!("belongs to process {}", invoking.pid())), "{line}");
    invoking.terminate();
    serving.logs("serving; ctrl-C or SIGTERM stops it");
    assert_eq!(serving.terminate().code, Some(0));
}
