//! All rules, one after the other.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::fault::{Fault, Rule};
use super::losses::Losses;
use super::rows::{self, Row};
use super::world::{Faults, World};
use crate::journal::{self, Line};

/// The file as it was left by a life, which was killed, and the number of that life.
pub(crate) type Moment = (u32, PathBuf);

/// What is not as it was promised; nothing if all is well. `file` must have no owner any more, and must have been left
/// in peace until nothing was left that had not ended.
pub(crate) fn check(journal: &Path, file: &Path) -> Vec<Fault> {
    check_with(journal, file, &[])
}

/// The same, and what was not as it was promised at these moments.
pub(crate) fn check_with(journal: &Path, file: &Path, moments: &[Moment]) -> Vec<Fault> {
    let lines = match journal::read(journal) {
        Ok(lines) => lines,
        Err(error) => return vec![Fault::new(Rule::Whole, format!("the journal cannot be read: {error}"))],
    };
    let mut faults = Faults::default();
    let end = World::new(read(file, &mut faults), &lines);
    check_world(&end, &mut faults);
    end.check_pauses(&paused(file), &mut faults);
    for row in &end.rows {
        World::check_end(row, &mut faults);
    }
    end.check_lanes(&mut faults);
    end.check_begun(&mut faults);
    end.check_losses(&mut faults);
    end.check_hosts(&mut faults);
    end.check_priorities(&mut faults);
    for (life, file) in moments {
        let mut of_moment = Faults::default();
        let moment = World::new(read(file, &mut of_moment), before(&lines, *life + 1));
        check_world(&moment, &mut of_moment);
        moment.check_stays(&end, &mut of_moment);
        moment.check_pauses(&paused(file), &mut of_moment);
        faults.0.extend(of_moment.0.into_iter().map(|fault| fault.after(*life)));
    }
    faults.0
}

/// What ended as `Lost`, and what was counted as a loss.
pub(crate) fn losses(journal: &Path, file: &Path) -> Losses {
    let lines = journal::read(journal).unwrap_or_default();
    World::new(read(file, &mut Faults::default()), &lines).losses()
}

/// What was written before this life began.
fn before(lines: &[Line], next: u32) -> &[Line] {
    let is_later = |line: &Line| matches!(line, Line::Begins { life } if *life >= next);
    &lines[..lines.iter().position(is_later).unwrap_or(lines.len())]
}

/// All rows of a file; none where it is not one.
fn read(file: &Path, faults: &mut Faults) -> Vec<Row> {
    let mut read = || {
        let connection = rows::open(file)?;
        check_file(&connection, faults)?;
        rows::read(&connection)
    };
    let read: rusqlite::Result<_> = read();
    read.unwrap_or_else(|error| {
        faults.must(Rule::Whole, false, || format!("the file cannot be read: {error}"));
        Vec::new()
    })
}

/// The services that a file says are paused. A file that cannot be read is a fault already.
fn paused(file: &Path) -> Vec<String> {
    rows::open(file).and_then(|connection| rows::paused(&connection)).unwrap_or_default()
}

/// What holds at every moment.
fn check_world(world: &World<'_>, faults: &mut Faults) {
    world.check_receipts(faults);
    world.check_told(faults);
    for row in &world.rows {
        if row.outcome.is_some() {
            world.check_outcome(row, faults);
            world.check_allowed(row, faults);
            World::check_times(row, faults);
        }
        world.check_asked(row, faults);
        world.check_tree(row, faults);
        world.check_callbacks(row, faults);
        world.check_group(row, faults);
        World::check_attempts(row, faults);
    }
    world.check_once(faults);
}

/// The file is whole, by what SQLite says of it, and its keys lead to what was made under them.
fn check_file(connection: &Connection, faults: &mut Faults) -> rusqlite::Result<()> {
    let integrity: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    faults.must(Rule::Whole, integrity == "ok", || format!("SQLite says: {integrity}"));
    let lost: i64 = connection.query_row(
        "SELECT count(*) FROM idempotency AS key WHERE NOT EXISTS (SELECT 1 FROM invocation
            WHERE invocation.cid = key.cid AND invocation.service = key.service
            AND invocation.options ->> '$.idempotency_key' = key.name)",
        [],
        |row| row.get(0),
    )?;
    faults.must(Rule::Whole, lost == 0, || format!("{lost} idempotency keys lead to nothing"));
    Ok(())
}
