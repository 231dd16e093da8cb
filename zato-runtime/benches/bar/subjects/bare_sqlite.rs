//! A bare loop over SQLite that writes the rows of a shape: the same inserts and updates as the engine makes, each step
//! in the place where a handler of the shape makes it.

use std::future::ready;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::sleep;

use super::drive;
use crate::disk::{Bare, Change, Ended, Kind, New};
use crate::shape::rounds::Rounds;
use crate::shape::shapes::{BACKOFF, Does, MEMBERS, PLAIN, SLEEP, Shape, is_marked};

/// The rows of a group whose members have ended, in as many bytes as the engine writes.
static GROUP_ROWS: LazyLock<String> = LazyLock::new(|| format!("[{}]", [GROUP_ROW; MEMBERS].join(",")));

const GROUP_ROW: &str = r#"{"service":"shape.responds","cid":"01a22fc4-f5c7-7416-ba63-53f143b0018b","ok":true,"response":"a payload of thirty-two bytes...","attempts":1,"started_at":"2026-12-01T04:02:46.855Z","ended_at":"2026-12-01T04:02:46.872Z"}"#;

/// Goes through `count` rounds of a shape.
pub(crate) async fn run(shape: Shape, count: usize, in_flight: usize) -> Duration {
    let rounds = Rounds::new(in_flight);
    let mut store = Arc::new(Store { bare: Bare::open(Ended::Kept).await, last: AtomicU64::new(0), rounds });
    let rounds = store.rounds.clone();
    let call = |text: &'static str| {
        let does = if is_marked(text) { shape.does } else { Does::Responds };
        tokio::spawn(store.clone().target(does, text));
        ready(())
    };
    let took = drive(shape, count, &rounds, call).await;
    // The ends of the last callbacks are not timed, here as on the bus. Their tasks are about to end.
    let bare = loop {
        match Arc::try_unwrap(store) {
            Ok(store) => break store.bare,
            Err(shared) => store = shared,
        }
        tokio::task::yield_now().await;
    };
    let path = bare.path();
    let _directory = bare.finish();
    assert_eq!(count_rows(&path), shape.invocations(count), "there is one row for each invocation");
    took
}

/// Returns the number of invocations in a file.
pub(crate) fn count_rows(path: &Path) -> usize {
    let connection = Connection::open(path).expect("it opens");
    let sql = "SELECT count(*) FROM invocation WHERE state = 3";
    connection.query_row(sql, [], |row| row.get(0)).expect("it is counted")
}

/// A file, and the rounds whose rows are written into it.
struct Store {
    bare: Bare,
    /// The last number that was given to a row.
    last: AtomicU64,
    rounds: Rounds,
}

impl Store {
    fn number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Writes what a call from outside writes, from its acceptance to the end of its callback.
    async fn target(self: Arc<Self>, does: Does, text: &'static str) {
        let target = New { payload: text, ..New::root(self.number()) };
        self.bare.write([Change::Insert(target)]).await;
        let mut inside = None;
        match does {
            Does::Responds => {}
            Does::Sleeps => sleep(SLEEP).await,
            Does::FailsOnce => {
                self.bare.write([Change::Again { number: target.number }]).await;
                sleep(BACKOFF).await;
                self.bare.write([Change::Start { number: target.number }]).await;
            }
            Does::CallsSynchronously => {
                inside = Some(Change::Insert(New { kind: Kind::Ended, ..called(target, self.number()) }));
            }
            Does::CallsInBackground => {
                let child = New { has_callback: true, ..called(target, self.number()) };
                self.bare.write([Change::Insert(child)]).await;
                let store = self.clone();
                tokio::spawn(async move {
                    let callback = child.child(store.number());
                    store.end(child, callback, None, PLAIN).await;
                    store.rounds.end_beside();
                    store.end_callback(callback).await;
                });
            }
            Does::CallsGroup => self.group(target).await,
        }
        let callback = target.child(self.number());
        self.end(target, callback, inside, text).await;
        self.rounds.end();
        self.end_callback(callback).await;
    }

    /// Ends an invocation, with its callback and the synchronous call that it has made.
    async fn end(&self, ended: New, callback: New, inside: Option<Change>, response: &'static str) {
        let end = Change::End { number: ended.number, response };
        self.bare.write([end, Change::Insert(callback)].into_iter().chain(inside)).await;
    }

    async fn end_callback(&self, callback: New) {
        self.bare.write([Change::End { number: callback.number, response: "" }]).await;
    }

    /// Accepts a group with its members, whose rows end one by one. With the last of them ends the group.
    async fn group(self: &Arc<Self>, target: New) {
        let group = New { kind: Kind::Group, has_callback: true, ..called(target, self.number()) };
        let members: [New; MEMBERS] = std::array::from_fn(|index| {
            let kind = Kind::Member { group: group.number, index };
            New { kind, ..called(target, self.number()) }
        });
        self.bare.write([group].into_iter().chain(members).map(Change::Insert)).await;
        let left = Arc::new(AtomicUsize::new(MEMBERS));
        for member in members {
            let (store, left) = (self.clone(), left.clone());
            tokio::spawn(async move {
                let end = Change::End { number: member.number, response: PLAIN };
                if left.fetch_sub(1, Ordering::AcqRel) > 1 {
                    return store.bare.write([end]).await;
                }
                let last = New { payload: &GROUP_ROWS, ..group.child(store.number()) };
                let group = Change::End { number: group.number, response: &GROUP_ROWS };
                store.bare.write([end, group, Change::Insert(last)]).await;
                store.rounds.end_beside();
                store.end_callback(last).await;
            });
        }
    }
}

/// The row of what a target calls.
fn called(target: New, number: u64) -> New {
    New { payload: PLAIN, ..target.child(number) }
}
