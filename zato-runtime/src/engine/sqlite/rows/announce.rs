//! What processes announce of their services: limits, and former names.
//!
//! A service's number is its identity in the file. A former name keeps a number of its own, which leads to that of the
//! name that came after it (`now_called`). Whoever reads a number or a name gets the name of today, so everything that is
//! kept follows a rename: ended invocations, callers, callbacks, steps. What is looked for by number moves in the step
//! that makes the rename: what has not ended, idempotency keys, a pause and the last start.
//!
//! A program that is rolled back hosts a service under its former name, and nothing under the name that came after it. The
//! service is still the same, so that is a rename too, in the other direction.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, params};

use super::row_writer::RowWriter;
use crate::record::Hosted;

/// Whether the file says of these services what they say of themselves.
pub(in crate::engine::sqlite) fn is_announced(
    connection: &Connection,
    services: &[Hosted],
) -> rusqlite::Result<bool> {
    let mut said = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM service WHERE name = ?1 AND now_called IS NULL AND max_losses = ?2 AND priority = ?3)",
    )?;
    let mut leads = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM service AS old JOIN service AS new ON new.id = old.now_called
            WHERE old.name = ?1 AND new.name = ?2)",
    )?;
    for service in services {
        let name = service.name.as_str();
        if !said.query_row(params![name, service.max_losses, service.priority], |row| row.get(0))? {
            return Ok(false);
        }
        for old in service.formerly {
            if !leads.query_row([*old, name], |row| row.get(0))? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

impl RowWriter<'_> {
    /// This process hosts these services. A name that one of them has is its own again, and their former names lead to
    /// them, as does the name that one of them had before this program was rolled back.
    pub(crate) fn announce(&mut self, services: &[Hosted]) -> rusqlite::Result<()> {
        let rolled_back = self.rolled_back(services)?;
        for service in services {
            let sql = "INSERT INTO service (name, max_losses, priority) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE
                SET now_called = NULL, max_losses = excluded.max_losses, priority = excluded.priority";
            self.change(sql, params![service.name.as_str(), service.max_losses, service.priority])?;
        }
        // A number may be another service's now.
        self.numbers.forget();
        for service in services {
            let number = self.number(&service.name)?;
            for old in service.formerly {
                self.rename(old, number)?;
            }
        }
        for (later, service) in rolled_back {
            let number = self.number(&service.name)?;
            self.rename(&later, number)?;
        }
        Ok(())
    }

    /// The services whose names lead to names that no service of this process has or had, by those names. A name that two
    /// of them lead to is left alone: what is kept under it may be of either.
    fn rolled_back<'s>(&self, services: &'s [Hosted]) -> rusqlite::Result<HashMap<String, &'s Hosted>> {
        let sql = "SELECT new.name FROM service AS old JOIN service AS new ON new.id = old.now_called WHERE old.name = ?1";
        let mut leads_to = self.connection.prepare_cached(sql)?;
        let names = services
            .iter()
            .flat_map(|service| service.formerly.iter().copied().chain([service.name.as_str()]));
        let own: HashSet<&str> = names.collect();
        let (mut rolled_back, mut doubtful) = (HashMap::new(), Vec::new());
        for service in services {
            let later =
                leads_to.query_row([service.name.as_str()], |row| row.get::<_, String>(0)).optional()?;
            let Some(later) = later.filter(|later| !own.contains(later.as_str())) else { continue };
            if rolled_back.insert(later.clone(), service).is_some() {
                doubtful.push(later);
            }
        }
        rolled_back.retain(|later, _| !doubtful.contains(later));
        Ok(rolled_back)
    }

    /// What is kept under a name that a service had before is its own from now on.
    fn rename(&mut self, old: &str, number: i64) -> rusqlite::Result<()> {
        self.change("INSERT OR IGNORE INTO service (name) VALUES (?1)", [old])?;
        let sql = "SELECT id FROM service WHERE name = ?1 AND now_called IS NOT ?2";
        let before: Option<i64> = self
            .connection
            .prepare_cached(sql)?
            .query_row(params![old, number], |row| row.get(0))
            .optional()?;
        // It has been renamed before, and nothing is under the old name since.
        let Some(before) = before else { return Ok(()) };
        // What led to the old name leads to the new one.
        let sql = "UPDATE service SET now_called = ?2 WHERE (id = ?1 OR now_called = ?1) AND id <> ?2";
        self.change(sql, [before, number])?;
        // By the index of each: what has ended stays where it is.
        for of in [
            "state = 0 AND in_lane IS NULL",
            "lane IS NOT NULL AND state < 3",
            "state < 3 AND state IN (1, 2)",
        ] {
            let sql = format!("UPDATE invocation SET service = ?2 WHERE {of} AND service = ?1");
            self.change(&sql, [before, number])?;
        }
        // Of two calls under one key the first counts.
        let sql = "DELETE FROM idempotency WHERE service = ?2 AND EXISTS (SELECT 1 FROM idempotency AS old
            WHERE old.service = ?1 AND old.name = idempotency.name AND old.at <= idempotency.at)";
        self.change(sql, [before, number])?;
        self.change("UPDATE OR IGNORE idempotency SET service = ?2 WHERE service = ?1", [before, number])?;
        self.change("DELETE FROM idempotency WHERE service = ?1", [before])?;
        let sql = "UPDATE service SET paused = 1
            WHERE id = ?2 AND (SELECT paused FROM service WHERE id = ?1) = 1";
        self.change(sql, [before, number])?;
        self.change("UPDATE service SET paused = 0 WHERE id = ?1", [before])?;
        let sql = "UPDATE service SET last_started = old.last_started FROM service AS old
            WHERE service.id = ?2 AND old.id = ?1 AND old.last_started > coalesce(service.last_started, 0)";
        self.change(sql, [before, number]).map(drop)
    }
}
