//! A correlation ID may be given as its last characters.

use crate::store::{Store, cid};

#[test]
fn every_command_takes_the_end_of_a_cid() {
    let store = Store::new();
    for text in ["a", "b", "c"] {
        store.zato(["invoke", "probe.fails", text, "--async"]);
    }
    let listed = store.zato(["dead", "list", "--json"]).values();
    let [c, b, a] = [0, 1, 2].map(|index| cid(&listed[index]));
    let (short, upper, long) = (&a[30..], b[24..].to_ascii_uppercase(), &c[14..]);
    let page = store.zato(["explain", short]);
    assert!(page.printed().contains(a), "{page:?}");
    let explained = store.zato(["explain", long, "--json"]).values();
    assert_eq!(cid(&explained[0]), c);
    let before = store.zato(["invocations", "--before", &upper, "--json"]).values();
    assert_eq!(before.iter().map(cid).collect::<Vec<_>>(), [a]);
    assert!(store.zato(["cancel", short]).stdout.starts_with(&format!("{a} had ended before: Failed")));
    assert!(store.zato(["dead", "retry", short]).stdout.starts_with(&format!("{a} runs again as ")));
    assert_eq!(store.zato(["dead", "discard", &upper]).printed(), "1 dead letter discarded\n");
}

#[test]
fn an_ending_that_nothing_has_is_an_error_that_names_it() {
    let store = Store::new();
    store.zato(["invoke", "zato.ping"]).printed();
    for command in [["explain", "000000"], ["cancel", "000000"], ["invocations", "--before=000000"]] {
        let ran = store.zato(command);
        assert!(ran.refused(1).contains("ends with `000000`"), "{ran:?}");
    }
}

#[test]
fn an_ending_that_two_have_lists_both() {
    let store = Store::new();
    let path = store.directory.path().join("lines");
    std::fs::write(&path, "x\n".repeat(3)).expect("it can be written");
    store.zato(["run", "zato.helpers.echo", "--lines", "lines"]).printed();
    let listed = store.zato(["invocations", "--json"]).values();
    // Random ends do not meet, so one is given the end of another.
    let (first, second) = (cid(&listed[0]), cid(&listed[1]));
    let twin = format!("{}{}", &second[..24], &first[24..]);
    store.rename(second, &twin);
    let ran = store.zato(["explain", &first[24..]]);
    let error = ran.refused(1);
    assert!(error.contains("more than one correlation ID ends with"), "{error}");
    assert!(error.contains(first) && error.contains(&twin) && error.contains("zato.helpers.echo"), "{error}");
}
