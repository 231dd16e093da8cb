//! On a terminal, which is a pseudo-terminal here: widths, colours, questions, and signs of life.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::pty::{OpenptyResult, Winsize, openpty};

use crate::store::{Store, cid};

/// A program on a terminal of its own.
struct OnTerminal {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

/// The streams that are the terminal; the others are pipes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Streams {
    All,
    AllButInput,
}

impl OnTerminal {
    fn start(mut command: Command, columns: u16, streams: Streams) -> Self {
        let size = Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(&size, None).expect("a pseudo-terminal");
        let terminal = || -> Stdio { slave.try_clone().expect("it can be shared").into() };
        command.stdout(terminal()).stderr(terminal());
        command.stdin(if streams == Streams::All { terminal() } else { Stdio::null() });
        let child = command.spawn().expect("cargo has built the program");
        // The parent's copies are closed, so that reading ends when the program does.
        drop((command, slave));
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().expect("it can be read and written");
        let (send, read) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            // Linux says EIO when the last program has closed it.
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                if send.send(bytes[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, keyboard, screen: read, seen: String::new() }
    }

    /// Waits until the screen has shown this.
    #[track_caller]
    fn shows(&mut self, part: &str) {
        while !self.seen.contains(part) {
            match self.screen.recv_timeout(Duration::from_mins(1)) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("`{part}` is not in {}: {error}", self.seen),
            }
        }
    }

    fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("it can be written");
    }

    /// Waits for the end; returns the exit code and everything that was shown.
    fn ended(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().expect("it ends").code();
        for bytes in &self.screen {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        (code, self.seen.replace('\r', ""))
    }
}

fn terminal(store: &Store, columns: u16, arguments: &[&str], variables: &[(&str, &str)]) -> OnTerminal {
    let mut command = store.command();
    command.args(arguments).env("TERM", "xterm");
    // Whatever else decides about colours: a build server sets `CI`, which counts as a wish for them.
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        command.env_remove(variable);
    }
    command.envs(variables.iter().copied());
    OnTerminal::start(command, columns, Streams::All)
}

/// What a command shows on a terminal, without colours.
fn shown(store: &Store, columns: u16, arguments: &[&str]) -> String {
    let (code, shown) = terminal(store, columns, arguments, &[("NO_COLOR", "1")]).ended();
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
    shown
}

/// A store with one that completed, one that failed with a long reason, and one that waits.
fn filled() -> Store {
    let store = Store::new();
    store.zato(["invoke", "zato.ping"]).printed();
    store.zato(["invoke", "probe.fails", &"a long reason, ".repeat(20), "--async"]);
    store.zato(["invoke", "probe.later", "hi", "--no-wait"]).printed();
    store
}

#[test]
fn tables_are_fitted_to_the_terminal_and_say_early_how_it_ended() {
    let store = filled();
    for command in [&["invocations"][..], &["dead", "list"], &["services"]] {
        for columns in [80, 120, 200] {
            let table = shown(&store, columns, command);
            for line in table.lines() {
                let width = line.chars().count();
                assert!(width <= usize::from(columns), "{width} of {columns} in `{line}`");
            }
        }
    }
    // A terminal that does not know its size is as wide as they usually are.
    let unknown = shown(&store, 0, &["invocations"]);
    assert!(unknown.lines().all(|line| line.chars().count() <= 80), "{unknown}");
    let table = shown(&store, 80, &["invocations"]);
    let failed = table.lines().find(|line| line.contains("Failed")).expect("it is listed");
    let end = cid(&store.first_of("probe.fails"))[24..].to_owned();
    assert!(failed.starts_with(&format!("{end}  Failed     probe.fails")), "{failed}");
    assert!(failed.contains("a long") && failed.ends_with('…'), "{failed}");
    assert!(table.lines().any(|line| line.contains("  waiting  ")), "{table}");

    // In a pipe there is no width: programs read what is whole.
    let piped = store.zato(["invocations"]);
    assert!(piped.printed().contains(cid(&store.first_of("probe.fails"))), "{piped:?}");
    assert!(piped.stdout.lines().any(|line| line.len() > 300), "{piped:?}");
}

