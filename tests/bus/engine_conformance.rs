//! What every engine promises, tried on every engine.

mod harness;
mod settles;
mod order;
mod time;
mod clock;
mod kept_keys;
mod keys;
mod pause_and_rate;
mod groups;
mod overruns;
mod losses;
mod dead_letters;
mod call_dedup;
mod cancels;
mod outside;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout};
use zato_core::{Channel, Cid, Ending, Invocation, Options, Outcome, Payload, Rate, ServiceName};
use zato_runtime::engine::{Refused, Settled, open};
use zato_runtime::record::{
    Accept, AttemptId, Batch, CancelAnswer, Delivery, Ended, Hosted, Join, Settle, Tried, Verdict,
};
use zato_runtime::{Config, InvocationInfo, Status, WaitReason};

use self::harness::Rings;

/// Joins the members' responses to one text, for a callback of service `c` with the CID 999.
struct Joined;

impl Join for Joined {
    fn join(&self, group: &Arc<Invocation>, rows: &[Arc<Ended>]) -> (Ended, Batch<Arc<Invocation>>) {
        let all: Vec<_> = rows.iter().map(|row| row.outcome.to_string()).collect();
        Self::of(group, Payload::text(all.join(", ")))
    }
}

impl Joined {
    fn of(group: &Arc<Invocation>, rows: Payload) -> (Ended, Batch<Arc<Invocation>>) {
        let callback =
            group.callback(cid(999), ServiceName::linked("c"), rows.clone(), SystemTime::now().into());
        let ended = Ended {
            invocation: group.clone(),
            outcome: Outcome::Completed(rows),
            attempts: 0,
            started_at: None,
            ended_at: SystemTime::now().into(),
            before: None,
        };
        (ended, [Arc::new(callback)].into_iter().collect())
    }
}

/// Every engine, and where it keeps what it holds.
fn urls() -> [String; 2] {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("zato.db");
    let url = format!("sqlite:{}", file.display());
    KEPT.with_borrow_mut(|kept| kept.push(directory));
    ["memory:".to_owned(), url]
}

const SECOND: Duration = Duration::from_secs(1);

/// The services that a process hosts.
fn hosted() -> [Hosted; 5] {
    ["a", "b", "c", "urgent", "rare"].map(|name| Hosted {
        name: ServiceName::linked(name),
        concurrency: (name == "c").then_some(2),
        priority: if name == "urgent" { 5 } else { 0 },
        rate: (name == "rare").then_some(Rate { starts: 2, per: 10 * SECOND }),
        max_losses: MAX_LOSSES,
        formerly: &[],
    })
}

/// How many deaths of the process an invocation survives.
const MAX_LOSSES: u32 = 3;

/// The engines, with services that they host: `c` has two places, `urgent` goes first, two of `rare` start in ten
/// seconds. `elsewhere` is not hosted.
fn engines(config: &Config) -> impl Iterator<Item = Rings> {
    BEGAN.set(Some((SystemTime::now(), Instant::now())));
    urls()
        .map(|url| {
            let engine = open(&url, config).expect("the engine opens");
            Rings::announced(engine, &hosted(), Arc::new(Joined))
        })
        .into_iter()
}

/// The n-th CID of a test.
fn cid(number: u32) -> Cid {
    format!("00000000-0000-7000-8000-{number:012}").parse().expect("a CID")
}

fn invocation(service: &'static str, number: u32) -> Arc<Invocation> {
    let payload = Payload::text(number.to_string());
    Arc::new(Invocation::root(cid(number), ServiceName::linked(service), payload, Channel::InvokeAsync))
}

thread_local! {
    /// The directories of this test, which go with it.
    static KEPT: RefCell<Vec<tempfile::TempDir>> = const { RefCell::new(Vec::new()) };
    /// When the engines of this test began, by the wall clock and by tokio's.
    static BEGAN: Cell<Option<(SystemTime, Instant)>> = const { Cell::new(None) };
}

/// How many seconds have passed, to the nearest.
fn passed(since: Instant) -> u64 {
    (since.elapsed() + Duration::from_millis(500)).as_secs()
}

/// The time, a paused clock's where it is paused.
fn now() -> SystemTime {
    BEGAN.get().map_or_else(SystemTime::now, |(wall, began)| wall + began.elapsed())
}

/// An invocation that asks for something.
fn asking(service: &'static str, number: u32, ask: impl FnOnce(&mut Options)) -> Arc<Invocation> {
    let mut options = Options::default();
    ask(&mut options);
    let mut invocation = Invocation::clone(&invocation(service, number));
    // Intake does this: times of day, and out of the options.
    invocation.deadline = options.deadline.take().map(Into::into);
    invocation.due = options.due.take().map(|due| due.from(now()).into());
    invocation.options = Some(Box::new(options));
    Arc::new(invocation)
}

/// It comes from outside, alone.
fn plainly(invocation: &Arc<Invocation>) -> Accept {
    Accept {
        invocation: invocation.clone(),
        by: None,
        tell: None,
        brings_cid: false,
        key: None,
        digest: None,
        members: None,
    }
}

