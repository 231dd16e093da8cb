//! All rules, one after the other.

use std::path::Path;

use rusqlite::Connection;

use super::fault::{Fault, Rule};
use super::rows::{self, Row};
use super::world::{Faults, World};
use crate::journal::{self, Line};

/// What is not as it was promised; nothing if all is well. `file` must have no owner any more.
pub(crate) fn check(journal: &Path, file: &Path) -> Vec<Fault> {
    let lines = match journal::read(journal) {
        Ok(lines) => lines,
        Err(error) => return vec![Fault::new(Rule::Whole, format!("the journal cannot be read: {error}"))],
    };
    match read(file) {
        Ok((rows, faults)) => rules(rows, lines, faults),
        Err(error) => vec![Fault::new(Rule::Whole, format!("the file cannot be read: {error}"))],
    }
}

fn read(file: &Path) -> rusqlite::Result<(Vec<Row>, Faults)> {
    let connection = rows::open(file)?;
    let mut faults = Faults::default();
    check_file(&connection, &mut faults)?;
    Ok((rows::read(&connection)?, faults))
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

fn rules(rows: Vec<Row>, lines: Vec<Line>, mut faults: Faults) -> Vec<Fault> {
    let world = World::new(rows, lines);
    world.check_receipts(&mut faults);
    world.check_told(&mut faults);
    for row in &world.rows {
        world.check_outcome(row, &mut faults);
        world.check_allowed(row, &mut faults);
        World::check_times(row, &mut faults);
        world.check_asked(row, &mut faults);
        world.check_tree(row, &mut faults);
        world.check_callbacks(row, &mut faults);
        world.check_group(row, &mut faults);
        World::check_attempts(row, &mut faults);
    }
    world.check_once(&mut faults);
    world.check_lanes(&mut faults);
    world.check_begun(&mut faults);
    faults.0
}
