//! Real work: a file of orders goes in, receipts and refusals come out, and they add up.
//!
//! ```console
//! $ cargo run -p zato-examples --bin orders
//! 3000 orders: 2880 receipts, 120 refusals
//! 149624.86 EUR charged in 2880 payments
//! written to target/orders-out/receipts.jsonl and refusals.jsonl
//! ```
//!
//! With `--engine sqlite:orders.db` a run that was killed in the middle is taken up by the next one, which ends with the same
//! two files.
//!
//! The exit code is 0 if every order came out once: as a receipt, or as a refusal that says why.

mod order;
mod resources;
mod services;

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use zato_runtime::{Payload, Runtime};

use crate::resources::{Books, Ledger, Prices};
use crate::services::{Submit, SubmitAsyncFailure};

/// Charges a file of orders, and writes a receipt or a refusal for each
#[derive(Parser)]
struct Arguments {
    /// The orders: a JSON object a line
    #[arg(default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/data/orders.jsonl"))]
    input: PathBuf,

    /// Where receipts.jsonl and refusals.jsonl are written
    #[arg(default_value = "target/orders-out")]
    output_dir: PathBuf,

    /// Where invocations are held
    #[arg(long, value_name = "URL", env = "ZATO_ENGINE", default_value = "memory:")]
    engine: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(summary) => {
            println!("{summary}");
            if summary.adds_up() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<Summary, Box<dyn Error>> {
    let input = File::open(&arguments.input)
        .await
        .map_err(|error| format!("cannot read `{}`: {error}", arguments.input.display()))?;
    // What an earlier run has not finished waits in an engine that keeps it, and so do its files.
    let keeps = !arguments.engine.starts_with("memory");
    let ledger = Ledger::open(&arguments.output_dir, keeps)?;
    let books = Books::open(&arguments.output_dir, keeps)?;
    let runtime = Runtime::builder()
        .engine(arguments.engine)
        .provide(Prices::of_today())
        .provide(ledger.clone())
        .provide(books.clone())
        // However many orders there are, these are in memory: reading them waits meanwhile.
        .max_waiting(10_000)
        .start()
        .await?;
    let orders = submit_all(&runtime, input).await?;
    books.wait_for(orders).await?;
    runtime.shutdown().await?;
    Summary::of(orders, &ledger, arguments.output_dir)
}

/// Submits every line that is not blank; returns how many there are. One that an earlier run has submitted is known by its
/// key, and is not submitted again.
async fn submit_all(runtime: &Runtime, input: File) -> Result<usize, Box<dyn Error>> {
    let mut lines = BufReader::new(input).split(b'\n');
    let (mut orders, mut number) = (0, 0);
    while let Some(line) = lines.next_segment().await? {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        // Called from outside there is no caller, and so no callback by convention: this one is named.
        runtime
            .invoke_async(Submit::NAME, Payload::from_outside(line))
            .on_failure(SubmitAsyncFailure::service())
            .idempotency_key(format!("line {number}"))
            .await?;
        orders += 1;
    }
    Ok(orders)
}

/// What the run came to, counted in the files that it wrote.
struct Summary {
    orders: usize,
    receipts: usize,
    refusals: usize,
    payments: usize,
    eur_cents: u64,
    output_dir: PathBuf,
}

impl Summary {
    fn of(orders: usize, ledger: &Ledger, output_dir: PathBuf) -> Result<Self, Box<dyn Error>> {
        let (payments, eur_cents) = ledger.total();
        Ok(Self {
            orders,
            receipts: count_lines(&output_dir.join("receipts.jsonl"))?,
            refusals: count_lines(&output_dir.join("refusals.jsonl"))?,
            payments,
            eur_cents,
            output_dir,
        })
    }

    fn adds_up(&self) -> bool {
        self.receipts + self.refusals == self.orders && self.payments == self.receipts
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orders, receipts, refusals, payments, eur_cents, output_dir } = self;
        writeln!(f, "{orders} orders: {receipts} receipts, {refusals} refusals")?;
        writeln!(f, "{}.{:02} EUR charged in {payments} payments", eur_cents / 100, eur_cents % 100)?;
        write!(f, "written to {} and refusals.jsonl", output_dir.join("receipts.jsonl").display())?;
        if !self.adds_up() {
            write!(f, "\nerror: the receipts, refusals and payments do not add up to the orders")?;
        }
        Ok(())
    }
}

fn count_lines(path: &Path) -> std::io::Result<usize> {
    Ok(std::fs::read_to_string(path)?.lines().count())
}
