//! `invocations`, `explain` and `dead list`: beside the process that owns the store.

use crate::store::{Store, cid};

#[test]
fn what_runs_is_seen_beside_its_owner() {
    let store = Store::new();
    let one = store.interrupted("one");
    let mut serving = store.serve();
    serving.prints("one runs as ");
    let running = store.first_of("probe.runs");
    assert_eq!(
        (cid(&running), &running["state"], &running["attempts"]),
        (&*one, &"running".into(), &2.into())
    );
    assert_eq!(running["interrupted_attempts"], 1);
    assert!(running["started_at"].is_string() && running["ended_at"].is_null(), "{running}");
    let page = store.explain(&one);
    assert!(page.contains("\nrunning: attempt 1 of 1, and 1 interrupted, since "), "{page}");
    assert!(page.contains(&format!("`cancel {one}` asks it to stop")), "{page}");
    let listed = store.zato(["invocations"]);
    assert!(listed.printed().starts_with("CID  ") && listed.stderr.is_empty(), "{listed:?}");
    assert!(
        listed.stdout.contains("  1, and 1 interrupted  "),
        "attempts are counted as on the page: {listed:?}"
    );
    serving.terminate();
}

#[test]
fn what_waits_says_why() {
    let store = Store::new();
    for arguments in [["probe.later", "hi"], ["probe.keyed", "k\u{1b}"]] {
        let mut begun = store.begin(["invoke", arguments[0], arguments[1], "--async"]);
        begun.prints(" Completed");
        begun.terminate();
    }
    let waiting = store.zato(["invocations", "--state", "waiting", "--service", "probe.prints", "--json"]);
    waiting.printed();
    let [second, first, later] = &waiting.values()[..] else { panic!("three wait: {waiting:?}") };
    for due in [first, later] {
        assert!(due["stands"].as_str().is_some_and(|text| text.starts_with("not due until ")), "{due}");
        assert!(due["next_at"].is_string(), "{due}");
    }
    assert_eq!(second["key_held_by"], first["cid"]);
    let page = store.explain(cid(second));
    let says =
        format!("waiting for the concurrency key `k\\u{{1b}}` of probe.prints: {} holds it", cid(first));
    assert!(page.contains(&says), "{page}");
    let serving = store.serve();
    assert!(store.explain(cid(second)).contains(&says), "it is told beside an owner too");
    assert!(store.explain(cid(later)).contains("not due until "));
    serving.terminate();
}

#[test]
fn a_group_says_how_many_are_left_and_a_retry_what_went_before() {
    let store = Store::new();
    let mut begun = store.begin(["invoke", "probe.group"]);
    begun.logs("this command waits for these");
    let group = store.first_of("probe.fails-first");
    let page = store.explain(group["parent"].as_str().expect("the one that made it"));
    assert!(page.contains("open: 3 members have not ended"), "{page}");
    assert!(page.contains("waiting for attempt 2 at ") && page.contains("after `not\\nyet`"), "{page}");
    begun.terminate();
    let page = store.explain(cid(&group));
    assert!(
        page.contains("waiting for attempt 2 at ") && page.contains("as          member of a group"),
        "{page}"
    );
}

/// No process of the renamed service has opened the store yet.
#[test]
fn what_is_kept_under_a_former_name_is_listed_under_both() {
    let store = Store::new();
    store.zato(["invoke", "probe.fails", "why", "--async"]);
    store.zato(["invoke", "zato.ping"]).printed();
    let number = |name| format!("(SELECT id FROM service WHERE name = '{name}')");
    store.change("UPDATE service SET now_called = NULL WHERE name = 'probe.failed'");
    store.change(&format!(
        "UPDATE invocation SET service = {} WHERE service = {}",
        number("probe.failed"),
        number("probe.fails")
    ));
    for name in ["probe.fails", "probe.failed"] {
        for command in [&["invocations"][..], &["dead", "list"]] {
            let mut listed = store.command();
            listed.args(command).args(["--json", "--service", name]);
            let listed = crate::program::ran(listed.spawn().expect("cargo has built the program"));
            let services: Vec<_> = listed.values().iter().map(|value| value["service"].clone()).collect();
            assert_eq!(services, ["probe.failed"], "{name}: {listed:?}");
        }
    }
    let again = store.zato(["dead", "retry", "--all", "--service", "probe.fails", "--json"]);
    assert_eq!(again.values()[1]["service"], "probe.fails", "{again:?}");
    let services = |name| store.zato(["invocations", "--service", name, "--json"]).values().len();
    assert_eq!((services("probe.fails"), services("probe.failed"), services("zato.ping")), (2, 2, 1));
}

