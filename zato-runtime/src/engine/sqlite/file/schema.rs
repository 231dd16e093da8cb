//! The tables of the file, and the steps from one version of the format to the next.

use rusqlite::{Connection, TransactionBehavior};

use super::view;

/// `zato` in ASCII: what tells a store from other files of SQLite, also for `file(1)`.
pub(in crate::engine::sqlite) const APPLICATION: i32 = i32::from_be_bytes(*b"zato");

/// The version of the format that this program writes.
pub(in crate::engine::sqlite) const KNOWN: u32 = 2;

/// How the format came to be: the n-th step makes version n of version n - 1. A step that has been released is never
/// changed; what is changed afterwards is a step more.
const STEPS: [&str; KNOWN as usize] = [FIRST, SECOND];

/// Version 1. No `STRICT` tables, whose files a `sqlite3` from before the end of 2021 does not open.
const FIRST: &str = "
-- The services that any row names. A service is never removed.
CREATE TABLE service (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    paused  INTEGER NOT NULL DEFAULT 0     -- 1: nothing of it starts
);

-- One row for each invocation, from its acceptance on, changed in place. Times are nanoseconds since 1970; CIDs are the
-- 16 bytes of the UUID, most significant first. What is long stands last: the rest is read without it.
CREATE TABLE invocation (
    accept        INTEGER PRIMARY KEY,     -- the accept number: the order in which they were accepted
    cid           BLOB NOT NULL UNIQUE,
    state         INTEGER NOT NULL,        -- 0 waiting, 1 running, 2 an open group, 3 ended, 4 ended as a dead letter
    service       INTEGER NOT NULL,        -- service.id of the target
    channel       INTEGER NOT NULL,        -- 0 invoke, 1 invoke-async, 2 invoke-async-callback, 3 parallel,
                                           -- 4 fan-out, 5 chain, 6 chain-step
    caller        INTEGER,                 -- service.id; NULL: called from outside
    parent        BLOB,                    -- the CID whose handler made it, or whose outcome it carries
    root          BLOB NOT NULL,           -- the first CID of its tree; its own for a root
    depth         INTEGER NOT NULL,
    called_at     INTEGER NOT NULL,
    rank          INTEGER NOT NULL,        -- its priority, negated: what is lower goes first
    line_at       INTEGER NOT NULL,        -- when it came, or comes, to be due: what is earlier goes first within its rank
    lane          TEXT,                    -- its concurrency key; NULL: none
    in_lane       INTEGER,                 -- 1: it stands behind another that has its key
    ends_at       INTEGER,                 -- when it is to be ended if it still waits; NULL: never
    due           INTEGER,                 -- when it may start; NULL: at once
    deadline      INTEGER,                 -- when it must have ended
    slot_group    BLOB,                    -- the CID of the group in which its outcome fills a place
    slot_index    INTEGER,                 -- the place, from 0
    hidden_by     BLOB,                    -- the CID whose attempt made it, where its parent is a synchronous call
    attempts      INTEGER NOT NULL,        -- how many have begun
    behind        INTEGER,                 -- how many of them were over when it last came to wait again; NULL: never
    failed        INTEGER NOT NULL,        -- how many of those ended by themselves
    losses        INTEGER NOT NULL,        -- how many times its process died during it
    next_at       INTEGER,                 -- when it might start again; NULL: not in the process that ran it
    started_at    INTEGER,                 -- when the last attempt began
    cancel        INTEGER NOT NULL,        -- 0 no, 1 it is to stop, 2 and so is what it invokes
    ended_at      INTEGER,
    outcome       INTEGER,                 -- 0 Completed, 1 Failed, 2 TimedOut, 3 Expired, 4 Cancelled,
                                           -- 5 Undecodable, 6 Lost
    permanent     INTEGER,                 -- whether it would end the same way again; NULL: it completed
    again         BLOB,                    -- the CID that runs it again, if it was a dead letter
    callbacks     TEXT,                    -- JSON: names; NULL: none
    on_failure    TEXT,                    -- JSON: names; NULL: none
    options       TEXT,                    -- JSON: what its call asked for, durations in nanoseconds; NULL: nothing
    tried         TEXT,                    -- JSON: the last attempts that were not the last; NULL: none
    error         TEXT,                    -- NULL: it completed
    payload_kind  INTEGER NOT NULL,        -- 0 empty, 1 text, 2 JSON, 3 bytes
    response_kind INTEGER,                 -- likewise; NULL: there is none
    payload       BLOB NOT NULL,
    response      BLOB
);