#[test]
fn colours_are_for_terminals() {
    let store = filled();
    let has_colour = |text: &str| text.contains("\u{1b}[3") || text.contains("\u{1b}[1m");
    let (_, coloured) = terminal(&store, 80, &["invocations"], &[]).ended();
    assert!(has_colour(&coloured), "{coloured}");
    let (code, error) = terminal(&store, 80, &["invoke", "x.unknown"], &[]).ended();
    assert!(has_colour(&error) && code == Some(1), "{error}");
    for variables in [[("NO_COLOR", "1")], [("TERM", "dumb")], [("CLICOLOR", "0")]] {
        let (_, plain) = terminal(&store, 80, &["invocations"], &variables).ended();
        assert!(!has_colour(&plain), "{variables:?}: {plain}");
    }
    assert!(!has_colour(store.zato(["invocations"]).printed()), "a pipe has none");
    let mut forced = store.command();
    let forced = forced.args(["invocations"]).env("CLICOLOR_FORCE", "1").output().expect("it runs");
    assert!(has_colour(&String::from_utf8_lossy(&forced.stdout)), "{forced:?}");
}

#[test]
fn discarding_all_is_asked_about() {
    let store = filled();
    let count = || store.zato(["dead", "list", "--json"]).values().len();
    let mut asked = terminal(&store, 80, &["dead", "discard", "--all"], &[("NO_COLOR", "1")]);
    asked.shows("delete 1 dead letter for good?");
    asked.types("n\n");
    let (code, shown) = asked.ended();
    assert!(code == Some(1) && shown.contains("nothing was discarded"), "{shown}");
    assert_eq!(count(), 1);

    let mut asked = terminal(&store, 80, &["dead", "discard", "--all"], &[("NO_COLOR", "1")]);
    asked.shows("for good?");
    asked.types("yes\n");
    let (code, shown) = asked.ended();
    assert!(code == Some(0) && shown.contains("1 dead letter discarded"), "{shown}");
    assert_eq!(count(), 0);
}

#[test]
fn without_a_terminal_to_ask_on_nothing_is_discarded() {
    let store = filled();
    let mut command = store.command();
    command.args(["dead", "discard", "--all"]).env("NO_COLOR", "1");
    let (code, shown) = OnTerminal::start(command, 80, Streams::AllButInput).ended();
    assert!(code == Some(2) && shown.contains("add `--yes`"), "{shown}");
    assert_eq!(store.zato(["dead", "list", "--json"]).values().len(), 1);
}

#[test]
fn a_request_that_is_read_from_the_terminal_is_asked_for_and_can_be_stopped() {
    let store = Store::new();
    for arguments in [["invoke", "zato.helpers.echo", "-"], ["invoke", "zato.helpers.echo", "--file=-"]] {
        let mut reading = terminal(&store, 80, &arguments, &[("NO_COLOR", "1")]);
        reading.shows("reading the request from the terminal; ctrl-D ends it");
        let pid = reading.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status();
        assert!(sent.expect("kill is installed").success());
        let (code, shown) = reading.ended();
        assert!(code == Some(130) && shown.contains("stopped by ctrl-C: nothing was started"), "{shown}");
    }
    let mut reading = terminal(&store, 80, &["invoke", "zato.helpers.echo", "-"], &[("NO_COLOR", "1")]);
    reading.shows("ctrl-D ends it");
    reading.types("hi\n\u{4}");
    let (code, shown) = reading.ended();
    assert!(code == Some(0) && shown.ends_with("hi\n"), "{shown}");
}

#[test]
fn an_invocation_that_takes_long_shows_that_it_lives() {
    let store = Store::new();
    let mut running = terminal(&store, 80, &["invoke", "probe.runs", "one"], &[]);
    running.shows("probe.runs: 1 invocation not ended (");
    let pid = running.child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.expect("kill is installed").success());
    let (code, shown) = running.ended();
    assert!(code == Some(130) && shown.contains("stopping: running handlers may finish"), "{shown}");
}

#[test]
fn a_run_shows_lines_that_are_done_and_not_lines_that_are_read() {
    let store = Store::new();
    let file = store.directory.path().join("lines");
    std::fs::write(&file, "x\n".repeat(40)).expect("it can be written");
    let mut running = terminal(&store, 120, &["run", "probe.runs", "--lines", "lines"], &[("NO_COLOR", "1")]);
    running.shows("0 of 40 lines done, 40 in flight");
    assert!(!running.seen.contains("100%"), "{}", running.seen);
    let pid = running.child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.expect("kill is installed").success());
    assert_eq!(running.ended().0, Some(130));
}