#[test]
fn labels_and_the_code_of_a_failure_are_values() {
    let store = Store::new();
    store.zato(["invoke", "probe.labels"]);
    let listed = store.first_of("probe.refuses");
    let explained = store.zato(["explain", cid(&listed), "--json"]).values().remove(0);
    let letter = store.zato(["dead", "list", "--json"]).values().remove(0);
    for value in [&listed, &explained, &explained["tree"][1], &letter] {
        assert_eq!(value["labels"], serde_json::json!({ "customer": "42", "region": "eu" }), "{value}");
        assert_eq!((&value["code"], &value["error"]), (&"order.empty".into(), &"nothing to charge".into()));
    }
    let root = store.first_of("probe.labels");
    assert_eq!((&root["labels"], &root["code"]), (&serde_json::json!({}), &serde_json::Value::Null));
    let page = store.explain(cid(&listed));
    assert!(page.contains("customer=42") && page.contains("order.empty"), "{page}");
}

/// `TZ` may name a zone of the system's database, or be a rule.
#[test]
fn times_are_shown_in_the_local_zone() {
    let store = Store::new();
    store.zato(["invoke", "zato.ping"]).printed();
    let zones = tempfile::tempdir().expect("a temporary directory");
    // Of each version of the format: a header, and one type of local time, which is 0 s from UTC and named `XYZ`.
    let part = |version: u8| {
        let mut part = [b"TZif".as_slice(), &[version], &[0; 15]].concat();
        for count in [0_u32, 0, 0, 0, 1, 4] {
            part.extend(count.to_be_bytes());
        }
        [part.as_slice(), &[0; 6], b"XYZ\0"].concat()
    };
    let zone = [part(b'2'), part(b'2'), b"\nXYZ-5\n".to_vec()].concat();
    std::fs::create_dir(zones.path().join("Far")).expect("it can be made");
    std::fs::write(zones.path().join("Far/Away"), zone).expect("it can be written");
    for (zone, arguments, name) in [
        ("Far/Away", &["invocations"][..], " XYZ "),
        (":Far/Away", &["invocations"], " XYZ "),
        ("ABC-3", &["invocations"], " ABC "),
        ("Far/Away", &["invocations", "--utc"], " UTC "),
    ] {
        let mut command = store.command();
        command.args(arguments).env("TZ", zone).env("TZDIR", zones.path());
        let listed = crate::program::ran(command.spawn().expect("cargo has built the program"));
        assert!(listed.printed().contains(name), "{zone}: {listed:?}");
    }
}

#[test]
fn a_list_goes_on_page_by_page() {
    let store = Store::new();
    for text in ["one", "two", "three"] {
        store.zato(["invoke", "zato.helpers.echo", text]).printed();
    }
    let page = store.zato(["invocations", "--limit", "2", "--json"]);
    let first: Vec<_> = page.values().iter().map(|value| cid(value).to_owned()).collect();
    assert_eq!(first.len(), 2);
    assert!(first[0] > first[1], "the newest comes first");
    let table = store.zato(["invocations", "--limit", "2"]);
    assert!(table.stderr.contains(&format!("older ones: `--before {}`", first[1])), "{table:?}");
    let next = store.zato(["invocations", "--before", &first[1], "--json"]).values();
    assert_eq!(next.len(), 1);
    assert!(cid(&next[0]) < &*first[1]);
    let none = store.zato(["invocations", "--state", "dead"]);
    assert_eq!((none.printed(), &*none.stderr), ("", "no such invocations in `sqlite:zato.db`\n"));
}

