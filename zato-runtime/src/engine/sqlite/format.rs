//! The format of the file: what stands in it, and how it came to be.

use rusqlite::{Connection, TransactionBehavior};

use super::view;

/// `zato` in ASCII: what tells a store from other files of SQLite, also for `file(1)`.
pub(super) const APPLICATION: i32 = i32::from_be_bytes(*b"zato");

/// The version of the format that this program writes.
pub(super) const KNOWN: u32 = 1;

/// How the format came to be: the n-th step makes version n of version n - 1. A step that has been released is never
/// changed; what is changed afterwards is a step more.
const STEPS: [&str; KNOWN as usize] = [FIRST];

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

/// Makes the steps that the file has not made, all in one transaction, and the view anew.
pub(super) fn migrate(connection: &mut Connection, found: u32) -> rusqlite::Result<()> {
    if found == KNOWN {
        return Ok(());
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
