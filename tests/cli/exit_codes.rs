//! The exit codes are those that the help lists, and a fault is blamed on its source.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::app::configured;
use crate::program::{self, directory};
use crate::store::Store;
use crate::two_crates::{PROGRAM, zato};

#[test]
fn the_help_lists_the_exit_codes() {
    let help = zato(["--help"]);
    let codes = help.printed().split("Exit codes:").nth(1).expect("there is a table").lines();
    let codes: Vec<_> = codes.filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(codes, ["0", "1", "2", "130", "143"]);
}

#[test]
fn a_faulty_command_line_or_environment_is_2_and_names_its_source() {
    let directory = directory();
    for (variables, arguments, said) in [
        (&[("ZATO_ENGINE", "")][..], &["invoke", "zato.ping"][..], "`ZATO_ENGINE` is set but empty"),
        (&[("ZATO_ENGINE", "nope:")], &["invocations"], "`ZATO_ENGINE=nope:`"),
        (&[("ZATO_ENGINE", "nope:")], &["services"], "`ZATO_ENGINE=nope:`"),
        (&[("ZATO_ENGINE", " ")], &["invocations"], "`ZATO_ENGINE` is set but empty"),
        (
            &[("TOKIO_WORKER_THREADS", "abc")],
            &["invoke", "zato.ping"],
            "`TOKIO_WORKER_THREADS` is set to `abc`",
        ),
        (&[("TOKIO_WORKER_THREADS", "0")], &["serve"], "must be a whole number from 1"),
        (&[("TOKIO_WORKER_THREADS", "")], &["run", "zato.ping"], "`TOKIO_WORKER_THREADS` is set to ``"),
        (&[], &["serve", "--engine", ""], "`--engine` is set but empty"),
        (&[], &["services", "--engine="], "`--engine` is set but empty"),
        (&[("CONFIGURED_ENGINE", "")], &["check"], "`.engine(..)` is set but empty"),
        (&[], &["check", "--engine", "a b"], "`--engine 'a b'`"),
        (&[("CONFIGURED_ENGINE", "nope:")], &["check"], "`.engine(\"nope:\")`"),
        (&[("ZATO_LOG", "bogus")], &["services"], "`ZATO_LOG=bogus`"),
        (&[("ZATO_LOG", "info")], &["services", "--log", "bogus"], "`--log bogus`"),
        (&[], &["services", "--log", ""], "`--log ''`: an empty text is not a level"),
        (&[], &["services", "--log", "info,"], "`--log info,`: an empty text is not a level"),
        (&[], &["services", "--log-format", "xml"], "'xml'"),
        (&[], &["explain", "12345"], "'12345'"),
        (&[], &["invoke", "zato.ping", "--engine", "memory:", "--no-wait"], "`--no-wait`"),
    ] {
        let ran = configured(directory.path(), variables, arguments);
        let error = ran.refused(2);
        assert!(error.contains(said), "{said} in {error}");
        assert!(
            variables
                .iter()
                .all(|(name, _)| *name != "ZATO_LOG" || said.contains("--log") || !error.contains("--log"))
        );
    }
    assert_eq!(std::fs::read_dir(directory.path()).expect("it can be listed").count(), 0, "nothing was done");
}

/// Bytes that are not UTF-8 are blamed on the argument or the variable that has them.
#[cfg(unix)]
#[test]
fn text_that_is_not_utf_8_is_named() {
    use std::os::unix::ffi::OsStrExt as _;

    let bytes = std::ffi::OsStr::from_bytes(b"sqlite:\xff.db");
    let refused = |command: &mut Command| {
        let ran = program::ran(command.arg("services").spawn().expect("cargo has built the program"));
        ran.refused(2).to_owned()
    };
    for variable in ["ZATO_ENGINE", "ZATO_LOG"] {
        let error = refused(program::command(PROGRAM).env(variable, bytes));
        assert_eq!(error, format!("error: `{variable}` is not UTF-8: `sqlite:\u{fffd}.db`\n"));
    }
    let error = refused(program::command(PROGRAM).arg("--engine").arg(bytes));
    assert!(error.contains("the command line is not UTF-8: `sqlite:\u{fffd}.db`"), "{error}");
    assert!(error.contains("`--file FILE`"), "{error}");
    // The option overrides the variable, which is then not read.
    let mut command = program::command(PROGRAM);
    command.env("ZATO_ENGINE", bytes).args(["services", "--engine", "memory:"]);
    program::ran(command.spawn().expect("cargo has built the program")).printed();
}

