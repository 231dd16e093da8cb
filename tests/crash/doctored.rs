//! The test of the checker: what is lost, doubled or changed in a good file or its journal is found.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::checker::{Fault, Rule, check, check_with};
use crate::child::Load;
use crate::journal::{self, Line};
use crate::killer::{Plan, run};

/// What is done to the last row of those for which this holds; `IT` is the CID of one that has completed, as was told.
#[derive(Debug)]
enum Damage {
    /// It is gone.
    Gone(&'static str),
    /// There is a second like it, under a number and a CID of its own.
    Twice(&'static str),
    /// There is a second one, with another request.
    Add(&'static str, &'static str),
    /// It is changed.
    Set(&'static str, &'static str),
}

use Damage::{Add, Gone, Set, Twice};

/// What is wrong, what is done to the file, and which rule must find it.
const FILE: [(&str, Damage, Rule); 31] = [
    ("a promise is lost", Gone("cid = IT"), Rule::Receipt),
    ("another was promised", Set("payload = json_object('id', 'x')", "cid = IT"), Rule::Receipt),
    ("it has not ended", Set("state = 0, outcome = NULL, ended_at = NULL", "cid = IT"), Rule::Outcome),
    ("it runs for ever", Set("state = 1", "cid = IT"), Rule::Outcome),
    ("its response is gone", Set("response = NULL, response_kind = NULL", "cid = IT"), Rule::Outcome),
    ("it is no dead letter", Set("state = 3", "state = 4"), Rule::Outcome),
    ("another outcome was told", Set("outcome = 1, error = 'x'", "cid = IT"), Rule::Told),
    ("it is lost too early", Set("outcome = 6, losses = 2", "cid = IT"), Rule::Allowed),
    ("what has not begun is lost", Set("outcome = 6, losses = 3, attempts = 3", "outcome = 3"), Rule::Losses),
    ("deaths count that were none of its own", Set("losses = 9, attempts = 9", "cid = IT"), Rule::Losses),
    ("it expired without a limit", Set("outcome = 3", "channel = 6"), Rule::Allowed),
    ("it started early", Set("due = started_at + 3000000", "cid = IT"), Rule::Times),
    ("it expired early", Set("ended_at = ended_at - 1000000000", "outcome = 3"), Rule::Times),
    ("nobody asked", Add("json_object('id', 'nobody')", ROOT), Rule::Asked),
    (
        "its request is another",
        Set("payload = json_set(CAST(payload AS TEXT), '$.ends', 'x')", "cid = IT"),
        Rule::Asked,
    ),
    ("its callbacks are others", Set("callbacks = json_array('crash.last')", "channel = 1"), Rule::Asked),
    ("it was called from outside once", Twice(ROOT), Rule::Once),
    ("a handler called it once", Twice("channel = 1 AND parent IS NOT NULL AND outcome = 0"), Rule::Once),
    ("its key is used", Twice("options ->> '$.idempotency_key' IS NOT NULL"), Rule::Once),
    ("a synchronous call is recorded twice", Twice(CALLED_ONCE), Rule::Once),
    ("a callback is lost", Gone("channel = 2"), Rule::Callbacks),
    ("a callback comes twice", Twice("channel = 2"), Rule::Callbacks),
    ("a callback has another response", Set("payload = 'x'", "channel = 2"), Rule::Callbacks),
    ("a callback answers nothing", Set("parent = NULL", "channel = 2"), Rule::Asked),
    (
        "a callback has another report",
        Set("payload = json_set(CAST(payload AS TEXT), '$.attempts', 99)", REPORTS),
        Rule::Callbacks,
    ),
    ("a member is lost", Gone("channel = 1 AND slot_index = 1"), Rule::Groups),
    (
        "a row is another",
        Set("response = json_set(CAST(response AS TEXT), '$[0].attempts', 99)", "channel = 3"),
        Rule::Groups,
    ),
    ("a step is made twice", Twice("channel = 6"), Rule::Groups),
    ("a chain is broken off", Gone("channel = 6"), Rule::Groups),
    ("it has no attempts", Set("attempts = 0", "cid = IT"), Rule::Attempts),
    ("it is in another tree", Set("root = randomblob(16)", "cid = IT"), Rule::Trees),
];

/// The same for the file as a kill has left it.
const MOMENT: [(&str, Damage, Rule); 4] = [
    ("an outcome comes without its callback", Gone("channel = 2"), Rule::Callbacks),
    ("another outcome comes later", Set("attempts = attempts + 1", "cid = IT"), Rule::Outcome),
    (
        "a group waits for nothing",
        Set("state = 2, outcome = NULL, ended_at = NULL", "channel = 3"),
        Rule::Groups,
    ),
    ("a promise is kept later", Gone("cid = IT"), Rule::Receipt),
];

/// What was called from outside by itself, and runs no dead letter again.
const ROOT: &str =
    "channel = 1 AND slot_group IS NULL AND parent IS NULL AND options ->> '$.again_of' IS NULL";

/// A synchronous call that was asked for once: from outside, or in the only attempt of its caller.
const CALLED_ONCE: &str = "channel = 0 AND (parent IS NULL OR EXISTS (SELECT 1 FROM invocation AS above
    WHERE above.cid = invocation.parent AND above.channel <> 0 AND above.attempts = 1))";

const REPORTS: &str = "channel = 2 AND service = (SELECT id FROM service WHERE name = 'crash.report')";

