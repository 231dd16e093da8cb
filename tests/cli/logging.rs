//! The log: where its levels come from, and its formats.

use crate::app::configured;
use crate::program::directory;

const LOGGER: [&str; 3] = ["invoke", "zato.helpers.input-logger", "hi"];

#[test]
fn levels_come_from_the_option_then_zato_log_then_rust_log() {
    let directory = directory();
    let logs = |variables: &[(&str, &str)], more: &[&str]| {
        let ran = configured(directory.path(), variables, &[&LOGGER[..], more].concat());
        ran.printed();
        ran.stderr.contains("payload=hi")
    };
    let (rust, zato) = (("RUST_LOG", "warn"), ("ZATO_LOG", "info"));
    assert!(logs(&[], &[]), "INFO is the default");
    assert!(!logs(&[rust], &[]));
    assert!(logs(&[rust, zato], &[]), "ZATO_LOG overrides RUST_LOG");
    assert!(!logs(&[zato], &["--log", "warn"]), "the option overrides both");
    assert!(logs(&[("RUST_LOG", "warn,zato_runtime=info")], &[]));
    assert!(logs(&[("RUST_LOG", "zato_runtime")], &[]), "a module alone is logged in full");
    assert!(!logs(&[("RUST_LOG", "other=debug")], &[]), "what RUST_LOG does not name is off");
}

#[test]
fn what_is_wrong_in_rust_log_is_skipped_with_a_note() {
    let directory = directory();
    let ran = configured(directory.path(), &[("RUST_LOG", "info,x=loud")], &LOGGER);
    ran.printed();
    assert!(ran.stderr.contains("`RUST_LOG`: `x=loud` is not a level, and is skipped"), "{ran:?}");
    assert!(ran.stderr.contains("payload=hi"), "{ran:?}");
}

#[test]
fn as_json_each_event_is_an_object() {
    let directory = directory();
    let ran = configured(directory.path(), &[], &[&LOGGER[..], &["--log-format", "json"]].concat());
    ran.printed();
    let lines: Vec<_> = ran.stderr.lines().filter(|line| line.starts_with('{')).collect();
    let events = lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let input = events.into_iter().find(|event| event["message"] == "input").expect("it is logged");
    assert_eq!((&input["payload"], &input["level"]), (&"hi".into(), &"INFO".into()));
    assert!(input["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{input}");
}