async fn accept_as(engine: &Rings, accept: Accept) -> Result<(), Refused> {
    let answers = engine.accept([accept].into_iter().collect()).await;
    assert_eq!(answers.len(), 1);
    answers.into_iter().next().expect("one answer").map(|_| ())
}

async fn accept(engine: &Rings, invocation: &Arc<Invocation>, by: Option<AttemptId>) -> Result<(), Refused> {
    accept_as(engine, Accept { by, ..plainly(invocation) }).await
}

/// Accepts what is not refused.
async fn take(engine: &Rings, invocation: Arc<Invocation>) {
    accept(engine, &invocation, None).await.expect("it is taken");
}

async fn deliver(engine: &Rings) -> Delivery {
    let mut batch = engine.deliver(1).await;
    assert_eq!(batch.len(), 1);
    batch.pop().expect("one delivery")
}

/// Everything that is handed out now, however many at once.
async fn deliver_all(engine: &Rings) -> Vec<Delivery> {
    let mut all = Vec::new();
    // An engine that writes takes its time. A paused clock stands still meanwhile.
    while let Ok(batch) = timeout(Duration::from_millis(1), engine.deliver(8)).await {
        all.extend(batch);
    }
    all
}

fn cids(deliveries: &[Delivery]) -> Vec<Cid> {
    deliveries.iter().map(|delivery| delivery.invocation.cid).collect()
}

async fn find(engine: &Rings, number: u32) -> Option<InvocationInfo> {
    engine.find([cid(number)].into_iter().collect()).await.expect("it can be read").pop().flatten()
}

async fn status(engine: &Rings, number: u32) -> Status {
    find(engine, number).await.expect("it is held").status
}

/// What it waits for.
async fn waits(engine: &Rings, number: u32) -> WaitReason {
    match status(engine, number).await {
        Status::Waiting(waits) => waits,
        other => panic!("{number} does not wait: {other:?}"),
    }
}

async fn cancel(engine: &Rings, number: u32) -> Option<CancelAnswer> {
    engine.cancel([cid(number)].into_iter().collect(), false).await.expect("it can be read").pop().flatten()
}

async fn pause(engine: &Rings, service: &'static str, paused: bool) {
    engine.pause(&ServiceName::linked(service), paused).await.expect("it can be read");
}

/// Whether a drain ends now.
async fn is_drained(engine: &Rings) -> bool {
    let drained = engine.drain();
    tokio::pin!(drained);
    std::future::poll_fn(|cx| Poll::Ready(drained.as_mut().poll(cx).is_ready())).await
}

fn ended(delivery: &Delivery, outcome: Outcome) -> Ended {
    let invocation = delivery.invocation.clone();
    let ended_at = SystemTime::now();
    Ended {
        invocation,
        outcome,
        attempts: delivery.attempt,
        started_at: None,
        ended_at: ended_at.into(),
        before: delivery.before.clone(),
    }
}

/// It has ended in this, and so much follows from it.
fn end_as(delivery: &Delivery, outcome: Outcome, callbacks: &[Arc<Invocation>]) -> Verdict {
    Verdict::End { ended: ended(delivery, outcome), callbacks: callbacks.iter().cloned().collect() }
}

fn done() -> Outcome {
    Outcome::Completed(Payload::text("done"))
}

/// Another attempt is to be made.
fn again(delivery: &Delivery, at: Option<SystemTime>) -> Verdict {
    let tried = Tried {
        number: delivery.attempt,
        started_at: delivery.started_at.into(),
        ended_at: delivery.started_at.into(),
        error: "not yet".into(),
        code: None,
        counts: at.is_some(),
    };
    Verdict::Retry { at, tried }
}

fn settle_as(delivery: &Delivery, verdict: Verdict, overruns: bool) -> Batch<Settle> {
    let cid = delivery.invocation.cid;
    [Settle { cid, lease: delivery.lease, verdict, inner: Vec::new(), overruns }].into_iter().collect()
}

fn settle(delivery: &Delivery, callbacks: &[Arc<Invocation>]) -> Batch<Settle> {
    settle_as(delivery, end_as(delivery, done(), callbacks), false)
}

/// Records what follows from an attempt whose lease holds.
async fn record(engine: &Rings, settle: Batch<Settle>) -> Settled {
    engine.settle(settle).await.pop().expect("one answer").expect("the lease holds")
}

