//! `invoke --async`: the CID at once, then the outcome of all that follows.

use crate::program::{Ran, is_cid, numbered};
use crate::two_crates::{ADA, ZOE, zato};

/// The lines with numbers for CIDs, those that follow upon the first two in any order.
fn lines(ran: &Ran) -> Vec<String> {
    let numbered = numbered(&ran.stdout);
    let mut lines: Vec<_> = numbered.lines().map(str::to_owned).collect();
    lines[1..].sort();
    lines
}

#[test]
fn the_cid_comes_first_and_then_every_outcome() {
    let ran = zato(["invoke", "greetings.welcome", ADA, "--async"]);
    ran.printed();
    let lines = lines(&ran);
    assert_eq!(lines[0], "<cid 1>");
    assert_eq!(lines.len(), 4);
    for (service, outcome) in [
        ("greetings.welcome", "Completed"),
        ("greetings.hello", "Completed: Dzień dobry, Ada!"),
        ("greetings.welcome-async-callback", "Completed"),
    ] {
        let told = |line: &String| line.contains(&format!("> {service} ")) && line.ends_with(outcome);
        assert!(lines.iter().any(told), "`{service}` in {lines:?}");
    }
    assert!(lines.iter().any(|line| line.contains("in reply to <cid")), "{lines:?}");
}

#[test]
fn as_json_every_outcome_is_a_value() {
    let ran = zato(["invoke", "greetings.welcome", ADA, "--async", "--json", "--log", "off"]);
    ran.printed();
    let values = ran.values();
    let root = values[0]["cid"].as_str().expect("the CID comes first");
    assert!(is_cid(root) && values.len() == 4);
    assert!(values[1..].iter().all(|value| value["root"] == root && value["outcome"] == "Completed"));
    let find =
        |service: &str| values[1..].iter().find(|value| value["service"] == service).expect("it has run");
    let (hello, callback) = (find("greetings.hello"), find("greetings.welcome-async-callback"));
    assert_eq!(hello["parent"], root);
    assert_eq!(hello["response"], "Dzień dobry, Ada!");
    assert_eq!(callback["in_reply_to"], hello["cid"]);
}

#[test]
fn a_callback_may_be_named_for_success_and_for_failure() {
    const LOGGER: &str = "zato.helpers.input-logger";
    let ran =
        zato(["invoke", "greetings.hello", ADA, "--async", "--callback", LOGGER, "--callback", "zato.ping"]);
    ran.printed();
    assert_eq!(ran.stdout.lines().count(), 4, "{ran:?}");
    assert!(ran.stderr.contains("payload=Dzień dobry, Ada!"), "{ran:?}");

    let ran = zato([
        "invoke",
        "greetings.hello",
        ZOE,
        "--async",
        "--callback",
        "zato.ping",
        "--on-failure",
        LOGGER,
    ]);
    assert_eq!(ran.code, Some(1));
    let lines = lines(&ran);
    assert!(lines.iter().any(|line| line.contains("Failed: no greeting in `xx`")), "{lines:?}");
    assert!(
        lines.iter().any(|line| line.contains(&format!("{LOGGER} (in reply to <cid 1>) Completed"))),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 3);
    assert!(ran.stderr.contains("\"outcome\":\"Failed\""), "{ran:?}");
}

#[test]
fn a_failure_anywhere_in_the_tree_is_in_the_exit_code() {
    let ran = zato(["invoke", "greetings.welcome", ZOE, "--async"]);
    assert_eq!(ran.code, Some(1));
    assert!(lines(&ran).iter().any(|line| line.ends_with("greetings.welcome Completed")), "{ran:?}");
}

#[test]
fn an_unknown_callback_is_refused_before_there_is_a_cid() {
    for option in ["--callback", "--on-failure"] {
        let ran = zato(["invoke", "zato.ping", "--async", option, "greetings.helo"]);
        assert!(ran.refused(1).contains("did you mean `greetings.hello`?"), "{ran:?}");
    }
}
