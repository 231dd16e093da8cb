//! A table for people: a heading over each column. On a terminal it is fitted to the width, elsewhere it is printed in
//! full, so that other programs can read it.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr as _};

use super::output::Output;
use super::terminal::{self, Tone};

/// What an empty cell shows.
pub(super) const NOTHING: &str = "-";

/// The space between two columns.
const GAP: usize = 2;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    heading: &'static str,
    /// The width below which texts are not cut off; `None` if they never are.
    least: Option<usize>,
    /// Whether the column is left out where no cell has anything to show.
    is_optional: bool,
}

impl Column {
    /// A column that is always shown in full.
    pub(super) const fn whole(heading: &'static str) -> Self {
        Self { heading, least: None, is_optional: false }
    }

    /// A column whose texts and heading are cut off where there is no room, but not below this width.
    pub(super) const fn at_least(heading: &'static str, least: usize) -> Self {
        Self { heading, least: Some(least), is_optional: false }
    }

    /// The same column, left out where no cell has anything to show.
    pub(super) const fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    /// The text for a table that has no room for the whole.
    short: Option<String>,
    tone: Option<Tone>,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), short: None, tone: None }
    }

    /// The same cell, with a text for a table that has no room for the whole.
    pub(super) fn or_short(self, short: impl Into<String>) -> Self {
        Self { short: Some(short.into()), ..self }
    }

    pub(super) fn toned(self, tone: Tone) -> Self {
        Self { tone: Some(tone), ..self }
    }
}

/// Prints the rows under their headings.
pub(super) fn print<const N: usize>(columns: [Column; N], rows: &[[Cell; N]]) {
    Output::lines(&laid_out(columns, rows, terminal::width()));
}

/// The lines of a table that is at most so wide, as far as its columns can be cut.
fn laid_out<const N: usize>(columns: [Column; N], rows: &[[Cell; N]], room: Option<usize>) -> Vec<String> {
    let has_something =
        |index: usize| !columns[index].is_optional || rows.iter().any(|row| row[index].text != NOTHING);
    let shown: Vec<_> = (0..N).filter(|index| has_something(*index)).collect();
    let mut is_short = [false; N];
    let text = |cell: &Cell, is_short: bool| match &cell.short {
        Some(short) if is_short => short.clone(),
        _ => cell.text.clone(),
    };
    let natural = |index: usize, is_short: bool| {
        let cells = rows.iter().map(|row| text(&row[index], is_short).width());
        cells.chain([columns[index].heading.width()]).max().unwrap_or_default()
    };
    let mut widths = [0; N];
    for &index in &shown {
        widths[index] = natural(index, false);
    }
    if let Some(room) = room {
        let total = |widths: &[usize; N]| {
            shown.iter().map(|&index| widths[index]).sum::<usize>() + GAP * shown.len().saturating_sub(1)
        };
        for &index in &shown {
            if total(&widths) > room && rows.iter().any(|row| row[index].short.is_some()) {
                is_short[index] = true;
                widths[index] = natural(index, true);
            }
        }
        // The widest gives first, so that no column is cut more than it must be.
        while total(&widths) > room {
            let gives = |index: &usize| columns[*index].least.is_some_and(|least| widths[*index] > least);
            let Some(widest) = shown.iter().copied().filter(gives).max_by_key(|index| widths[*index]) else {
                break;
            };
            widths[widest] -= 1;
        }
    }
    let line = |cells: [(String, Option<Tone>); N]| {
        let mut line = String::new();
        for (at, &index) in shown.iter().enumerate() {
            let (text, tone) = &cells[index];
            let text = cut(text, widths[index]);
            let is_last = at + 1 == shown.len();
            let blank = if is_last { 0 } else { widths[index].saturating_sub(text.width()) + GAP };
            line.push_str(&tone.map_or_else(|| text.clone(), |tone| tone.on_stdout(&text)));
            line.extend(std::iter::repeat_n(' ', blank));
        }
        line.truncate(line.trim_end().len());
        line
    };
    let headings = columns.map(|column| (column.heading.to_owned(), Some(Tone::Heading)));
    let rows = rows
        .iter()
        .map(|row| line(std::array::from_fn(|index| (text(&row[index], is_short[index]), row[index].tone))));
    std::iter::once(line(headings)).chain(rows).collect()
}

/// A text in at most so many columns; one that is cut ends with an ellipsis.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut cut, mut used) = (String::new(), 1);
    for char in text.chars() {
        used += char.width().unwrap_or_default();
        if used > width {
            break;
        }
        cut.push(char);
    }
    cut + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::whole("CID"),
        Column::at_least("SERVICE", 8),
        Column::whole("NEVER").optional(),
        Column::at_least("DETAIL", 10),
    ];

    fn row(cid: &str, service: &str, detail: &str) -> [Cell; 4] {
        let short = cid[cid.len().saturating_sub(4)..].to_owned();
        [Cell::new(cid).or_short(short), Cell::new(service), Cell::new(NOTHING), Cell::new(detail)]
    }

    fn rows() -> [[Cell; 4]; 2] {
        [
            row("0197f3c2-6c7d", "orders.charge", "card declined, and the customer has been told"),
            row("0197f3c2-0001", "żółć", "-"),
        ]
    }

    #[test]
    fn with_enough_room_nothing_is_cut() {
        for room in [None, Some(200)] {
            let lines = laid_out(COLUMNS, &rows(), room);
            assert_eq!(lines[0], "CID            SERVICE        DETAIL");
            assert_eq!(
                lines[1],
                "0197f3c2-6c7d  orders.charge  card declined, and the customer has been told"
            );
            assert_eq!(lines[2], "0197f3c2-0001  żółć           -");
        }
    }

    #[test]
    fn with_less_room_texts_are_shortened_and_then_cut() {
        let lines = laid_out(COLUMNS, &rows(), Some(66));
        assert_eq!(lines[1], "6c7d  orders.charge  card declined, and the customer has been told");
        let lines = laid_out(COLUMNS, &rows(), Some(40));
        assert_eq!(lines[1], "6c7d  orders.charge  card declined, and…");
        assert!(lines.iter().all(|line| line.width() <= 40), "{lines:?}");
        let lines = laid_out(COLUMNS, &rows(), Some(10));
        assert_eq!(lines[1], "6c7d  orders.…  card decl…", "no column gets narrower than it may");
    }
}
