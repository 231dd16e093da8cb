//! What the tests of the store write and read: invocations of every kind, made up at random.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use tempfile::TempDir;
use uuid::{Builder, Uuid};
use zato_core::{
    Backoff, Channel, Cid, Ending, Invocation, Labels, Names, Options, Outcome, Payload, ServiceName, Slot,
    When,
};

use super::file::connect;
use super::rows::write_connection::WriteConnection;
use crate::record::{Ended, Progress, Tried};

/// The rows of a file, with what is kept counted.
pub(super) fn counted(connection: rusqlite::Connection) -> WriteConnection {
    let kept = super::rows::kept::count(&connection).expect("it can be read");
    let mut rows = WriteConnection::new(connection);
    rows.counted(kept);
    rows
}

/// A store in a directory that goes with it.
pub(super) struct Store {
    pub(super) rows: WriteConnection,
    directory: TempDir,
}

impl Store {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let connection = connect::open(&directory.path().join("zato.db")).expect("a new store");
        Self { rows: counted(connection), directory }
    }

    pub(super) fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("zato.db")
    }
}

/// Has the test hold for what the strategy makes up, each under an accept number of its own in one store.
pub(super) fn hold_for<S: Strategy>(
    strategy: S,
    test: impl Fn(&mut WriteConnection, u64, S::Value) -> Result<(), TestCaseError>,
) {
    let store = RefCell::new(Store::new());
    store.borrow_mut().rows.begin().expect("it begins");
    let number = Cell::new(0);
    let held = TestRunner::default().run(&strategy, |value| {
        number.set(number.get() + 1);
        test(&mut store.borrow_mut().rows, number.get(), value)
    });
    if let Err(error) = held {
        panic!("{error}");
    }
}

/// The n-th of a row of CIDs.
pub(super) fn nth(n: u64) -> Cid {
    let millis = 1_700_000_000_000 + n;
    Cid::try_from(Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()).expect("of version 7")
}

/// So many seconds after a day of 2023.
pub(super) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

/// An invocation from outside.
pub(super) fn invocation(cid: Cid) -> Invocation {
    let service = ServiceName::linked("orders.price");
    Invocation::root(cid, service, Payload::text("a request"), Channel::InvokeAsync)
}

/// An invocation that another one's handler made.
pub(super) fn child(of: &Invocation, cid: Cid) -> Invocation {
    of.child(cid, ServiceName::linked("orders.charge"), Payload::empty(), Channel::InvokeAsync)
}

/// How it ended, in one attempt.
pub(super) fn ended(invocation: Invocation, outcome: Outcome, ended_at: SystemTime) -> Ended {
    let ended_at = ended_at.into();
    Ended {
        invocation: Arc::new(invocation),
        outcome,
        attempts: 1,
        started_at: Some(ended_at),
        ended_at,
        before: None,
    }
}

/// An outcome that nothing follows.
pub(super) fn completed() -> Outcome {
    Outcome::Completed(Payload::text("a response"))
}

/// An outcome that makes a dead letter.
pub(super) fn failed() -> Outcome {
    Outcome::Failed(Ending::new("no such order", true))
}

/// All that an invocation says: its payload shows no bytes of its own.
pub(super) fn whole(invocation: &Invocation) -> (String, Payload) {
    (format!("{invocation:?}"), invocation.payload.clone())
}

/// All that an ended invocation says.
pub(super) fn whole_end(ended: &Ended) -> (String, Payload, Outcome) {
    (format!("{ended:?}"), ended.invocation.payload.clone(), ended.outcome.clone())
}

pub(super) fn any_cid() -> impl Strategy<Value = Cid> {
    any::<u128>().prop_map(|bits| {
        let uuid: Uuid = Builder::from_u128(bits)
            .with_version(uuid::Version::SortRand)
            .with_variant(uuid::Variant::RFC4122)
            .into_uuid();
        Cid::try_from(uuid).expect("of version 7")
    })
}

/// A time that the file can hold: from 1970 to 2262.
pub(super) fn any_time() -> impl Strategy<Value = SystemTime> {
    (1..=i64::MAX.unsigned_abs()).prop_map(|nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos))
}

fn any_duration() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_nanos)
}

fn any_name() -> impl Strategy<Value = ServiceName> {
    "[a-d]{1,2}(\\.[a-d-]{1,2}){0,2}".prop_map(|name| ServiceName::interned(&name))
}

fn any_names() -> impl Strategy<Value = Names> {
    vec(any_name(), 0..4).prop_map(Names::from_vec)
}

pub(super) fn any_payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        Just(Payload::empty()),
        any::<String>().prop_map(Payload::text),
        vec(any::<(i64, String)>(), 0..4).prop_map(|value| Payload::write(&value).expect("it is JSON")),
        vec(any::<u8>(), 0..100).prop_map(Payload::bytes),
    ]
}

