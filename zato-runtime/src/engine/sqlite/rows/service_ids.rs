//! The numbers of services in the file.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row};
use zato_core::ServiceName;

/// The numbers of services, as the one that writes gives them.
#[derive(Debug, Default)]
pub(in crate::engine::sqlite) struct Numbers {
    /// What stands in the file, and what the transaction that is under way has put there.
    by_name: HashMap<ServiceName, i64, foldhash::fast::RandomState>,
    /// What the transaction that is under way has put there.
    fresh: Vec<ServiceName>,
}

impl Numbers {
    /// A service's number; it is given one when it is first asked for.
    pub(in crate::engine::sqlite) fn of(
        &mut self,
        connection: &Connection,
        name: &ServiceName,
    ) -> rusqlite::Result<i64> {
        if let Some(number) = self.by_name.get(name) {
            return Ok(*number);
        }
        let found = connection
            .prepare_cached("SELECT coalesce(now_called, id) FROM service WHERE name = ?1")?
            .query_row([name.as_str()], |row| row.get(0))
            .optional()?;
        let number = if let Some(number) = found {
            number
        } else {
            connection.prepare_cached("INSERT INTO service (name) VALUES (?1)")?.insert([name.as_str()])?
        };
        self.by_name.insert(*name, number);
        self.fresh.push(*name);
        Ok(number)
    }

    /// Services have been renamed: numbers are asked for anew.
    pub(in crate::engine::sqlite) fn forget(&mut self) {
        self.by_name.clear();
    }

    /// The transaction is committed: its numbers stand.
    pub(in crate::engine::sqlite) fn keep(&mut self) {
        self.fresh.clear();
    }

    /// The transaction is undone, and so are the numbers that it gave.
    pub(in crate::engine::sqlite) fn undo(&mut self) {
        for name in self.fresh.drain(..) {
            self.by_name.remove(&name);
        }
    }
}

/// The names of services, as a look-up reads them: each once.
#[derive(Debug)]
pub(in crate::engine::sqlite) struct NamesOf<'c> {
    connection: &'c Connection,
    by_number: RefCell<HashMap<i64, ServiceName, foldhash::fast::RandomState>>,
    /// The names that lead to others, once they have been read.
    renamed: OnceCell<HashMap<ServiceName, ServiceName>>,
}

impl<'c> NamesOf<'c> {
    pub(in crate::engine::sqlite) fn new(connection: &'c Connection) -> Self {
        Self { connection, by_number: RefCell::default(), renamed: OnceCell::new() }
    }

    /// The name of the service with this number.
    pub(in crate::engine::sqlite) fn get(&self, number: i64) -> rusqlite::Result<ServiceName> {
        if let Some(name) = self.by_number.borrow().get(&number) {
            return Ok(*name);
        }
        let sql = "SELECT coalesce((SELECT name FROM service WHERE id = s.now_called), name)
            FROM service AS s WHERE id = ?1";
        let name = self
            .connection
            .prepare_cached(sql)?
            .query_row([number], |row| Ok(ServiceName::interned(row.get_ref(0)?.as_str()?)))?;
        self.by_number.borrow_mut().insert(number, name);
        Ok(name)
    }

    /// The names of today of services that are stored by name.
    pub(in crate::engine::sqlite) fn of_today<'n>(
        &self,
        names: impl IntoIterator<Item = &'n mut ServiceName>,
    ) -> rusqlite::Result<()> {
        for name in names {
            if let Some(now) = self.renamed()?.get(name) {
                *name = *now;
            }
        }
        Ok(())
    }

    /// Whether any service has been renamed.
    pub(in crate::engine::sqlite) fn is_any_renamed(&self) -> rusqlite::Result<bool> {
        Ok(!self.renamed()?.is_empty())
    }

    fn renamed(&self) -> rusqlite::Result<&HashMap<ServiceName, ServiceName>> {
        if let Some(renamed) = self.renamed.get() {
            return Ok(renamed);
        }
        let sql =
            "SELECT old.name, new.name FROM service AS old JOIN service AS new ON new.id = old.now_called
            WHERE old.now_called IS NOT NULL";
        let names = |row: &Row<'_>| {
            let [old, new] = [row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?];
            Ok((ServiceName::interned(old), ServiceName::interned(new)))
        };
        let renamed =
            self.connection.prepare_cached(sql)?.query_map([], names)?.collect::<rusqlite::Result<_>>()?;
        Ok(self.renamed.get_or_init(|| renamed))
    }
}
