//! What the services need beside their requests: given once, when the runtime starts.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use zato_core::{Cid, Failure, Result};

use crate::order::{Order, Price};

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
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    /// What was charged, in EUR cents, by payment.
    payments: Arc<Mutex<HashMap<Cid, u64>>>,
}

impl Ledger {
    /// Charges an order once. A service may be run again under the same CID, for example after a crash: what was
    /// charged under it is not charged twice.
    pub(crate) fn charge(&self, payment: Cid, order: &Order, price: &Price) -> Result<()> {
        if order.card.expires.as_str() < order.month() {
            return Err(Failure::permanent(format!("the card expired in {}", order.card.expires)));
        }
        self.payments().entry(payment).or_insert(price.eur_cents);
        Ok(())
    }

    /// The number of payments, and what they come to in EUR cents.
    pub(crate) fn total(&self) -> (usize, u64) {
        let payments = self.payments();
        (payments.len(), payments.values().sum())
    }

    fn payments(&self) -> MutexGuard<'_, HashMap<Cid, u64>> {
        self.payments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The two files that the program writes.
#[derive(Clone)]
pub(crate) struct Books {
    pub(crate) receipts: Book,
    pub(crate) refusals: Book,
}

impl Books {
    /// Begins both anew.
    pub(crate) fn create(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let book = |name| Book::create(&directory.join(name));
        Ok(Self { receipts: book("receipts.jsonl")?, refusals: book("refusals.jsonl")? })
    }
}

/// A file of JSON lines.
#[derive(Clone)]
pub(crate) struct Book {
    file: Arc<Mutex<File>>,
}

impl Book {
    fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: Arc::new(Mutex::new(File::create(path)?)) })
    }

    /// Appends a line. It is written when this returns, since the invocation is over then.
    pub(crate) fn write(&self, line: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(line)?;
        line.push(b'\n');
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
    }
}
