//! What is ordered, what it costs, and what the customer gets to read.

use serde::{Deserialize, Serialize};
use zato_core::{Cid, Failure, Result};

/// One line of the input.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    /// The day, as in `2026-03-19`.
    pub(crate) placed: String,
    pub(crate) product: String,
    pub(crate) quantity: i32,
    pub(crate) currency: String,
    pub(crate) card: Card,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Card {
    pub(crate) last4: String,
    /// The last month in which it is valid, as in `2027-04`.
    pub(crate) expires: String,
}

/// What an order costs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Price {
    /// In the smallest unit of the order's currency.
    pub(crate) amount: u64,
    pub(crate) eur_cents: u64,
}

/// A line of receipts.jsonl.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) order: String,
    pub(crate) payment: Cid,
    pub(crate) card: String,
    pub(crate) amount: u64,
    pub(crate) currency: String,
    pub(crate) eur_cents: u64,
}

impl Order {
    /// What can be checked without asking anybody.
    pub(crate) fn validate(&self) -> Result<()> {
        match self.quantity {
            1..=100 => Ok(()),
            quantity => {
                Err(Failure::permanent(format!("{quantity} pieces are ordered: we sell 1 to 100 at a time")))
            }
        }
    }

    /// The month in which it was placed, as in `2026-03`.
    pub(crate) fn month(&self) -> &str {
        self.placed.get(..7).unwrap_or(&self.placed)
    }
}
