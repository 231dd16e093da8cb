//! A program with settings and resources: `App`.

use std::path::Path;

use crate::program::{self, Ran, directory};

const CONFIGURED: &str = env!("CARGO_BIN_EXE_configured");

/// Runs the program in a directory, with these variables.
pub(crate) fn configured(directory: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut command = program::command(CONFIGURED);
    command.current_dir(directory).envs(variables.iter().copied()).args(arguments);
    let mut child = command.spawn().expect("cargo has built the program");
    drop(child.stdin.take());
    program::ran(child)
}

#[test]
fn resources_are_provided_and_made_before_a_service_runs() {
    let directory = directory();
    let ran = configured(directory.path(), &[("CONFIGURED_RATE", "2")], &["invoke", "configured.price", "3"]);
    assert_eq!((ran.printed(), &*ran.stderr), ("6.00 USD\n", "the rates are made\n"));
}

#[test]
fn commands_that_only_look_make_no_resources() {
    let directory = directory();
    configured(directory.path(), &[], &["invoke", "zato.ping"]).printed();
    for command in [&["services"][..], &["check"], &["invocations"], &["dead", "list"]] {
        let ran = configured(directory.path(), &[("CONFIGURED_RATE", "none")], command);
        ran.printed();
        assert!(!ran.stderr.contains("the rates are made"), "{command:?}: {ran:?}");
    }
}

/// A service that another program has announced in the store is not unknown, but it does not run here.
#[test]
fn a_service_of_another_program_on_the_store_is_called_in_the_background() {
    let store = crate::store::Store::new();
    store.zato(["invoke", "zato.ping"]).printed();
    let invoke = |options: &[&str]| {
        let call = ["invoke", "probe.prints", "hi"].iter().chain(options).copied().collect::<Vec<_>>();
        configured(store.directory.path(), &[], &call)
    };
    let error = invoke(&[]).refused(1).to_owned();
    assert!(error.contains("`probe.prints` belongs to another program"), "{error}");
    assert!(error.contains("`--async --no-wait`") && !error.contains("use the_crate"), "{error}");
    invoke(&["--async", "--no-wait"]).printed();
    let mut serving = store.begin(["serve"]);
    serving.prints("hi");
    serving.terminate();
}

#[test]
fn a_resource_that_cannot_be_made_is_named_with_its_cause() {
    let directory = directory();
    let ran =
        configured(directory.path(), &[("CONFIGURED_RATE", "none")], &["invoke", "configured.price", "3"]);
    let error = ran.refused(1);
    assert_eq!(error, "error: the resource `Rates` cannot be made: invalid float literal\n");
}

#[test]
fn a_resource_that_nobody_provides_is_a_fault_and_a_promised_one_is_not() {
    let directory = directory();
    let ran = configured(directory.path(), &[("CONFIGURED_WITHOUT", "1")], &["check"]);
    let error = ran.refused(1);
    assert!(error.contains("no `Currency` was provided") && !error.contains("Rates"), "{error}");
    assert!(error.contains("`configured.price` needs one for `currency`"), "{error}");
    assert!(error.lines().all(|line| line.len() < 140), "a line for each thing: {error}");
}

#[test]
fn the_version_is_the_programs() {
    let directory = directory();
    let ran = configured(directory.path(), &[], &["--version"]);
    assert!(ran.printed().starts_with("configured 7.8.9 (zato-runtime "), "{ran:?}");
}

/// Default, `configure`, environment, command line: the last counts.
#[test]
fn the_command_line_overrides_the_environment_and_that_the_program() {
    let directory = directory();
    let is_there = |name: &str| directory.path().join(name).exists();
    let program = ("CONFIGURED_ENGINE", "sqlite:program.db");
    configured(directory.path(), &[program], &["invoke", "zato.ping"]).printed();
    assert!(is_there("program.db") && !is_there("zato.db"));
    let help = configured(directory.path(), &[program], &["--help"]);
    assert!(help.printed().contains("[default: sqlite:program.db]"), "{help:?}");

    let environment = ("ZATO_ENGINE", "sqlite:environment.db");
    configured(directory.path(), &[program, environment], &["invoke", "zato.ping"]).printed();
    assert!(is_there("environment.db"));
    let line = ["invoke", "zato.ping", "--engine", "sqlite:line.db"];
    configured(directory.path(), &[program, environment], &line).printed();
    assert!(is_there("line.db"));
    let listed = configured(directory.path(), &[program], &["invocations", "--json"]);
    assert_eq!(listed.values().len(), 1, "each store has one");
}

#[test]
fn settings_reach_the_runtime() {
    let directory = directory();
    let ran = configured(directory.path(), &[], &["invoke", "configured.alone"]);
    ran.printed();
    // One runs at a time, so the other began after this one had ended.
    let listed = configured(directory.path(), &[], &["invocations", "--json"]);
    let find = |service: &str| {
        listed.values().into_iter().find(|value| value["service"] == service).expect("it is listed")
    };
    let (alone, ping) = (find("configured.alone"), find("zato.ping"));
    assert!(ping["started_at"].as_str() >= alone["ended_at"].as_str(), "{ping} {alone}");
}

#[test]
fn inside_of_tokio_it_says_what_to_do() {
    let directory = directory();
    let inside = [("CONFIGURED_INSIDE_TOKIO", "1")];
    let ran = configured(directory.path(), &inside, &["invoke", "zato.ping"]);
    let error = ran.refused(1);
    for cure in ["`#[tokio::main]`", "`App::provide_with`", "`Runtime::builder()`"] {
        assert!(error.contains(cure), "{error}");
    }
    assert!(!error.contains("panicked"), "{error}");
    configured(directory.path(), &inside, &["--help"]).printed();
}
