//! A table for people: a heading over each column, as wide as what stands in it.

use super::output::Output;

/// What stands where nothing does.
pub(super) const NOTHING: &str = "-";

/// Prints the rows under their headings, without the columns that `hides` names where nothing stands in them.
pub(super) fn print<const N: usize>(headings: [&str; N], rows: Vec<[String; N]>, hides: &[&str]) {
    let says_something =
        |column: usize| !hides.contains(&headings[column]) || rows.iter().any(|row| row[column] != NOTHING);
    let columns: Vec<_> = (0..N).filter(|column| says_something(*column)).collect();
    let rows: Vec<_> = std::iter::once(headings.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let columns: Vec<_> = columns.into_iter().map(|column| (column, width(column))).collect();
    for row in &rows {
        let cells: Vec<_> =
            columns.iter().map(|&(column, width)| format!("{:<width$}", row[column])).collect();
        Output::line(cells.join("  ").trim_end());
    }
}