fn any_when() -> impl Strategy<Value = When> {
    prop_oneof![any_duration().prop_map(When::In), any_time().prop_map(When::At)]
}

fn any_backoff() -> impl Strategy<Value = Backoff> {
    prop_oneof![
        any_duration().prop_map(Backoff::Fixed),
        (any_duration(), any_duration()).prop_map(|(from, to)| Backoff::Exponential { from, to }),
    ]
}

pub(super) fn any_options() -> impl Strategy<Value = Options> {
    let times = (of(any_when()), of(any_when()), of(any_time()), of(any_duration()), of(any_backoff()));
    let numbers = (of(any::<u32>()), of(any::<u32>()), of(any::<i8>()));
    let keys = (of(any::<String>()), of(any::<String>()), vec(any_name(), 0..3), of(any_cid()));
    (times, numbers, keys).prop_map(|(times, numbers, keys)| {
        let mut options = Options::default();
        (options.due, options.expires, options.deadline, options.timeout, options.backoff) = times;
        (options.max_attempts, options.max_losses, options.priority) = numbers;
        options.idempotency_key = keys.0.map(Into::into);
        options.concurrency_key = keys.1.map(Into::into);
        options.steps = keys.2.into();
        options.again_of = keys.3;
        options
    })
}

fn any_channel() -> impl Strategy<Value = Channel> {
    prop_oneof![
        Just(Channel::Invoke),
        Just(Channel::InvokeAsync),
        Just(Channel::InvokeAsyncCallback),
        Just(Channel::Parallel),
        Just(Channel::FanOut),
        Just(Channel::Chain),
        Just(Channel::ChainStep),
    ]
}

pub(super) fn any_invocation() -> impl Strategy<Value = Invocation> {
    let what = (any_cid(), any_name(), any_payload(), any_channel(), of(any_name()));
    let place = (of(any_cid()), any_cid(), any::<u32>(), of((any_cid(), any::<u32>())));
    let times = (any_time(), of(any_time()), of(any_time()));
    let rest = (of(any_options()), any_names(), any_names(), any_labels());
    (what, place, times, rest).prop_map(|(what, place, times, rest)| {
        let mut invocation = Invocation::root(what.0, what.1, what.2, what.3);
        invocation.caller = what.4;
        (invocation.parent, invocation.root, invocation.depth) = (place.0, place.1, place.2);
        invocation.slot = place.3.map(|(group, index)| Slot { group, index });
        invocation.called_at = times.0.into();
        invocation.due = times.1.map(Into::into);
        invocation.deadline = times.2.map(Into::into);
        invocation.options = rest.0.map(Box::new);
        (invocation.callbacks, invocation.on_failure, invocation.labels) = (rest.1, rest.2, rest.3);
        invocation
    })
}

fn any_code() -> impl Strategy<Value = Option<Box<str>>> {
    of(any::<String>().prop_map(Into::into))
}

fn any_labels() -> impl Strategy<Value = Labels> {
    vec(("[a-z./_-]{1,9}", any::<String>()), 0..4)
        .prop_map(|labels| labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
}

fn any_tried() -> impl Strategy<Value = Tried> {
    let all = (any::<u32>(), any_time(), any_time(), any::<String>(), any_code(), any::<bool>());
    all.prop_map(|(number, started_at, ended_at, error, code, counts)| Tried {
        number,
        started_at,
        ended_at,
        error: error.into(),
        code,
        counts,
    })
}

pub(super) fn any_progress() -> impl Strategy<Value = Progress> {
    let all = (any::<u32>(), any::<u32>(), vec(any_tried(), 0..4), of(any_time()), any::<u32>());
    all.prop_map(|(attempts, failed, tried, next_at, losses)| Progress {
        attempts,
        failed,
        tried,
        next_at,
        losses,
        max_losses: None,
    })
}

pub(super) fn any_outcome() -> impl Strategy<Value = Outcome> {
    let ending = || {
        let all = (any::<String>(), any_code(), any::<bool>());
        all.prop_map(|(error, code, permanent)| Ending::new(error, permanent).with_code(code))
    };
    prop_oneof![
        any_payload().prop_map(Outcome::Completed),
        ending().prop_map(Outcome::Failed),
        ending().prop_map(Outcome::TimedOut),
        ending().prop_map(Outcome::Expired),
        ending().prop_map(Outcome::Cancelled),
        ending().prop_map(Outcome::Undecodable),
        ending().prop_map(Outcome::Lost),
    ]
}

pub(super) fn any_ended() -> impl Strategy<Value = Ended> {
    let times = (of(any_time()), any_time());
    let all = (any_invocation(), any_outcome(), any::<u32>(), times, of(any_progress()));
    all.prop_map(|(invocation, outcome, attempts, (started_at, ended_at), before)| Ended {
        invocation: Arc::new(invocation),
        outcome,
        attempts,
        started_at: started_at.map(Into::into),
        ended_at: ended_at.into(),
        before: before.map(Arc::new),
    })
}