/// What is done to a journal.
type Doctor = fn(&mut Vec<Line>);

/// What is wrong, what is done to the journal, and which rule must find it.
const JOURNAL: [(&str, Doctor, Rule); 6] = [
    ("a promise of nothing", |lines| lines.push(got("0")), Rule::Receipt),
    ("nobody asked", |lines| lines.retain(|line| !matches!(line, Line::Asks(_))), Rule::Asked),
    ("what ran is not there", |lines| lines.push(began("0", 1, None)), Rule::Asked),
    ("nothing ran", |lines| lines.retain(|line| !matches!(line, Line::Began { .. })), Rule::Attempts),
    ("two run at once", |lines| lines.extend(["1", "2"].map(|cid| began(cid, 1, Some("lane")))), Rule::Lanes),
    ("it runs after its end", |lines| lines.push(began(&told(lines), 9, None)), Rule::Attempts),
];

fn got(cid: &str) -> Line {
    Line::Got { id: "0".to_owned(), by: None, cid: cid.to_owned() }
}

fn began(cid: &str, attempt: u32, lane: Option<&str>) -> Line {
    let (cid, service, lane) = (cid.to_owned(), "crash.work".to_owned(), lane.map(str::to_owned));
    Line::Began { cid, attempt, service, lane, is_inside: false }
}

/// A CID whose outcome was told: it completed.
fn told(lines: &[Line]) -> String {
    let told = lines.iter().find_map(|line| match line {
        Line::Told { cid, outcome } if outcome == "Completed" => Some(cid.clone()),
        _ => None,
    });
    told.expect("an outcome was told")
}

/// Does this to the file. Answers whether there was anything to do it to.
fn damage(file: &Path, damage: &Damage, it: &str) -> bool {
    let connection = Connection::open(file).expect("the copy can be opened");
    let last = |which: &str| {
        let which = which.replace("IT", &format!("x'{}'", it.replace('-', "")));
        format!("WHERE accept = (SELECT max(accept) FROM invocation WHERE {which})")
    };
    let sql = match damage {
        Gone(which) => format!("DELETE FROM invocation {}", last(which)),
        Set(what, which) => format!("UPDATE invocation SET {what} {}", last(which)),
        Twice(which) => copy(&connection, "payload", &last(which)),
        Add(payload, which) => copy(&connection, payload, &last(which)),
    };
    let is_done = connection.execute(&sql, []).expect("it can be damaged") > 0;
    for column in ["payload", "response"] {
        let blob = format!(
            "UPDATE invocation SET {column} = CAST({column} AS BLOB) WHERE typeof({column}) = 'text'"
        );
        connection.execute(&blob, []).expect("it can be damaged");
    }
    is_done
}

/// A second row like another, but for its request.
fn copy(connection: &Connection, payload: &str, which: &str) -> String {
    let columns: String = connection
        .query_row("SELECT group_concat(name) FROM pragma_table_info('invocation')", [], |row| row.get(0))
        .expect("it has columns");
    let values: Vec<_> = columns
        .split(',')
        .map(|column| match column {
            "accept" => "(SELECT max(accept) + 1 FROM invocation)",
            "cid" => "randomblob(16)",
            "payload" => payload,
            column => column,
        })
        .collect();
    format!("INSERT INTO invocation ({columns}) SELECT {} FROM invocation {which}", values.join(","))
}

#[test]
fn every_damage_is_found() {
    let killed = run(Plan { last: Load::Random { with_poison: false }, ..Plan::new(7, 20) })
        .unwrap_or_else(|error| panic!("{error}"));
    let lines = journal::read(&killed.journal()).expect("the journal can be read");
    assert_eq!(killed.faults(), [], "the file as it is");
    // The copies are of the file alone.
    let whole = Connection::open(killed.file()).expect("the file can be opened");
    whole.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("its log can be moved into it");
    drop(whole);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (file, journal) = (directory.path().join("zato.db"), directory.path().join("journal"));
    let is_found = |what: &str, faults: Vec<Fault>, rule| {
        assert!(faults.iter().any(|fault| fault.rule == rule), "{what}: {faults:?}");
    };
    fs::copy(killed.journal(), &journal).expect("the journal can be copied");
    let it = told(&lines);
    for (what, done, rule) in FILE {
        fs::copy(killed.file(), &file).expect("the file can be copied");
        assert!(damage(&file, &done, &it), "{what}: there is nothing to damage");
        is_found(what, check(&journal, &file), rule);
    }
    for (what, done, rule) in MOMENT {
        fs::copy(killed.file(), &file).expect("the file can be copied");
        assert!(damage(&file, &done, &it), "{what}: there is nothing to damage");
        let moments = [(killed.lives, file.clone())];
        is_found(what, check_with(&journal, &killed.file(), &moments), rule);
    }
    fs::copy(killed.file(), &file).expect("the file can be copied");
    for (what, doctor, rule) in JOURNAL {
        let mut lines = lines.clone();
        doctor(&mut lines);
        journal::write(&journal, &lines).expect("the journal can be written");
        is_found(what, check(&journal, &file), rule);
    }
    fs::copy(killed.journal(), &journal).expect("the journal can be copied");
    fs::write(&file, "no file of SQLite").expect("it can be written");
    is_found("another file", check(&journal, &file), Rule::Whole);
}