#[test]
fn as_json_an_explanation_has_its_tree() {
    let store = Store::new();
    store.zato(["invoke", "probe.calls", "--json"]).printed();
    let root = store.first_of("probe.calls");
    let explained = store.zato(["explain", cid(&root), "--json"]);
    explained.printed();
    let value = &explained.values()[0];
    assert_eq!((&value["outcome"], &value["swept"]), (&"Completed".into(), &0.into()));
    let tree = value["tree"].as_array().expect("a tree");
    let services: Vec<_> = tree.iter().map(|value| value["service"].as_str().unwrap_or_default()).collect();
    assert_eq!(services, ["probe.calls", "zato.ping"]);
    assert_eq!((&tree[1]["parent"], &tree[1]["caller"]), (&root["cid"], &"probe.calls".into()));
}

#[test]
fn payloads_are_shown_when_they_are_asked_for() {
    let store = Store::new();
    store.zato(["invoke", "zato.helpers.echo", "{\"n\": 123456789012345678901234567890}"]).printed();
    let echo = store.first_of("zato.helpers.echo");
    assert!(!store.explain(cid(&echo)).contains("1234567890"));
    let page = store.zato(["explain", cid(&echo), "--payload"]);
    let whole = "{\"n\": 123456789012345678901234567890}";
    assert_eq!(page.printed().matches(whole).count(), 2, "the request and the response: {page:?}");
    let json = store.zato(["explain", cid(&echo), "--payload", "--json"]);
    let line = json.printed().trim_end();
    assert!(!line.contains('\n'), "one value is one line: {line}");
    for part in [format!("\"request\":{whole}"), format!("\"response\":{whole}")] {
        assert!(line.contains(&part), "`{part}` in {line}");
    }
    let without = store.zato(["explain", cid(&echo), "--json"]);
    assert!(!without.printed().contains("\"request\""), "{without:?}");
}

/// What a handler has written into an error moves no cursor.
#[test]
fn what_is_shown_is_escaped() {
    let store = Store::new();
    store.zato(["invoke", "probe.fails", "why"]);
    store.zato(["invoke", "probe.fails", "why", "--async"]);
    let listed = store.zato(["invocations"]);
    let dead = store.zato(["dead", "list"]);
    let page = store.explain(cid(&store.first_of("probe.fails")));
    for shown in [listed.printed(), dead.printed(), &page] {
        assert!(shown.contains("\\u{1b}[31mwhy") && !shown.contains('\u{1b}'), "{shown}");
    }
}

/// Times are in the zone of whoever looks, in UTC if that is asked for, and in JSON always in UTC.
#[test]
fn times_are_local_or_in_utc() {
    let store = Store::new();
    store.zato(["invoke", "zato.ping"]).printed();
    let value = store.first_of("zato.ping");
    let called_at = value["called_at"].as_str().expect("a time").replace('T', " ");
    assert!(called_at.ends_with('Z'), "{called_at}");
    let minutes = &called_at[14..23];
    let shown = |arguments: &[&str]| {
        let mut command = store.command();
        // Without a data base of zones, as in small containers: a zone may be written out.
        command.env("TZ", "XYZ-05:00").args(arguments);
        let output = command.output().expect("cargo has built the program");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let hour: u32 = called_at[11..13].parse().expect("an hour");
    let local = format!(" {:02}:{minutes} XYZ", (hour + 5) % 24);
    let utc = format!(" {hour:02}:{minutes} UTC");
    for command in [&["invocations"][..], &["explain", cid(&value)]] {
        let text = shown(command);
        assert!(text.contains(&local) && !text.contains("UTC"), "{local} in {text}");
        let text = shown(&[command, &["--utc"]].concat());
        assert!(text.contains(&utc), "{utc} in {text}");
    }
    assert!(shown(&["invocations", "--json"]).contains(&format!("{minutes}Z")));
}

#[test]
fn a_service_that_does_not_exist_is_named_where_nothing_is_listed() {
    let store = Store::new();
    store.zato(["invoke", "zato.ping"]).printed();
    for command in
        [&["invocations", "--service", "probe.print"][..], &["dead", "list", "--service", "probe.print"]]
    {
        let ran = store.zato_with("sqlite:zato.db", command);
        assert_eq!(ran.printed(), "");
        assert!(ran.stderr.contains("did you mean `probe.prints`?"), "{ran:?}");
    }
    let ran = store.zato(["invocations", "--service", "probe.prints"]);
    assert_eq!(ran.stderr, "no such invocations in `sqlite:zato.db`\n");
}
