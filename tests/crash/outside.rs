//! A synchronous call from outside during which its process is killed: it is not recorded and does not run again, and what it
//! has called does.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::checker::check;
use crate::child::{Life, Load, Task};
use crate::journal::{self, Line};
use crate::process::{Keeper, Living};
use crate::programs::Program;
use crate::script::{REPLY, WORKERS};

/// How often the journal is looked into.
const LOOK: Duration = Duration::from_millis(5);

/// How long a life may take.
const STUCK: Duration = Duration::from_mins(1);

fn life(number: u32, load: Load, task: Task) -> Life {
    Life { seed: 0, number, load, task, program: Program::Whole, promises_early: false }
}

/// How many handlers of this service have begun.
fn begun(lines: &[Line], service: &str) -> usize {
    lines.iter().filter(|line| matches!(line, Line::Began { service: other, .. } if other == service)).count()
}

#[test]
fn a_synchronous_call_does_not_run_again_and_what_it_called_does() {
    for window in [0, 1] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (file, journal) = (directory.path().join("zato.db"), directory.path().join("journal"));
        let keeper = Keeper::start(&journal).expect("the journal is kept");
        // Every other life holds next to nothing of what waits.
        let living =
            Living::start(&file, life(2 + window, Load::Outside, Task::Run), &keeper).expect("it lives");
        let since = Instant::now();
        // It has called its child, and what it has called synchronously has called another.
        let before = loop {
            let lines = journal::read(&journal).unwrap_or_default();
            let returned =
                lines.iter().any(|line| matches!(line, Line::Returned { id, .. } if id == "inside"));
            if returned {
                break lines;
            }
            assert!(since.elapsed() < STUCK, "it has not come so far: {lines:?}");
            sleep(LOOK);
        };
        assert!(!living.kill().expect("it is killed").success());
        assert_eq!(begun(&before, WORKERS[0]), 1);

        let living =
            Living::start(&file, life(4 + window, Load::Nothing, Task::End), &keeper).expect("it lives");
        assert!(living.ends(STUCK).expect("it ends").success());
        keeper.end().expect("all is in the journal");
        let lines = journal::read(&journal).expect("the journal can be read");
        let (before, after) = lines.split_at(
            lines
                .iter()
                .rposition(|line| matches!(line, Line::Begins { .. }))
                .expect("there was another life"),
        );
        assert_eq!(begun(after, WORKERS[0]), 0, "it did not run again");
        let children = begun(before, WORKERS[2]) + begun(after, WORKERS[2]);
        assert!(children >= 3, "both children ran, beside the call inside: {lines:?}");
        assert!(begun(after, WORKERS[2]) >= 1, "the first was not due before the kill");
        assert!(begun(&lines, REPLY) >= 4, "each has two callbacks");
        assert_eq!(check(&journal, &file), []);
    }
}