/// Records that it is done.
async fn end(engine: &Rings, delivery: &Delivery) {
    record(engine, settle(delivery, &[])).await;
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_settled_once() {
    for engine in engines(&Config::default()) {
        accept(&engine, &invocation("a", 1), None).await.expect("room");
        let delivery = deliver(&engine).await;
        assert_eq!(delivery.attempt, 1);
        let first = engine.settle(settle(&delivery, &[])).await;
        assert!(first[0].is_ok());
        let again = engine.settle(settle(&delivery, &[invocation("b", 2)])).await;
        assert!(again[0].is_err(), "{}", engine.url());
        assert!(
            engine.find([cid(2)].into_iter().collect()).await.expect("it can be read")[0].is_none(),
            "nothing followed from it"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn callbacks_are_accepted_with_the_outcome() {
    for engine in engines(&Config::default()) {
        accept(&engine, &invocation("a", 1), None).await.expect("room");
        accept(&engine, &invocation("b", 2), None).await.expect("room");
        let delivery = deliver(&engine).await;
        // Nothing waits ahead of the one for `c`; the one for `b` waits its turn.
        let settled = engine.settle(settle(&delivery, &[invocation("b", 3), invocation("c", 4)])).await;
        let granted: Vec<_> = settled
            .into_iter()
            .flatten()
            .flat_map(|settled| settled.granted)
            .map(|next| next.invocation.cid)
            .collect();
        let mut rest: Vec<_> =
            deliver_all(&engine).await.into_iter().map(|delivery| delivery.invocation.cid).collect();
        assert!(!granted.contains(&cid(3)), "{}", engine.url());
        rest.extend(granted);
        rest.sort();
        assert_eq!(rest, [2, 3, 4].map(cid));
    }
}

#[tokio::test(start_paused = true)]
async fn an_invocation_can_be_found_where_it_stands() {
    for engine in engines(&Config::default()) {
        let find = async |number| {
            engine.find([cid(number)].into_iter().collect()).await.expect("it can be read").pop().flatten()
        };
        assert!(find(1).await.is_none());
        accept(&engine, &invocation("a", 1), None).await.expect("room");
        assert!(matches!(
            find(1).await,
            Some(InvocationInfo { status: Status::Waiting(WaitReason::Turn), .. })
        ));
        let delivery = deliver(&engine).await;
        assert!(matches!(
            find(1).await,
            Some(InvocationInfo { status: Status::Running { .. }, attempts: 1, .. })
        ));
        let attempt = AttemptId { cid: cid(1), number: 1 };
        assert!(engine.is_running(attempt));
        assert!(!engine.is_running(AttemptId { number: 2, ..attempt }));
        let inner = ended(
            &Delivery { invocation: invocation("b", 9), ..delivery.clone() },
            Outcome::Failed(Ending::new("no", true)),
        );
        let mut batch = settle(&delivery, &[]);
        batch[0].inner.push(inner);
        engine.settle(batch).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
        assert!(find(1).await.is_some_and(|found| found.outcome().is_some_and(Outcome::is_completed)));
        assert!(
            find(9).await.is_some_and(|found| found.outcome().is_some_and(|outcome| !outcome.is_completed()))
        );
        assert!(!engine.is_running(attempt));
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_over_makes_no_calls() {
    for engine in engines(&Config::default()) {
        accept(&engine, &invocation("a", 1), None).await.expect("room");
        let by = AttemptId { cid: cid(1), number: 1 };
        assert_eq!(accept(&engine, &invocation("b", 2), Some(by)).await, Err(Refused::Over), "not started");
        let delivery = deliver(&engine).await;
        accept(&engine, &invocation("b", 3), Some(by)).await.expect("it runs");
        let other = AttemptId { number: 2, ..by };
        assert_eq!(accept(&engine, &invocation("b", 4), Some(other)).await, Err(Refused::Over));
        engine.settle(settle(&delivery, &[])).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
        assert_eq!(accept(&engine, &invocation("b", 5), Some(by)).await, Err(Refused::Over), "ended");
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_refuses_what_comes_from_outside_and_waits_for_the_rest() {
    for engine in engines(&Config::default()) {
        accept(&engine, &invocation("a", 1), None).await.expect("room");
        let delivery = deliver(&engine).await;
        let drained = engine.drain();
        tokio::pin!(drained);
        let waits = std::future::poll_fn(|cx| std::task::Poll::Ready(drained.as_mut().poll(cx).is_pending()));
        assert!(waits.await);
        assert_eq!(accept(&engine, &invocation("a", 2), None).await, Err(Refused::Draining));
        engine.settle(settle(&delivery, &[])).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
        drained.await;
        assert_eq!(engine.close(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_answered_item_by_item() {
    for engine in engines(&Config::default()) {
        let over = Accept { by: Some(AttemptId { cid: cid(9), number: 1 }), ..plainly(&invocation("a", 2)) };
        let batch = [plainly(&invocation("a", 1)), over, plainly(&invocation("b", 3))];
        let answers = engine.accept(batch.into_iter().collect()).await;
        let refused: Vec<_> = answers.into_iter().map(Result::err).collect();
        assert_eq!(refused, [None, Some(Refused::Over), None], "{}", engine.url());
        let found = engine.find([1, 2, 3].map(cid).into_iter().collect()).await.expect("it can be read");
        assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);

        let deliveries = deliver_all(&engine).await;
        let (first, second) = (&deliveries[0], &deliveries[1]);
        end(&engine, first).await;
        let both: Batch<Settle> =
            settle(first, &[invocation("a", 4)]).into_iter().chain(settle(second, &[])).collect();
        let answers = engine.settle(both).await;
        assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true]);
        let answers =
            engine.cancel([3, 4].map(cid).into_iter().collect(), false).await.expect("it can be read");
        assert!(matches!(answers[..], [Some(CancelAnswer::Ended(_)), None]), "{answers:?}");
    }
}
