//! What single functions cost: `cargo bench -p zato-runtime --bench functions`.

#![allow(clippy::expect_used, reason = "a benchmark that cannot run says so")]

use std::hint::black_box;
use std::str::FromStr as _;

use zato_core::{Cid, Payload};

const TEXT: &str = "a payload of thirty-two bytes...";

const CID: &str = "01a20b99-8371-7000-83d3-491217891644";

fn main() {
    divan::main();
}

#[divan::bench]
fn payload_written_from_text() -> Payload {
    Payload::write(black_box(TEXT)).expect("it is text")
}

#[divan::bench]
fn payload_written_as_json() -> Payload {
    Payload::write(black_box(&(1_u64, TEXT))).expect("it can be written")
}

#[divan::bench]
fn payload_read_as_text(bencher: divan::Bencher<'_, '_>) {
    let payload = Payload::text(TEXT);
    bencher.bench(|| black_box(&payload).decode::<String>());
}

#[divan::bench]
fn payload_read_as_json(bencher: divan::Bencher<'_, '_>) {
    let payload = Payload::write(&(1_u64, TEXT)).expect("it can be written");
    bencher.bench(|| black_box(&payload).decode::<(u64, String)>());
}

#[divan::bench]
fn payload_cloned(bencher: divan::Bencher<'_, '_>) {
    let payload = Payload::text(TEXT);
    bencher.bench(|| black_box(&payload).clone());
}

#[divan::bench]
fn cid_read() -> Cid {
    Cid::from_str(black_box(CID)).expect("it is one")
}

#[divan::bench]
fn cid_written(bencher: divan::Bencher<'_, '_>) {
    let cid = Cid::from_str(CID).expect("it is one");
    bencher.bench(|| black_box(&cid).to_string());
}