-- Trees, but for their roots, which are found by CID; children; members of groups; what was made inside a synchronous call.
CREATE INDEX invocation_root ON invocation (root) WHERE root <> cid;
CREATE INDEX invocation_parent ON invocation (parent) WHERE parent IS NOT NULL;
CREATE INDEX invocation_slot ON invocation (slot_group, slot_index) WHERE slot_group IS NOT NULL;
CREATE INDEX invocation_hidden ON invocation (hidden_by) WHERE hidden_by IS NOT NULL;

-- What has not ended, in accept order: what runs, and the groups that are open, is what a restart reads. It adds up how
-- many bytes wait without reading a row.
CREATE INDEX invocation_live ON invocation (state, accept, length(payload)) WHERE state < 3;

-- What waits, in the order in which it starts. What has a key and stands behind another stands in nobody's way.
CREATE INDEX invocation_line ON invocation (service, rank, line_at, accept) WHERE state = 0 AND in_lane IS NULL;
CREATE INDEX invocation_lane ON invocation (service, lane, accept) WHERE lane IS NOT NULL AND state < 3;

-- What waits and is to be ended without being run.
CREATE INDEX invocation_ends ON invocation (ends_at) WHERE state = 0 AND ends_at IS NOT NULL;

-- Dead letters, in accept order.
CREATE INDEX invocation_dead ON invocation (accept) WHERE state = 4;

-- Idempotency keys that live, apart from the invocations that were made under them.
CREATE TABLE idempotency (
    service INTEGER NOT NULL,              -- service.id
    name    TEXT NOT NULL,                 -- the key as its user gave it
    cid     BLOB NOT NULL,                 -- the first call under it
    digest  BLOB NOT NULL,                 -- 16 bytes: what must be the same under the same key
    at      INTEGER NOT NULL,              -- when it was given
    PRIMARY KEY (service, name)
) WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency (at);
";

/// Version 2. A column is added without rewriting the rows; those that were there have its default.
const SECOND: &str = "
-- The service that this name leads to since a program called it `formerly`; NULL: the name is its own.
ALTER TABLE service ADD COLUMN now_called INTEGER;   -- service.id
-- What the last process that hosts the service said of it; NULL: none has, since this column was added.
ALTER TABLE service ADD COLUMN max_losses INTEGER;
ALTER TABLE service ADD COLUMN priority INTEGER;
-- When an invocation of it was last started; NULL: never while it had a rate.
ALTER TABLE service ADD COLUMN last_started INTEGER;
CREATE INDEX service_renamed ON service (now_called) WHERE now_called IS NOT NULL;

ALTER TABLE invocation ADD COLUMN headers TEXT;        -- JSON: {labels: {name: value}}; NULL: none
ALTER TABLE invocation ADD COLUMN code TEXT;           -- the code of the failure that ended it; NULL: none
ALTER TABLE invocation ADD COLUMN max_losses INTEGER;  -- how many deaths of its process end it as Lost; NULL: what the
                                                       -- process says that hosts its service
-- Of the attempt that was started last.
ALTER TABLE invocation ADD COLUMN begun INTEGER;       -- 1: recorded when its handler began; NULL: when it was handed out
ALTER TABLE invocation ADD COLUMN draining INTEGER;    -- 1: it ran when a shutdown began; NULL: it did not

-- How the digest came to be; 1: by an algorithm that only the program that wrote it knows.
ALTER TABLE idempotency ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
-- What has ended under a key that lives is kept.
CREATE INDEX idempotency_cid ON idempotency (cid);

