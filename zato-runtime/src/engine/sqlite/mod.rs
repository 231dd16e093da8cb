//! The engine that keeps everything in one file: `sqlite:PATH`.
//!
//! **Threads** (`thread`). The engine starts four threads when it is opened, and ends them when it is closed:
//! `zato-sqlite-writer` writes and sweeps, `zato-sqlite-reader` answers look-ups that read much, `zato-sqlite-pager` reads
//! what waits in the file alone, and `zato-sqlite-checkpointer` moves the log into the file, counts what was left, and looks
//! for room on the disk. Each runs one job at a time and sleeps otherwise. *Nothing uses the blocking threads of the user's
//! tokio runtime*, which handlers may hold while they wait for a receipt. A start that cannot have these threads is an error.
//! A panic is caught and logged, whoever waits receives an error, and the thread goes on.
//!
//! **Changed in memory, answered from disk.** A verb changes the state under its lock and leaves what it changed in a
//! list. One thread at a time (`writer`) takes the list, writes it as one transaction, with what comes meanwhile, and,
//! when that has been synced, answers all who wait for it: group commit, without a timer. *What the state does not
//! hold stands in the file exactly as it is*: what has ended is let go of when it is written, and so is what waits
//! beyond the window of its service. So a look-up asks the state, and then the file; a tree or a list is read beside the lock and patched with
//! what the state holds.
//!
//! **A synchronous call from outside is recorded when it ends** (`rows/unrecorded`, `state/unrecorded`), under the number of its
//! acceptance. Until then the state alone has it: nothing is written of it, it is never let go of, and look-ups add it to
//! what they read. What it calls is recorded at once, names it as its parent, and is not swept before it has ended. Its
//! idempotency key, if a call has one, is recorded with it. It begins without a write, but not before what was started before
//! it. Its caller is answered when its end is on disk, or hears that it cannot be written now. After a crash nothing is left
//! of it, and its tree has a gap for a root; a row that a program of before has left is ended as `Lost`.
//!
//! **What cannot be written is written later.** The list is kept and tried again, and every change can be made twice,
//! so it need not be known whether a failed commit has reached the disk. Whoever asked is told that it is unknown,
//! with the CID; a full disk is waited for instead. After anything but a full disk or a lock the file is closed,
//! opened again, and its log moved into it (a truncating checkpoint) before anything is answered. The log is written
//! again before that, as it is read: what a failed sync has left in the cache alone no later sync would write, and a
//! file that is half moved from such a log could not be mended. *A receipt is never given for what is not on disk.*
//! What is damaged will not pass: who waits for an outcome then is told (`Engine::damaged`), and nothing is swept,
//! since what cannot be read may be what is old. A lock that this process cannot get since it could not give it back
//! is let go of by closing every connection. Below `disk_reserve` no calls are taken, and settles go on.
//!
//! **Look-ups do not depend on the writer** (`lookup_verbs`, `health`). In WAL mode a reader waits for nobody, so a look-up reads what
//! is committed and shows it as the state in memory has it. It first waits for the changes that are on their way, so that it
//! sees them; while the writer fails, or has written nothing for half a second, it does not wait. *An end that is not on disk
//! is not shown*: until then the invocation runs. A call waits while another program, say `sqlite3`, holds the file locked:
//! its caller hears of that after 30 s. A start waits for 5 s.
//!
//! **A lock that was not given back.** SQLite ignores an unlock that fails, and whoever begins to read the log then tries for ten
//! seconds, inside of SQLite. While anybody reads or writes, the checkpointer looks twice a second whether that gets on; where it
//! does not, it moves the log into the file, whereupon a reader needs that lock no more, and the writer closes all connections
//! before it writes again. No other connection can do that, so its own stays open. One case still takes the ten seconds: the
//! unlock after a commit has begun the log anew (`walRestartLog` of SQLite). It needs a place among the readers of the log then,
//! which a moved log does not give, and SQLite neither calls its busy handler there nor looks whether it is interrupted.
//!
//! **Three steps a round.** What a worker waits for is started in the step that accepts or creates it; where many end
//! while the disk is busy once, as many are in hand and as many on their way, up to 1,024. A start is on disk before its handler
//! runs, so a death is always counted: `attempts`, and `losses` apart. One loss before the limit an invocation runs
//! beside no other such.
//!
//! **Windows** (`state/refill`, `state/spill`). A queue holds 4,096 of what may start, in order; what comes then
//! stands beyond, is let go of when it is written as it stands, and is read again by `(rank, line_at, accept)` when
//! the queue is half empty. A lane knows who has its key, where that is held, and a page of those that come next;
//! when they are used up it asks the file, and so does a call with a key whose lane nobody held stands in. Of what is
//! due later it is known when the first is, for each service; then that service's line is read. Of what is to be
//! ended without being run it is known when the first is, for all; then it is read and delivered to be ended
//! (`state/expiry_cursor`). So nothing that waits must be held, and a program that nothing is due of sleeps. *Written
//! as it stands* is by numbers: what is put beyond takes the next one, and is let go of when all is on disk that was
//! changed before that; the number of its acceptance would say too much of a key that has just been given to it. What
//! comes to be due in the file stands behind those of its service that are held, whatever its priority.
//!
//! **Restart** holds what ran (as a new attempt) and open groups; all else is beyond. Beside that the lanes are
//! looked through for one of which nobody has the key, which is so where its process died while a handler that had
//! ended lingered. Calls of earlier attempts are not noted: they are the children of the invocation in the file,
//! compared by what they are.
//!
//! **The file.** `application_id` is `zato`, `user_version` the format (2); steps go forward only (`file/schema.rs`), a
//! newer file is refused, and one of the version before is read as it is by who only reads. `PATH.lock` contains the owner's
//! process ID, under a lock of the operating system, and the number of acknowledged transactions (`file/ownership`). `PATH.begun`
//! is there while handlers run during which a process has died (`file/begun`).
//!
//! **The right file** (`file/location`, `file/ownership`, `file/inode`). The path is made absolute when the engine is opened. The store is
//! made then or never: what is opened again must be the same inode. After each commit, before anything is acknowledged, the
//! inodes and the number of links of the store, its log, the index of that and the lock are compared with what their names
//! lead to; that costs some microseconds. *No receipt is given for a file that is not found by its name.* On Linux the
//! store itself is locked, too (`F_OFD_SETLK`), on a byte that only the owner locks and on the bytes that every connection of
//! SQLite shares. A process that opens and closes its own store gives up SQLite's POSIX locks, and these are not among them:
//! no other program takes itself for the last to close the store, and removes its log.
//!
//! **A damaged log** (`file/wal`) is found at a start, before SQLite reads it, since SQLite takes everything after the first bad
//! frame for unfinished. A whole transaction that follows the end of a broken one was acknowledged: the start is refused.
//! What is broken in the last transaction cannot be told from what was never finished. Rows have no digest: one of a payload
//! takes 16 to 70 ns (CRC-32, 200 B to 1 KiB), but would cover no column that is changed in place.
//!
//! | table | a row is |
//! |---|---|
//! | `service` | a name that a service ever had: `id`, `name`, `paused`, the service that it leads to since a rename (`now_called`), what its host said of it last (`max_losses`, `priority`), when it last started an invocation, if it has a rate (`last_started`) |
//! | `invocation` | one invocation from its acceptance on, changed in place: `accept` (its number, the key), `cid`, `state` (0 waiting, 1 running, 2 open group, 3 ended, 4 dead letter), what was asked for, where it stands in line (`rank`, `line_at`, `lane`, `in_lane`, `ends_at`), what became of attempts (`attempts`, `failed`, `losses`, `max_losses`, `tried`, `next_at`, `begun`, `draining`), how it ended (`outcome`, `code`, ..), its labels (`headers`) |
//! | `idempotency` | a key that lives: `service`, `name`, the first `cid`, a digest and how that came to be (`version`), `at` |
//!
//! Indexes: `cid`; `parent`, `root`, `slot_group`, `hidden_by` where there is one; what has not ended by `(state,
//! accept)`; what waits by its place in line, its lane, when it ends; dead letters. The view `readable` shows all of
//! it in words. Sweeps go along with transactions, a few rows each; where nothing is written, `sweeper` wakes when
//! the oldest becomes too old, and only then. Checkpoints run on a connection of their own.

mod file;
mod thread;
mod rows;
mod read;
mod batch;
mod store;
mod restart;
mod database;
mod engine;
mod health;
mod writer;
mod sweeper;
mod paging;
mod lookup_verbs;
mod verbs;
mod offline;
#[cfg(test)]
mod test_data;

pub(super) use engine::Sqlite;
pub(super) use file::error::StoreError;
pub(super) use offline::OfflineStore;
