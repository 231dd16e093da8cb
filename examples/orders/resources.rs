//! What the services need beside their requests: given once, when the runtime starts.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use zato_core::{Cid, Failure, FailureReport, Result};

use crate::order::{Order, Price, Receipt};

/// The price list and the exchange rates.
#[derive(Clone)]
pub(crate) struct Prices {
    /// EUR cents for a piece.
    products: HashMap<&'static str, u64>,
    /// What a million EUR cents are worth, in the smallest unit of the currency.
    currencies: HashMap<&'static str, u64>,
}

impl Prices {
    pub(crate) fn of_today() -> Self {
        Self {
            products: HashMap::from([
                ("tea-green-100", 790),
                ("tea-black-250", 1_190),
                ("tea-mint-50", 450),
                ("tea-oolong-100", 1_490),
                ("pot-glass-1l", 2_990),
                ("cup-blue", 890),
                ("filter-80", 349),
            ]),
            currencies: HashMap::from([
                ("EUR", 1_000_000),
                ("USD", 1_084_300),
                ("GBP", 841_700),
                ("PLN", 4_276_500),
                ("JPY", 1_632_800),
            ]),
        }
    }

    pub(crate) fn price(&self, order: &Order) -> Result<Price> {
        let unknown = |what: &str, name: &str| Failure::permanent(format!("unknown {what} `{name}`"));
        let each = self.products.get(&*order.product).ok_or_else(|| unknown("product", &order.product))?;
        let rate =
            self.currencies.get(&*order.currency).ok_or_else(|| unknown("currency", &order.currency))?;
        let quantity = u64::try_from(order.quantity).map_err(Failure::permanent)?;
        let eur_cents = each * quantity;
        Ok(Price { amount: (eur_cents * rate + 500_000) / 1_000_000, eur_cents })
    }
}

/// Stands for the bank.
#[derive(Clone)]
pub(crate) struct Ledger {
    book: Book<u64>,
}

impl Ledger {
    pub(crate) fn open(directory: &Path, keeps: bool) -> io::Result<Self> {
        let book = Book::open(&directory.join("payments.jsonl"), keeps, |line| {
            let Payment { payment, eur_cents } = serde_json::from_str(line)?;
            Ok((payment, eur_cents))
        })?;
        Ok(Self { book })
    }

    /// Charges an order once. A service may be run again under the same CID, for example after a crash: what was
    /// charged under it is not charged twice.
    pub(crate) fn charge(&self, payment: Cid, order: &Order, price: &Price) -> Result<()> {
        if order.card.expires.as_str() < order.month() {
            return Err(Failure::permanent(format!("the card expired in {}", order.card.expires)));
        }
        let eur_cents = price.eur_cents;
        Ok(self.book.write(payment, eur_cents, &Payment { payment, eur_cents })?)
    }

    /// The number of payments, and what they come to in EUR cents.
    pub(crate) fn total(&self) -> (usize, u64) {
        let pages = self.book.pages();
        (pages.lines.len(), pages.lines.values().sum())
    }
}

#[derive(Serialize, Deserialize)]
struct Payment {
    payment: Cid,
    eur_cents: u64,
}

/// The two files that the program writes.
#[derive(Clone)]
pub(crate) struct Books {
    receipts: Book<()>,
    refusals: Book<()>,
    /// How many lines both have, or why one could not be written.
    written: Arc<watch::Sender<std::result::Result<usize, String>>>,
}

impl Books {
    /// Opens both. With an engine that keeps what it holds they go on where an earlier run has left them; else they begin
    /// anew.
    pub(crate) fn open(directory: &Path, keeps: bool) -> io::Result<Self> {
        let receipts = Book::open(&directory.join("receipts.jsonl"), keeps, |line| {
            Ok((serde_json::from_str::<Receipt>(line)?.payment, ()))
        })?;
        let refusals = Book::open(&directory.join("refusals.jsonl"), keeps, |line| {
            Ok((serde_json::from_str::<Refused>(line)?.submitted, ()))
        })?;
        let written = receipts.pages().lines.len() + refusals.pages().lines.len();
        Ok(Self { receipts, refusals, written: Arc::new(watch::Sender::new(Ok(written))) })
    }

    pub(crate) fn receive(&self, receipt: &Receipt) -> io::Result<()> {
        self.note(self.receipts.write(receipt.payment, (), receipt))
    }

    /// An order is refused once, under the CID that it was submitted under: what charges it may be called again, and fail
    /// again under another CID, where a crash has its caller run again.
    pub(crate) fn refuse(&self, submitted: Cid, report: &FailureReport) -> io::Result<()> {
        self.note(self.refusals.write(submitted, (), &Refusal { submitted, report }))
    }

    /// Tells who waits for the last line.
    fn note(&self, written: io::Result<()>) -> io::Result<()> {
        let lines = self.receipts.pages().lines.len() + self.refusals.pages().lines.len();
        let _ = self.written.send_replace(match &written {
            Ok(()) => Ok(lines),
            Err(error) => Err(error.to_string()),
        });
        written
    }

    /// Waits until so many orders have come out.
    pub(crate) async fn wait_for(&self, orders: usize) -> std::result::Result<(), String> {
        let mut written = self.written.subscribe();
        let lines = written.wait_for(|written| written.as_ref().map_or(true, |lines| *lines >= orders)).await;
        match &*lines.map_err(|error| error.to_string())? {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("a line could not be written: {error}")),
        }
    }
}

/// A line of refusals.jsonl.
#[derive(Serialize)]
struct Refusal<'a> {
    submitted: Cid,
    #[serde(flatten)]
    report: &'a FailureReport,
}

/// What tells it from others.
#[derive(Deserialize)]
struct Refused {
    submitted: Cid,
}

/// A file of JSON lines, one for each CID: a handler may be run again, and its line is written once.
struct Book<T> {
    pages: Arc<Mutex<Pages<T>>>,
}

struct Pages<T> {
    file: File,
    lines: HashMap<Cid, T>,
}

impl<T> Clone for Book<T> {
    fn clone(&self) -> Self {
        Self { pages: self.pages.clone() }
    }
}

impl<T> Book<T> {
    fn open(
        path: &Path,
        keeps: bool,
        read: impl Fn(&str) -> serde_json::Result<(Cid, T)>,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(!keeps).open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // A line that was cut off is written again.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        let lines = text[..whole].lines().map(read).collect::<serde_json::Result<_>>()?;
        Ok(Self { pages: Arc::new(Mutex::new(Pages { file, lines })) })
    }

    /// Appends the line of this CID, if it has none. It is written when this returns, since the invocation is over then.
    fn write(&self, cid: Cid, about: T, line: &impl Serialize) -> io::Result<()> {
        let mut pages = self.pages();
        if pages.lines.contains_key(&cid) {
            return Ok(());
        }
        let mut line = serde_json::to_vec(line)?;
        line.push(b'\n');
        pages.file.write_all(&line)?;
        pages.lines.insert(cid, about);
        Ok(())
    }

    fn pages(&self) -> MutexGuard<'_, Pages<T>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
