//! Examples whose output is the same in every run.

use crate::expected::assert_expected;
use crate::program::run;

const NONE: [&str; 0] = [];

#[test]
fn async_invoke_shows_the_three_patterns() {
    let ran = run(env!("CARGO_BIN_EXE_async_invoke"), NONE);
    assert_expected("async_invoke", &ran.stdout);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
}

#[test]
fn embedded_runs_beside_other_work() {
    let ran = run(env!("CARGO_BIN_EXE_embedded"), NONE);
    assert_expected("embedded", &ran.stdout);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
}

#[test]
fn trip_asks_many_goes_on_step_by_step_and_puts_right_what_failed() {
    let ran = run(env!("CARGO_BIN_EXE_trip"), NONE);
    assert_expected("trip", &ran.stdout);
    let explained = run(env!("CARGO_BIN_EXE_trip"), ["--explain"]).stdout;
    for part in ["zato.chain (chain of 3 steps)", "run again as", "attempt 2 at", "<== this one"] {
        assert!(explained.contains(part), "`{part}` in {explained}");
    }
}

#[test]
fn two_crates_links_the_services_of_its_library() {
    let ran = run(env!("CARGO_BIN_EXE_two_crates"), ["services"]);
    assert_expected("two_crates", &ran.stdout);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
}
