//! The test of the checker's rules for programs that take turns: each damage to a good file or its journal is found.

use std::fs;

use rusqlite::Connection;

use crate::checker::{Fault, Rule, check};
use crate::journal::{self, Line};
use crate::killer::Killed;
use crate::script::{RANKED, STURDY};
use crate::two_programs::run;

/// A file whose log is in it, and the lines of its journal.
struct Good {
    killed: Killed,
    lines: Vec<Line>,
}

impl Good {
    fn new() -> Self {
        let killed = run(7, 30).unwrap_or_else(|error| panic!("{error}")).killed;
        let whole = Connection::open(killed.file()).expect("the file can be opened");
        whole
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .expect("its log can be moved into it");
        let lines = journal::read(&killed.journal()).expect("the journal can be read");
        let good = Self { killed, lines };
        assert_eq!(good.with(|_| {}, |_| {}), [], "the file as it is");
        good
    }

    /// Returns the faults of a copy to which this was done.
    fn with(&self, file: impl FnOnce(&Connection), lines: impl FnOnce(&mut Vec<Line>)) -> Vec<Fault> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (copy, journal) = (directory.path().join("zato.db"), directory.path().join("journal"));
        fs::copy(self.killed.file(), &copy).expect("the file can be copied");
        file(&Connection::open(&copy).expect("the copy can be opened"));
        let mut changed = self.lines.clone();
        lines(&mut changed);
        journal::write(&journal, &changed).expect("the journal can be written");
        check(&journal, &copy)
    }

    /// The CID of the first of the service's invocations that were due at once, in this order.
    fn first(&self, service: &str, order: &str) -> String {
        let connection = Connection::open(self.killed.file()).expect("the file can be opened");
        let sql = format!(
            "SELECT lower(hex(cid)) FROM invocation WHERE due IS NULL AND outcome = 0 AND service = \
             (SELECT id FROM service WHERE name = '{service}') ORDER BY {order} LIMIT 1"
        );
        let hex: String = connection.query_row(&sql, [], |row| row.get(0)).expect("there is one");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

fn set(sql: &str) -> impl FnOnce(&Connection) {
    move |connection| assert!(connection.execute(sql, []).expect("it can be damaged") > 0, "{sql}")
}

/// Whether a fault of this rule says this.
fn says(faults: &[Fault], rule: Rule, text: &str) -> bool {
    faults.iter().any(|fault| fault.rule == rule && fault.text.contains(text))
}

fn began(cid: &str) -> Line {
    let (cid, service) = (cid.to_owned(), RANKED.to_owned());
    Line::Began { cid, attempt: 1, service, lane: None, is_inside: false }
}

fn switched(service: &str, pauses: bool) -> Line {
    Line::Switched { service: service.to_owned(), pauses }
}

/// Whether it says that this service is, or will be, paused or resumed.
fn is_switch(line: &Line, name: &str) -> bool {
    matches!(line, Line::Switches { service, .. } | Line::Switched { service, .. } if service == name)
}

/// Pauses the service before the line at `index`, and resumes it at the end.
fn pause(lines: &mut Vec<Line>, index: usize, service: &str) {
    let after = lines.split_off(index);
    lines.push(switched(service, true));
    lines.extend(after.into_iter().filter(|line| !is_switch(line, service)));
    lines.push(switched(service, false));
}

#[test]
fn every_damage_of_turns_is_found() {
    let good = Good::new();
    the_file(&good);
    hosts(&good);
    pauses(&good);
    priorities(&good);
}

fn the_file(good: &Good) {
    let paused = format!("UPDATE service SET paused = 1 WHERE name = '{RANKED}'");
    let faults = good.with(set(&paused), |_| {});
    assert!(says(&faults, Rule::Paused, "the file says"), "a service stays paused: {faults:?}");
    // Three deaths end most invocations, and not those of this service.
    let lost = format!(
        "UPDATE invocation SET outcome = 6, losses = 3, attempts = 3 WHERE accept = (SELECT max(accept) FROM invocation \
         WHERE service = (SELECT id FROM service WHERE name = '{STURDY}'))"
    );
    let faults = good.with(set(&lost), |_| {});
    assert!(says(&faults, Rule::Allowed, STURDY), "it is lost at the limit of others: {faults:?}");
}

fn hosts(good: &Good) {
    let is_begin = |line: &Line| matches!(line, Line::Began { service, .. } if service == RANKED);
    let begin = good.lines.iter().position(is_begin).expect("something began");
    let faults = good.with(
        |_| {},
        |lines| {
            let last = lines[..begin].iter_mut().rev();
            let mut hosts = last
                .filter_map(|line| if let Line::Hosts { services } = line { Some(services) } else { None });
            hosts.next().expect("a life says what it hosts").retain(|service| service != RANKED);
        },
    );
    assert!(says(&faults, Rule::Hosted, RANKED), "it runs where it is not hosted: {faults:?}");
}

fn pauses(good: &Good) {
    // In an earlier life.
    let later = good
        .lines
        .iter()
        .rposition(|line| matches!(line, Line::Began { service, is_inside: false, .. } if service == RANKED));
    let later = later.expect("something began");
    let life =
        good.lines[..later].iter().rposition(|line| matches!(line, Line::Begins { .. })).expect("a life");
    let faults = good.with(|_| {}, |lines| pause(lines, life, RANKED));
    assert!(says(&faults, Rule::Paused, "began while"), "a pause does not outlive its process: {faults:?}");
    // In the same life, before the call.
    let asks = good.lines.iter().enumerate().find_map(|(index, line)| {
        let Line::Asks(asked) = line else { return None };
        let life = good.lines[index..].iter().take_while(|line| !matches!(line, Line::Begins { .. }));
        let mut cid = None;
        for line in life {
            match line {
                Line::Got { id, by: None, cid: got } if *id == asked.id => cid = Some(got),
                Line::Began { cid: began, service, is_inside: false, .. } if Some(began) == cid => {
                    return Some((index, service.clone()));
                }
                _ => {}
            }
        }
        None
    });
    let (asks, service) = asks.expect("a call from outside began in its life");
    let faults = good.with(|_| {}, |lines| pause(lines, asks, &service));
    assert!(
        says(&faults, Rule::Paused, "began while"),
        "a call is made, and begins though paused: {faults:?}"
    );
    // After it began.
    let faults = good.with(|_| {}, |lines| pause(lines, lines.len(), &service));
    assert!(!says(&faults, Rule::Paused, ""), "{faults:?}");
}

fn priorities(good: &Good) {
    let (high, low) = (good.first(RANKED, "rank, accept"), good.first(RANKED, "rank DESC, accept DESC"));
    let faults_of = |order: [&str; 2], leaves: bool| {
        good.with(
            |_| {},
            |lines| {
                lines.retain(|line| match line {
                    Line::Got { cid, .. } | Line::Began { cid, .. } | Line::Left { cid, .. } => {
                        *cid != high && *cid != low
                    }
                    _ => true,
                });
                for cid in [&high, &low] {
                    lines.push(Line::Got { id: "0".to_owned(), by: None, cid: cid.clone() });
                }
                lines.push(Line::Begins { life: 10_000 });
                for cid in order {
                    lines.push(began(cid));
                    lines.extend(leaves.then(|| Line::Left { cid: cid.to_owned(), attempt: 1 }));
                }
            },
        )
    };
    let faults = faults_of([&low, &high], true);
    assert!(says(&faults, Rule::Ranked, "waited"), "the lower priority goes first: {faults:?}");
    let faults = faults_of([&high, &low], true);
    assert!(!says(&faults, Rule::Ranked, ""), "{faults:?}");
    let faults = faults_of([&high, &low], false);
    assert!(says(&faults, Rule::Ranked, "beside"), "two run at once: {faults:?}");
}
