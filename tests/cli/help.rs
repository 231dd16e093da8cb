//! Every command and every option says what it is for.

use crate::program;
use crate::two_crates::{PROGRAM, zato};

const COMMANDS: [&str; 9] =
    ["serve", "services", "check", "invoke", "run", "explain", "invocations", "dead", "cancel"];

#[test]
fn without_a_command_the_help_is_shown() {
    let ran = zato([]);
    assert_eq!((ran.code, &*ran.stdout), (Some(2), ""));
    assert!(COMMANDS.iter().all(|command| ran.stderr.contains(command)), "{}", ran.stderr);
    assert!(ran.stderr.contains("\nExamples:\n"), "also where `ZATO_ENGINE` is set: {}", ran.stderr);
    let ran = zato(["dead"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("retry  "), "{ran:?}");
}

#[test]
fn the_help_lists_all_commands_and_shows_examples() {
    let help = zato(["--help"]);
    let help = help.printed();
    for command in COMMANDS {
        assert!(
            help.lines().any(|line| line.starts_with(&format!("  {command}  "))),
            "`{command}` in {help}"
        );
    }
    assert!(help.contains("\nExamples:\n"), "{help}");
}

#[test]
fn every_command_and_option_has_a_text() {
    let below = ["list", "retry", "discard"].map(|command| vec!["help", "dead", command]);
    for command in COMMANDS.map(|command| vec!["help", command]).into_iter().chain(below) {
        let help = program::run(PROGRAM, &command);
        let (help, command) = (help.printed(), command.join(" "));
        let needs_examples = !["services", "check", "dead"].contains(&command.trim_start_matches("help "));
        assert!(help.contains("\nExamples:\n  two_crates ") || !needs_examples, "{help}");
        assert!(!help.starts_with("Usage"), "`{command}` says what it does: {help}");
        let lines: Vec<_> = help.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let entry = line.trim_start();
            if line.len() == entry.len()
                || !entry.starts_with(['-', '<', '['])
                || entry.starts_with("[default")
            {
                continue;
            }
            // The text follows after two spaces, or stands in the next line.
            let told = entry.contains("  ") || lines.get(at + 1).is_some_and(|next| !next.trim().is_empty());
            assert!(told || entry.starts_with("[env"), "`{entry}` of `{command}` has no text: {help}");
        }
    }
}

#[test]
fn the_help_says_what_an_option_accepts() {
    for (command, said) in [
        (&["--help"][..], "The format of the log: text, or json"),
        (&["--help"], "`ZATO_ENGINE` is read"),
        (&["--help"], "`ZATO_LOG` is read, and then `RUST_LOG`"),
        (&["help", "invocations"], "under its former names too"),
        (&["help", "dead"], "background invocations that ended in anything but Completed"),
    ] {
        let help = program::run(PROGRAM, command);
        let words: Vec<_> = help.printed().split_whitespace().collect();
        assert!(words.join(" ").contains(said), "{said} in {}", help.stdout);
    }
}

#[test]
fn a_mistake_on_the_command_line_is_told_with_the_usage() {
    for (ran, said) in [
        (zato(["nope"]), "'nope'"),
        (zato(["invoke"]), "<NAME>"),
        (zato(["run"]), "<NAME>"),
        (zato(["services", "all"]), "'all'"),
        (zato(["invoke", "zato.ping", "x", "--file", "y"]), "--file"),
    ] {
        let error = ran.refused(2);
        assert!(error.contains(said) && error.contains("Usage: two_crates"), "{error}");
    }
}

#[test]
fn a_version_is_printed() {
    assert!(zato(["--version"]).printed().contains(env!("CARGO_PKG_VERSION")));
}
