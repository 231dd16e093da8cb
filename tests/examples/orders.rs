//! `orders`: every order that goes in comes out once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::expected::{assert_expected, source};
use crate::program::{Ran, command, directory, ran, run};

const ORDERS: &str = env!("CARGO_BIN_EXE_orders");

fn orders(input: &Path, output: &Path) -> Ran {
    run(ORDERS, [input, output])
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the program has written the file");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// The order's number, which stands also in lines that are no JSON: `T-` and five digits.
fn id(line: &str) -> &str {
    let at = line.find("T-").expect("every order has a number");
    &line[at..at + 7]
}

/// The numbers of the orders, each of which must come up once.
fn ids<'a>(lines: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut ids = BTreeSet::new();
    for line in lines {
        assert!(ids.insert(id(line)), "{} comes up twice", id(line));
    }
    ids
}

fn text<'a>(line: &'a Value, key: &str) -> &'a str {
    line[key].as_str().unwrap_or_else(|| panic!("`{key}` is a text in {line}"))
}

#[test]
fn receipts_and_refusals_add_up_to_the_orders() {
    let (input, output) = (source("data/orders.jsonl"), directory());
    let ran = orders(&input, output.path());
    assert_expected("orders", &ran.stdout.replace(&output.path().display().to_string(), "OUTPUT_DIR"));
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));

    let (receipts, refusals) =
        (lines(&output.path().join("receipts.jsonl")), lines(&output.path().join("refusals.jsonl")));
    let received = ids(receipts.iter().map(|receipt| text(receipt, "order")));
    let refused = ids(refusals.iter().map(|refusal| text(refusal, "payload")));
    let input = fs::read_to_string(input).expect("the data is committed");
    assert!(received.is_disjoint(&refused));
    assert_eq!(received.union(&refused).copied().collect::<BTreeSet<_>>(), ids(input.lines()));

    let charged: u64 = receipts.iter().filter_map(|receipt| receipt["eur_cents"].as_u64()).sum();
    assert!(ran.stdout.contains(&format!("{}.{:02} EUR", charged / 100, charged % 100)), "{charged}");
}

#[test]
fn every_refusal_says_why() {
    let output = directory();
    orders(&source("data/orders.jsonl"), output.path());
    let mut reasons = BTreeMap::<_, usize>::new();
    for refusal in lines(&output.path().join("refusals.jsonl")) {
        let error = text(&refusal, "error");
        let known = [
            "missing field",
            "invalid type",
            "pieces",
            "unknown product",
            "unknown currency",
            "expired",
            "line 1",
        ];
        let reason = known.iter().find(|known| error.contains(**known)).unwrap_or_else(|| panic!("{error}"));
        *reasons.entry((text(&refusal, "outcome").to_owned(), *reason)).or_default() += 1;
    }
    // The generator makes fifteen of each; what is cut off and what is no JSON at all are `line 1` alike.
    let expected = [
        ("Failed", "unknown currency", 15),
        ("Failed", "expired", 15),
        ("Failed", "pieces", 15),
        ("Failed", "unknown product", 15),
        ("Undecodable", "invalid type", 15),
        ("Undecodable", "line 1", 30),
        ("Undecodable", "missing field", 15),
    ];
    let expected = expected.map(|(outcome, reason, count)| ((outcome.to_owned(), reason), count));
    assert_eq!(reasons, BTreeMap::from(expected));
}

#[test]
fn what_is_no_text_is_refused_too_and_blank_lines_are_no_orders() {
    let directory = directory();
    let input = directory.path().join("input");
    fs::write(&input, b"\xff\xfe\n\n  \r\n[]\n\"T-00001\"\n7").expect("the file can be written");
    let ran = orders(&input, &directory.path().join("a/new/directory"));
    assert!(ran.stdout.starts_with("4 orders: 0 receipts, 4 refusals\n0.00 EUR charged"), "{}", ran.stdout);
    assert_eq!(ran.code, Some(0));
}

#[test]
fn the_engine_is_one_string() {
    let output = directory();
    let arguments = |url| {
        let paths = [source("data/orders.jsonl"), output.path().to_owned()];
        paths.into_iter().chain(["--engine".into(), url])
    };
    let ran = run(ORDERS, arguments("memory:".into()));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let ran = run(ORDERS, arguments("carrier-pigeon:".into()));
    assert!(
        ran.stderr.starts_with("error: `carrier-pigeon:` is not an engine of this program"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.code, Some(1));
}

/// The lines of both files, without what differs from run to run.
fn books(output: &Path) -> BTreeSet<String> {
    let mut books = BTreeSet::new();
    for name in ["receipts.jsonl", "refusals.jsonl"] {
        for mut line in lines(&output.join(name)) {
            for differs in ["payment", "submitted", "cid", "attempts", "started_at", "ended_at"] {
                line.as_object_mut().expect("an object").remove(differs);
            }
            let mut line = line.to_string();
            if let Some(at) = line.find("(CID ") {
                line.replace_range(at..at + "(CID )".len() + 36, "");
            }
            assert!(books.insert(line.clone()), "{line} comes up twice");
        }
    }
    books
}

/// Also where the program is killed in the middle, more than once, and started again.
#[test]
fn an_engine_that_keeps_everything_gives_the_same_two_files() {
    let (input, output) = (source("data/orders.jsonl"), directory());
    orders(&input, output.path());
    let expected = books(output.path());
    let output = directory();
    let program = || {
        let mut program = command(ORDERS);
        program.args([&input, output.path()]);
        program.arg("--engine").arg(format!("sqlite:{}", output.path().join("orders.db").display()));
        program
    };
    for least in [1, 1_000, 2_000] {
        let mut child = program().spawn().expect("cargo has built the program");
        let receipts = output.path().join("receipts.jsonl");
        let written = || fs::read_to_string(&receipts).map_or(0, |text| text.lines().count());
        while written() < least && child.try_wait().expect("it can be asked").is_none() {
            std::thread::yield_now();
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it has ended");
    }
    for _ in 0..2 {
        let ran = ran(program().spawn().expect("cargo has built the program"));
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{}", ran.stdout);
        assert!(
            ran.stdout.starts_with("3000 orders: 2880 receipts, 120 refusals\n149624.86 EUR"),
            "{}",
            ran.stdout
        );
        let books = books(output.path());
        let difference: Vec<_> = books.symmetric_difference(&expected).take(4).collect();
        assert!(difference.is_empty(), "{difference:#?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let ran = run(ORDERS, ["nowhere.jsonl"]);
    assert!(ran.stderr.starts_with("error: cannot read `nowhere.jsonl`"), "{}", ran.stderr);
    assert_eq!((ran.code, &*ran.stdout), (Some(1), ""));
}