-- How many transactions have been committed, in one row. A start compares it with the number in `PATH.lock`.
CREATE TABLE written (transactions INTEGER NOT NULL);
INSERT INTO written VALUES (0);
";

/// What stands in a file of version 1 as version 2 has it, for who reads it and changes nothing in it: a view of the
/// connection's own goes before the table of the same name. Where it was created is no matter to who reads it.
pub(in crate::engine::sqlite) const FIRST_AS_SECOND: &str = "
CREATE TEMP VIEW service AS SELECT *, NULL AS now_called, NULL AS max_losses, NULL AS priority, NULL AS last_started
    FROM main.service;
CREATE TEMP VIEW invocation AS
    SELECT *, NULL AS headers, NULL AS code, NULL AS max_losses, NULL AS begun, NULL AS draining FROM main.invocation;
CREATE TEMP VIEW idempotency AS SELECT *, 1 AS version FROM main.idempotency;
";

/// Makes the steps that the file has not made, all in one transaction, and the view anew.
pub(in crate::engine::sqlite) fn migrate(connection: &mut Connection, found: u32) -> rusqlite::Result<()> {
    if found == KNOWN {
        return complete(connection);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in STEPS.iter().skip(found as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.execute_batch(view::READABLE)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", KNOWN)?;
    transaction.commit()
}

/// Adds what version 2 lacked before it was released. A file of that time is opened like any other.
fn complete(connection: &Connection) -> rusqlite::Result<()> {
    let additions = [
        (
            "SELECT EXISTS (SELECT 1 FROM pragma_table_info('service') WHERE name = 'last_started')",
            "ALTER TABLE service ADD COLUMN last_started INTEGER",
        ),
        (
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'written')",
            "BEGIN; CREATE TABLE written (transactions INTEGER NOT NULL); INSERT INTO written VALUES (0); COMMIT",
        ),
    ];
    for (exists, addition) in additions {
        if !connection.query_row(exists, [], |row| row.get::<_, bool>(0))? {
            connection.execute_batch(addition)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use rusqlite::params;
    use zato_core::{Channel, Invocation, Payload, ServiceName, Slot};

    use super::*;
    use crate::base::clock::Clock;
    use crate::engine::contract::Refused;
    use crate::engine::sqlite::file::connect;
    use crate::engine::sqlite::read::queries;
    use crate::engine::sqlite::read::reader::Reader;
    use crate::engine::sqlite::rows::codec;
    use crate::engine::sqlite::rows::columns::{Stands, Stored};
    use crate::engine::sqlite::rows::insert::As;
    use crate::engine::sqlite::store::SqliteStore;
    use crate::engine::sqlite::test_data::{Store as Rows, at, child, invocation, nth};
    use crate::engine::state::Store as _;
    use crate::record::lookup::Filter;
    use crate::record::{Algorithm, Key, described};

    /// A file as version 1 wrote it: 1 waits and has options, 2 runs and was tried before, 3 is a dead letter.
    fn first(path: &Path) {
        let connection = Connection::open(path).expect("a new file");
        connection.pragma_update(None, "journal_mode", "WAL").expect("a log");
        connection.execute_batch(FIRST).expect("the first version");
        connection.execute_batch("CREATE VIEW readable AS SELECT accept FROM invocation").expect("its view");
        connection.pragma_update(None, "application_id", APPLICATION).expect("it is set");
        connection.pragma_update(None, "user_version", 1).expect("it is set");
        let names = "INSERT INTO service (name, paused) VALUES ('orders.price', 1), ('orders.charge', 0)";
        connection.execute(names, []).expect("two services");
        let sql = "INSERT INTO invocation (accept, cid, state, service, channel, root, depth, called_at, rank, line_at,
                attempts, behind, failed, losses, next_at, started_at, cancel, ended_at, outcome, permanent, callbacks,
                options, tried, error, payload_kind, payload)
            VALUES (?1, ?2, ?3, 1, 1, ?2, 0, ?4, 0, ?4, ?5, ?6, coalesce(?6, 0), coalesce(?6, 0), ?4, ?7, 0, ?8, ?9, ?9, ?10, ?11, ?12, ?13, 1, CAST('a request' AS BLOB))";
        let time = codec::time(at(7));
        let row = |number: u64, state: i64| (number, codec::cid(nth(number)), state);
        for (
            (number, cid, state),
            attempts,
            behind,
            started,
            ended,
            outcome,
            callbacks,
            options,
            tried,
            error,
        ) in [
            (
                row(1, 0),
                0,
                None,
                None,
                None,
                None,
                Some(r#"["orders.charge"]"#),
                Some(r#"{"max_losses":2}"#),
                None,
                None,
            ),
            (
                row(2, 1),
                2,
                Some(1),
                Some(time),
                None,
                None,
                None,
                None,
                Some(r#"[{"number":1,"started_at":5,"ended_at":6,"error":"busy","counts":true}]"#),
                None,
            ),
            (row(3, 4), 1, None, Some(time), Some(time), Some(1), None, None, None, Some("no such order")),
        ] {
            connection
                .execute(
                    sql,
                    params![
                        number, cid, state, time, attempts, behind, started, ended, outcome, callbacks,
                        options, tried, error
                    ],
                )
                .expect("a row");
        }
        let key = "INSERT INTO idempotency (service, name, cid, digest, at) VALUES (1, 'k', ?1, ?2, ?3)";
        connection.execute(key, params![codec::cid(nth(1)), codec::digest(7), time]).expect("a key");
    }

    /// What stands in such a file is what was written.
    fn is_whole(connection: &Connection) {
        let all = queries::list(connection, &Filter::new()).expect("they can be read");
        assert_eq!(all.iter().map(Stored::number).collect::<Vec<_>>(), [3, 2, 1]);
        let [Stored::Ended(dead), Stored::Live(runs), Stored::Live(waits)] = &all[..] else {
            panic!("{all:?}")
        };
        assert_eq!(dead.ended.outcome.to_string(), "Failed: no such order");
        assert_eq!(dead.ended.outcome.code(), None);
        assert_eq!((runs.stands, runs.attempts), (Stands::Running(at(7).into()), 2));
        let progress = runs.progress.as_deref().expect("it was tried before");
        assert_eq!((progress.failed, progress.losses, progress.max_losses), (1, 1, None));
        assert_eq!((&*progress.tried[0].error, progress.tried[0].code.as_deref()), ("busy", None));
        assert_eq!((waits.stands, waits.max_losses), (Stands::Waiting, None));
        assert_eq!(&*waits.invocation.callbacks[0], "orders.charge");
        let options = waits.invocation.options.as_deref().expect("it has some");
        assert_eq!(options.max_losses, Some(2));
        assert!(waits.invocation.labels.is_empty());
        assert_eq!(queries::paused(connection).expect("it can be read"), [waits.invocation.service]);
    }

    #[test]
    fn a_file_of_the_version_before_is_brought_up_to_this_one() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("zato.db");
        first(&path);
        for _ in 0..2 {
            let connection = connect::open(&path).expect("it opens");
            is_whole(&connection);
            let version: u32 =
                connection.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
            assert_eq!(version, KNOWN);
            let shown = connection.query_row("SELECT code, max_losses, headers FROM readable", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            });
            assert_eq!(shown, Ok((None::<String>, None::<u32>, None::<String>)));
        }
    }

    /// Beside an owner of the version before, or without one: nothing is changed by a look.
    #[test]
    fn a_file_of_the_version_before_is_read_as_it_is() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("zato.db");
        first(&path);
        let reader = connect::open_reader(&path).expect("it opens");
        is_whole(&reader);
        let key = queries::key(&reader, &zato_core::ServiceName::linked("orders.price"), "k", at(0));
        let expected = queries::First { cid: nth(1), digest: 7, version: 1 };
        assert_eq!(key.expect("it can be read"), Some(expected));
        assert!(queries::find(&reader, nth(2)).expect("it can be read").is_some());
        assert_eq!(queries::services(&reader).expect("they can be read").len(), 2);
        drop(reader);
        let connection = Connection::open(&path).expect("it opens");
        let version: u32 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
        assert_eq!(version, 1);
    }

    /// A digest of version 1 is compared by what is held of the call that it was made of.
    #[test]
    fn a_key_of_the_version_before_stands_for_the_same_call() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("zato.db");
        first(&path);
        let connection = connect::open(&path).expect("it opens");
        let call = queries::find(&connection, nth(1)).expect("it can be read").expect("it is held");
        let mut other = Invocation::clone(call.invocation());
        other.payload = Payload::text("another request");
        let mut disk = SqliteStore::new(
            Reader::new(&path, None, &Arc::default(), &Arc::default()),
            Duration::MAX,
            Clock::default(),
            0,
            std::sync::Arc::default(),
        );
        let mut of = |invocation: &Invocation| {
            let key = Key { name: "k".into(), digest: Algorithm::Named.content(invocation) };
            disk.key(&ServiceName::linked("orders.price"), &key)
        };
        assert_eq!(of(call.invocation()), Ok(Some(nth(1))));
        assert_eq!(of(&other), Err(Refused::KeyConflict { first: nth(1) }));
        // What is not held cannot be compared: who gives a key again means the same call.
        connection.execute("DELETE FROM invocation WHERE accept = 1", []).expect("it is deleted");
        assert_eq!(of(&other), Ok(Some(nth(1))));
    }

    /// What a group was described with in version 1 says nothing of its members to this program: they are compared.
    #[test]
    fn a_group_of_the_version_before_is_compared_by_its_members() {
        let mut store = Rows::new();
        let parent = invocation(nth(1));
        let mut group = child(&parent, nth(2));
        (group.channel, group.payload) = (Channel::FanOut, Payload::text("2 members, 0123456789abcdef"));
        let members = [3, 4].map(|n| {
            let mut member = child(&parent, nth(n));
            member.slot = Some(Slot { group: nth(2), index: u32::try_from(n - 3).expect("small") });
            member
        });
        for (number, invocation) in (1..).zip([&parent, &group].into_iter().chain(&members)) {
            store.rows.changing().accepted(number, invocation, 0, As::Waiting, None).expect("it is accepted");
        }
        let called = queries::called(store.rows.connection(), nth(1)).expect("it can be read");
        group.payload = described(2, Algorithm::Named.members(members.iter()));
        assert_eq!(called, [(Algorithm::Named.call(&group), nth(2))]);
    }

    /// Format 2 had no such column before it was released.
    #[test]
    fn a_file_without_the_column_of_last_starts_receives_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("zato.db");
        let before = connect::open(&path).expect("it opens");
        before.execute("INSERT INTO service (name) VALUES ('orders.price')", []).expect("a service");
        before.execute_batch("ALTER TABLE service DROP COLUMN last_started").expect("it is dropped");
        drop(before);
        let reader = connect::open_reader(&path).expect("it is read without");
        assert_eq!(queries::services(&reader).expect("they can be read").len(), 1);
        drop(reader);
        for _ in 0..2 {
            let connection = connect::open(&path).expect("it opens");
            assert_eq!(queries::last_starts(&connection).expect("they can be read"), []);
        }
    }

    /// A file that was brought up to this version is like one that was made by it.
    #[test]
    fn every_version_leads_to_the_same_columns() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let columns = |path: &Path| -> Vec<String> {
            let connection = connect::open(path).expect("it opens");
            let sql = "SELECT t.name || '.' || c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
                WHERE t.type IN ('table', 'view')";
            let mut statement = connection.prepare(sql).expect("SQL");
            let columns = statement.query_map([], |row| row.get(0)).expect("they can be read");
            columns.collect::<Result<_, _>>().expect("they can be read")
        };
        let [old, new] = ["old.db", "new.db"].map(|name| directory.path().join(name));
        first(&old);
        let (mut old, mut new) = (columns(&old), columns(&new));
        old.sort_unstable();
        new.sort_unstable();
        assert_eq!(old, new);
        assert!(new.contains(&"invocation.max_losses".to_owned()), "{new:?}");
    }
}
