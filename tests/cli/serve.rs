//! `serve`: what is due runs until the program is asked to stop, and what is left goes on with the next start.

use crate::store::Store;

#[test]
fn what_waits_is_run_and_what_is_left_waits_again() {
    let store = Store::new();
    let cid = store.interrupted("one");
    let mut serving = store.begin(["serve"]);
    let line = serving.logs("serving");
    assert!(line.contains("engine=sqlite:zato.db") && line.contains("waiting=1"), "{line}");
    assert!(serving.prints("one runs as ").contains(&cid));
    let ran = serving.terminate();
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("one was told to stop"), "{ran:?}");
    assert!(ran.stderr.contains("stopping: running handlers may finish"), "{ran:?}");
    assert!(ran.stderr.contains("1 invocation kept for the next start"), "{ran:?}");
    let page = store.explain(&cid);
    assert!(
        page.contains("waiting for the next start of the program: a shutdown interrupted its last attempt"),
        "{page}"
    );
    assert!(page.contains("attempts    0 of 1, and 2 interrupted"), "{page}");
}

#[test]
fn what_runs_is_finished() {
    let store = Store::new();
    let mut begun = store.begin(["invoke", "probe.finishes"]);
    begun.prints("runs");
    let ran = begun.terminate();
    assert!(ran.stdout.contains("finished"), "{ran:?}");
    assert_eq!(store.first_of("probe.finishes")["outcome"], "Completed");
    let ran = store.serve().terminate();
    assert!(ran.stderr.contains("all invocations have ended"), "{ran:?}");
}

#[test]
fn asked_twice_it_stops_and_what_ran_is_kept() {
    let store = Store::new();
    let mut begun = store.begin(["invoke", "probe.deaf", "--async"]);
    begun.prints("runs");
    begun.signal("-TERM");
    begun.logs("stopping: running handlers may finish");
    let ran = begun.terminate();
    assert_eq!(ran.code, Some(143));
    assert!(
        ran.stderr.contains("error: stopped by SIGTERM: unfinished invocations are kept in `sqlite:zato.db`"),
        "{ran:?}"
    );
    assert!(store.first_of("probe.deaf")["outcome"].is_null());
    let mut serving = store.serve();
    serving.prints("runs");
    serving.kill();
}

#[test]
fn a_store_has_one_owner() {
    let store = Store::new();
    let serving = store.serve();
    let ran = store.zato(["serve"]);
    let error = ran.refused(1);
    assert!(error.contains("zato.db` belongs to process ") && error.contains(&serving.pid()), "{error}");
}

/// What was under way when a process was killed is told as that, and goes on with the next.
#[test]
fn after_a_death_it_goes_on() {
    let store = Store::new();
    let mut begun = store.begin(["invoke", "probe.runs", "one", "--async"]);
    let line = begun.prints("one runs as ");
    let cid = line.rsplit(' ').next().expect("its CID");
    begun.kill();
    let page = store.explain(cid);
    assert!(page.contains("\nwas running when its process died: attempt 1 of 1, started at "), "{page}");
    let listed = store.zato(["invocations", "--state", "running"]);
    assert!(listed.printed().contains("was running when its process died"), "{listed:?}");
    assert!(
        listed.stderr.contains("no process runs what `sqlite:zato.db` holds: `serve` does"),
        "{listed:?}"
    );

    let mut serving = store.serve();
    assert!(serving.prints("one runs as ").contains(cid));
    let page = store.explain(cid);
    assert!(
        page.contains("\nrunning: attempt 1 of 1, and 1 interrupted, since ")
            && page.contains("its process ended during it"),
        "{page}"
    );
    serving.terminate();
}

/// Who called it is gone with its process.
#[test]
fn a_synchronous_call_dies_with_its_process() {
    let store = Store::new();
    let mut begun = store.begin(["invoke", "probe.runs", "one"]);
    let line = begun.prints("one runs as ");
    let cid = line.rsplit(' ').next().expect("its CID");
    begun.kill();
    assert_eq!(store.zato(["invocations", "--json"]).printed(), "", "it is recorded when it ends");
    let error = store.zato(["explain", cid]);
    assert!(error.refused(1).contains("has no invocation with the CID"), "{error:?}");
    let ran = store.serve().terminate();
    assert!(
        !ran.stdout.contains("one runs as ") && ran.stderr.contains("all invocations have ended"),
        "{ran:?}"
    );
}

#[test]
fn in_memory_it_serves_and_says_that_nothing_is_kept() {
    let store = Store::new();
    let mut serving = store.begin(["serve", "--engine", "memory:"]);
    serving.logs("engine=memory:");
    let ran = serving.terminate();
    assert_eq!(ran.code, Some(0));
    assert!(!store.directory.path().join("zato.db").exists());
}
