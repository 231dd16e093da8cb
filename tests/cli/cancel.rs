//! `cancel`: what waits is ended without being run.

use crate::store::{NOBODY, Store, cid};

#[test]
fn what_waits_is_cancelled() {
    let store = Store::new();
    let (one, two) = (store.interrupted("one"), store.interrupted("two"));
    let ran = store.zato(["cancel", &one]);
    assert_eq!(ran.printed(), format!("{one} has ended: Cancelled\n"));
    assert!(ran.stderr.contains("1 invocation waits"), "{ran:?}");
    assert_eq!(store.zato(["invocations", "--state", "waiting", "--json"]).values().len(), 1);
    let ran = store.zato(["cancel", &two, "--json"]);
    ran.printed();
    let value = &ran.values()[0];
    assert_eq!(
        (cid(value), &value["outcome"], &value["had_ended"]),
        (&*two, &"Cancelled".into(), &false.into())
    );
    let ran = store.zato(["cancel", &one]);
    assert_eq!(ran.printed(), format!("{one} had ended before: Cancelled\n"));
}

#[test]
fn what_had_ended_otherwise_is_no_success() {
    let store = Store::new();
    store.zato(["invoke", "zato.ping"]).printed();
    let ping = store.first_of("zato.ping");
    let ran = store.zato(["cancel", cid(&ping), NOBODY]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("had ended before: Completed"), "{ran:?}");
    assert!(ran.stderr.contains(NOBODY), "{ran:?}");
}

#[test]
fn a_group_ends_with_its_members() {
    let store = Store::new();
    let mut begun = store.begin(["invoke", "probe.group"]);
    begun.logs("this command waits for these");
    begun.terminate();
    let open = store.zato(["invocations", "--state", "running", "--json"]);
    let open = open.values().into_iter().find(|value| value["channel"] == "fan-out").expect("an open group");
    let ran = store.zato(["cancel", cid(&open), "--with-tree"]);
    assert!(ran.stdout.contains(", and 3 below it with it"), "{ran:?}");
    assert!(store.zato(["invocations", "--state", "waiting"]).printed().is_empty());
    assert!(store.zato(["invocations", "--state", "running"]).printed().is_empty());
}

#[test]
fn while_another_process_owns_the_store_nothing_is() {
    let store = Store::new();
    let one = store.interrupted("one");
    let mut serving = store.serve();
    serving.prints("one runs as");
    let ran = store.zato(["cancel", &one]);
    let error = ran.refused(1);
    assert!(error.contains(&format!("`kill {}`", serving.pid())) && error.contains("`cancel`"), "{error}");
    assert_eq!(store.first_of("probe.runs")["state"], "running");
}