#[test]
fn an_empty_level_in_the_environment_is_none() {
    let directory = directory();
    for variables in [[("ZATO_LOG", "")], [("RUST_LOG", "")]] {
        let ran = configured(directory.path(), &variables, &["invoke", "zato.helpers.input-logger", "hi"]);
        ran.printed();
        assert!(ran.stderr.contains("payload=hi"), "{ran:?}");
    }
}

#[test]
fn ctrl_c_is_130_and_a_stop_that_was_asked_for_is_no_failure_of_serve() {
    let store = Store::new();
    let mut begun = store.begin(["invoke", "probe.finishes"]);
    begun.prints("runs");
    begun.signal("-INT");
    assert_eq!(begun.ended().code, Some(130), "what ran was finished, but the command was stopped");
    let mut begun = store.begin(["invoke", "probe.runs", "one", "--json", "--async"]);
    begun.prints("one runs as");
    begun.signal("-TERM");
    let ran = begun.ended();
    assert_eq!(ran.code, Some(143));
    assert!(ran.stdout.ends_with("{\"error\":\"stopped by SIGTERM\"}\n"), "{ran:?}");
    assert!(!ran.stderr.contains("error:"), "it did what it was asked to: {ran:?}");
    // Nobody else waits for a synchronous call: it ends with its process.
    let mut begun = store.begin(["invoke", "probe.runs", "two", "--json"]);
    begun.prints("two runs as");
    begun.signal("-TERM");
    let ran = begun.ended();
    assert_eq!(ran.code, Some(143));
    assert!(ran.stdout.contains("\"outcome\":\"Cancelled\""), "{ran:?}");

    for signal in ["-INT", "-TERM"] {
        let serving = store.serve();
        serving.signal(signal);
        assert_eq!(serving.ended().code, Some(0));
    }
    let mut begun = store.begin(["invoke", "probe.deaf"]);
    begun.prints("runs");
    begun.signal("-INT");
    begun.logs("stopping: running handlers may finish");
    begun.signal("-INT");
    let ran = begun.ended();
    assert_eq!(ran.code, Some(130));
    assert!(ran.stderr.contains("stopped by ctrl-C: unfinished invocations are kept"), "{ran:?}");
}

#[test]
fn a_device_without_room_is_an_error_and_a_closed_pipe_is_none() {
    let full = || File::options().write(true).open("/dev/full").expect("Linux has one");
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["help", "invoke"],
        &["services"],
        &["check", "--json"],
        &["invoke", "zato.ping"],
    ] {
        let mut command = program::command(PROGRAM);
        command.args(arguments).env("ZATO_ENGINE", "memory:").stdin(Stdio::null()).stdout(full());
        let output = command.output().expect("cargo has built the program");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains("cannot write to standard output: No space left"), "{arguments:?}: {error}");

        // The reader of both has gone before anything is written.
        let (stdout, stderr) = (closed_pipe(), closed_pipe());
        let mut command = program::command(PROGRAM);
        command.args(arguments).env("ZATO_ENGINE", "memory:").stdin(Stdio::null());
        let status = command.stdout(stdout).stderr(stderr).status().expect("cargo has built the program");
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}

/// Tokio panics where it receives no file for its signals.
#[cfg(unix)]
#[test]
fn a_program_that_may_open_few_files_says_so() {
    let store = Store::new();
    store.zato(["invoke", "zato.ping"]).printed();
    for command in ["invoke zato.ping", "invocations"] {
        for most in 5..12 {
            let mut limited = Command::new("sh");
            let line = format!("ulimit -n {most}; exec {} {command}", env!("CARGO_BIN_EXE_probe"));
            limited.args(["-c", &line]).current_dir(store.directory.path()).env_remove("ZATO_ENGINE");
            let output = limited.stdin(Stdio::null()).output().expect("there is a shell");
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{most}: {error}");
            assert!(error.starts_with("error: ") && error.contains("Too many open files"), "{most}: {error}");
        }
    }
}

/// A pipe that nobody reads any more.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    writer.into()
}

/// What is said on standard error, the log included, fails nothing where nobody reads it.
#[test]
fn a_closed_standard_error_is_no_failure() {
    let mut command = Command::new(PROGRAM);
    command.env("ZATO_ENGINE", "memory:").args(["invoke", "zato.helpers.input-logger", "hi"]);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(closed_pipe()).status();
    assert_eq!(status.expect("cargo has built the program").code(), Some(0));
}
