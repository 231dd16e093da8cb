//! What is left is left in peace: a bus brings all of it to its end, and the checker looks at it.

use std::time::Duration;

use crate::checker;
use crate::child::{Life, Load, Task};
use crate::place::Place;
use crate::process::{Living, set};
use crate::programs::Program;

/// The number of the life that does that.
const NUMBER: u32 = 1_000;

/// How long it may take, with what it needs to tell what it waits for.
const LIMIT: Duration = Duration::from_mins(2);

/// How many faults are told.
const TOLD: usize = 5;

/// Ends what is left here. Answers what is wrong then, or on the way.
pub(crate) fn wrong(place: &Place) -> Option<String> {
    let mut command = place.command("child");
    set(&mut command, life()).expect("a life can be said");
    let status =
        Living::spawn(command).and_then(|living| living.ends(LIMIT)).expect("the child can be started");
    if !status.success() {
        return Some(format!("the last life ended with {status}: {}", place.errors()));
    }
    let faults = checker::check(&place.journal(), &place.file());
    let told: Vec<_> = faults.iter().take(TOLD).map(ToString::to_string).collect();
    (!told.is_empty()).then(|| told.join("\n  "))
}

/// The life that does that.
pub(crate) fn life() -> Life {
    Life {
        seed: 0,
        number: NUMBER,
        load: Load::Nothing,
        task: Task::End,
        program: Program::Whole,
        promises_early: false,
    }
}
