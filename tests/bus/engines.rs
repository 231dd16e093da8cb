//! What every engine promises, tried on every engine.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use zato_core::{Channel, Cid, Ending, Invocation, Options, Outcome, Payload, ServiceName, Slot};
use zato_runtime::Config;
use zato_runtime::engine::{Engine, Refused, open};
use zato_runtime::record::{Accept, AttemptId, Batch, Delivery, Ended, Hosted, Join, Settle, Verdict};
use zato_runtime::{Found, Status, Waits};

/// Joins the members' responses to one text, for a callback of service `c` with the CID 999.
struct Joined;

impl Join for Joined {
    fn join(&self, group: &Arc<Invocation>, rows: &[Arc<Ended>]) -> (Ended, Batch<Arc<Invocation>>) {
        let text: Vec<_> = rows.iter().map(|row| row.outcome.to_string()).collect();
        let outcome = Outcome::Completed(Payload::text(text.join(", ")));
        let callback = group.callback(
            cid(999),
            ServiceName::linked("c"),
            Payload::text(text.join(", ")),
            SystemTime::now().into(),
        );
        let ended = Ended {
            invocation: group.clone(),
            outcome,
            attempts: 0,
            started_at: None,
            ended_at: SystemTime::now(),
            before: None,
        };
        (ended, [Arc::new(callback)].into_iter().collect())
    }
}

const ENGINES: [&str; 1] = ["memory:"];

fn engines(config: &Config) -> impl Iterator<Item = Arc<dyn Engine>> {
    ENGINES
        .map(|url| {
            let engine = open(url, config).expect("the engine opens");
            let hosted = ["a", "b", "c"].map(|name| Hosted {
                name: ServiceName::linked(name),
                concurrency: (name == "c").then_some(2),
                priority: 0,
                rate: None,
            });
            engine.announce(&hosted, Arc::new(Joined));
            engine
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

async fn accept(
    engine: &dyn Engine,
    invocation: &Arc<Invocation>,
    by: Option<AttemptId>,
) -> Result<(), Refused> {
    let accept = Accept {
        invocation: invocation.clone(),
        by,
        tell: None,
        brings_cid: false,
        key: None,
        digest: None,
        members: None,
    };
    let answers = engine.accept([accept].into_iter().collect()).await;
    assert_eq!(answers.len(), 1);
    answers.into_iter().next().expect("one answer").map(|_| ())
}

async fn deliver(engine: &dyn Engine) -> Delivery {
    let mut batch = engine.deliver(1).await;
    assert_eq!(batch.len(), 1);
    batch.pop().expect("one delivery")
}

/// Everything that is handed out now, however many at once.
async fn deliver_all(engine: &dyn Engine) -> Vec<Delivery> {
    let mut all = Vec::new();
    loop {
        let mut more = engine.deliver(8);
        match std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut more).poll(cx))).await {
            Poll::Ready(batch) => all.extend(batch),
            Poll::Pending => return all,
        }
    }
}

fn ended(delivery: &Delivery, outcome: Outcome) -> Ended {
    let invocation = delivery.invocation.clone();
    let ended_at = SystemTime::now();
    Ended { invocation, outcome, attempts: delivery.attempt, started_at: None, ended_at, before: None }
}

fn settle(delivery: &Delivery, callbacks: &[Arc<Invocation>]) -> Batch<Settle> {
    let ended = ended(delivery, Outcome::Completed(Payload::text("done")));
    let verdict = Verdict::End { ended, callbacks: callbacks.iter().cloned().collect() };
    let cid = delivery.invocation.cid;
    [Settle { cid, lease: delivery.lease, verdict, inner: Vec::new(), lingers: false }].into_iter().collect()
}

#[tokio::test]
async fn a_service_starts_its_invocations_in_order_and_services_take_turns() {
    for engine in engines(&Config::default()) {
        for number in 0..6 {
            accept(&*engine, &invocation("a", number), None).await.expect("room");
        }
        accept(&*engine, &invocation("b", 6), None).await.expect("room");
        accept(&*engine, &invocation("c", 7), None).await.expect("room");
        let mut order = Vec::new();
        while order.len() < 8 {
            order.extend(engine.deliver(3).await.into_iter().map(|delivery| delivery.invocation.cid));
        }
        assert_eq!(order, [0, 6, 7, 1, 2, 3, 4, 5].map(cid), "{}", engine.url());
    }
}

#[tokio::test]
async fn a_delivery_is_settled_once() {
    for engine in engines(&Config::default()) {
        accept(&*engine, &invocation("a", 1), None).await.expect("room");
        let delivery = deliver(&*engine).await;
        assert_eq!(delivery.attempt, 1);
        let first = engine.settle(settle(&delivery, &[])).await;
        assert!(first[0].is_ok());
        let again = engine.settle(settle(&delivery, &[invocation("b", 2)])).await;
        assert!(again[0].is_err(), "{}", engine.url());
        assert!(engine.find([cid(2)].into_iter().collect()).await[0].is_none(), "nothing followed from it");
    }
}

#[tokio::test]
async fn callbacks_are_accepted_with_the_outcome() {
    for engine in engines(&Config::default()) {
        accept(&*engine, &invocation("a", 1), None).await.expect("room");
        accept(&*engine, &invocation("b", 2), None).await.expect("room");
        let delivery = deliver(&*engine).await;
        // Nothing waits ahead of the one for `c`; the one for `b` waits its turn.
        let settled = engine.settle(settle(&delivery, &[invocation("b", 3), invocation("c", 4)])).await;
        let granted: Vec<_> = settled
            .into_iter()
            .flatten()
            .flat_map(|settled| settled.granted)
            .map(|next| next.invocation.cid)
            .collect();
        let mut rest: Vec<_> =
            deliver_all(&*engine).await.into_iter().map(|delivery| delivery.invocation.cid).collect();
        assert!(!granted.contains(&cid(3)), "{}", engine.url());
        rest.extend(granted);
        rest.sort();
        assert_eq!(rest, [2, 3, 4].map(cid));
    }
}

#[tokio::test]
async fn an_invocation_can_be_found_where_it_stands() {
    for engine in engines(&Config::default()) {
        let find = async |number| engine.find([cid(number)].into_iter().collect()).await.pop().flatten();
        assert!(find(1).await.is_none());
        accept(&*engine, &invocation("a", 1), None).await.expect("room");
        assert!(matches!(find(1).await, Some(Found { status: Status::Waiting(Waits::Turn), .. })));
        let delivery = deliver(&*engine).await;
        assert!(matches!(find(1).await, Some(Found { status: Status::Running { .. }, attempts: 1, .. })));
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

#[tokio::test]
async fn an_attempt_that_is_over_makes_no_calls() {
    for engine in engines(&Config::default()) {
        accept(&*engine, &invocation("a", 1), None).await.expect("room");
        let by = AttemptId { cid: cid(1), number: 1 };
        assert_eq!(accept(&*engine, &invocation("b", 2), Some(by)).await, Err(Refused::Over), "not started");
        let delivery = deliver(&*engine).await;
        accept(&*engine, &invocation("b", 3), Some(by)).await.expect("it runs");
        let other = AttemptId { number: 2, ..by };
        assert_eq!(accept(&*engine, &invocation("b", 4), Some(other)).await, Err(Refused::Over));
        engine.settle(settle(&delivery, &[])).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
        assert_eq!(accept(&*engine, &invocation("b", 5), Some(by)).await, Err(Refused::Over), "ended");
    }
}

#[tokio::test]
async fn no_more_run_than_may() {
    let mut config = Config::default();
    config.max_running = 2;
    for engine in engines(&config) {
        for number in 0..3 {
            accept(&*engine, &invocation("a", number), None).await.expect("room");
        }
        let mut running = deliver_all(&*engine).await;
        assert_eq!(running.len(), 2);
        let third = engine.deliver(8);
        tokio::pin!(third);
        let waits = std::future::poll_fn(|cx| std::task::Poll::Ready(third.as_mut().poll(cx).is_pending()));
        assert!(waits.await, "{}", engine.url());
        let first = running.remove(0);
        // The callback finds no free place either: the third was accepted before it.
        engine.settle(settle(&first, &[])).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
        assert_eq!(third.await[0].invocation.cid, cid(2));
    }
}

#[tokio::test]
async fn a_drain_refuses_what_comes_from_outside_and_waits_for_the_rest() {
    for engine in engines(&Config::default()) {
        accept(&*engine, &invocation("a", 1), None).await.expect("room");
        let delivery = deliver(&*engine).await;
        let drained = engine.drain();
        tokio::pin!(drained);
        let waits = std::future::poll_fn(|cx| std::task::Poll::Ready(drained.as_mut().poll(cx).is_pending()));
        assert!(waits.await);
        assert_eq!(accept(&*engine, &invocation("a", 2), None).await, Err(Refused::Draining));
        engine.settle(settle(&delivery, &[])).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
        drained.await;
        assert_eq!(engine.close(), 0);
    }
}

/// A member of the group with the CID 100.
fn member(service: &'static str, number: u32, index: u32) -> Arc<Invocation> {
    let mut member = Invocation::clone(&invocation(service, number));
    member.slot = Some(Slot { group: cid(100), index });
    Arc::new(member)
}

async fn accept_group(engine: &dyn Engine, members: u32) -> Result<(), Refused> {
    let accept = Accept {
        invocation: invocation("group", 100),
        by: None,
        tell: None,
        brings_cid: false,
        key: None,
        digest: None,
        members: Some(members),
    };
    engine.accept([accept].into_iter().collect()).await.pop().expect("one answer").map(|_| ())
}

#[tokio::test]
async fn a_group_ends_when_its_last_member_does() {
    for engine in engines(&Config::default()) {
        engine.stage(cid(100), vec![member("a", 0, 0), member("b", 1, 1)]).await.expect("room");
        engine.stage(cid(100), vec![member("b", 2, 2)]).await.expect("room");
        assert!(engine.find([cid(0)].into_iter().collect()).await[0].is_none(), "staged is not accepted");
        accept_group(&*engine, 3).await.expect("all are staged");
        let find = async || engine.find([cid(100)].into_iter().collect()).await.pop().flatten();
        let outcome = engine.outcome(cid(100));
        let deliveries = deliver_all(&*engine).await;
        assert_eq!(deliveries.len(), 3);
        for (settled, delivery) in deliveries.iter().rev().enumerate() {
            assert!(
                matches!(find().await, Some(Found { status: Status::Open(left), .. }) if left as usize == 3 - settled)
            );
            let answer = engine
                .settle(settle(delivery, &[]))
                .await
                .pop()
                .expect("one answer")
                .expect("the lease holds");
            let is_last = settled == 2;
            assert_eq!(answer.joined.is_some(), is_last);
            let granted: Vec<_> = answer.granted.iter().map(|next| next.invocation.cid).collect();
            assert_eq!(granted, if is_last { vec![cid(999)] } else { vec![] }, "{}", engine.url());
        }
        let outcome = outcome.await.expect("the group is held");
        assert_eq!(outcome.to_string(), "Completed: Completed: done, Completed: done, Completed: done");
        assert!(matches!(find().await, Some(Found { status: Status::Ended { .. }, .. })));
    }
}

#[tokio::test]
async fn a_group_without_members_ends_at_once() {
    for engine in engines(&Config::default()) {
        accept_group(&*engine, 0).await.expect("nothing is missing");
        assert!(engine.outcome(cid(100)).await.expect("it is held").is_completed());
        assert_eq!(deliver(&*engine).await.invocation.cid, cid(999), "its callback runs");
    }
}

#[tokio::test]
async fn a_group_is_accepted_whole_or_not_at_all() {
    for engine in engines(&Config::default()) {
        engine.stage(cid(100), vec![member("a", 0, 0)]).await.expect("room");
        assert_eq!(accept_group(&*engine, 2).await, Err(Refused::Incomplete { staged: 1, members: 2 }));
        engine.unstage(cid(100)).await;
        assert_eq!(accept_group(&*engine, 1).await, Err(Refused::Incomplete { staged: 0, members: 1 }));
        assert!(engine.find([cid(0), cid(100)].into_iter().collect()).await.iter().all(Option::is_none));
    }
}

#[tokio::test]
async fn staged_members_count_as_waiting() {
    let mut config = Config::default();
    config.max_waiting = 2;
    for engine in engines(&config) {
        engine
            .stage(cid(100), (0..4).map(|index| member("a", index, index)).collect())
            .await
            .expect("twice the bound");
        let more = engine.stage(cid(100), vec![member("a", 4, 4)]).await;
        assert!(matches!(more, Err(Refused::Full { waiting: 4, .. })), "{more:?}");
        engine.unstage(cid(100)).await;
        accept(&*engine, &invocation("a", 5), None).await.expect("there is room again");
    }
}

#[tokio::test]
async fn no_more_of_a_service_run_than_may() {
    for engine in engines(&Config::default()) {
        // Service `c` has two places.
        for number in 0..4 {
            accept(&*engine, &invocation("c", number), None).await.expect("room");
        }
        accept(&*engine, &invocation("a", 4), None).await.expect("room");
        let first = deliver_all(&*engine).await;
        let cids: Vec<_> = first.iter().map(|delivery| delivery.invocation.cid).collect();
        assert_eq!(cids, [0, 4, 1].map(cid), "{}", engine.url());
        // A callback for it finds no place, and waits behind what waits already.
        let settled = engine.settle(settle(&first[1], &[invocation("c", 5)])).await;
        assert!(settled.into_iter().flatten().all(|settled| settled.granted.is_empty()));
        engine.settle(settle(&first[0], &[])).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
        let next = deliver_all(&*engine).await;
        assert_eq!(next.iter().map(|delivery| delivery.invocation.cid).collect::<Vec<_>>(), [cid(2)]);
        engine.settle(settle(&first[2], &[])).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
        engine.settle(settle(&next[0], &[])).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
        let last = deliver_all(&*engine).await;
        assert_eq!(last.iter().map(|delivery| delivery.invocation.cid).collect::<Vec<_>>(), [3, 5].map(cid));
    }
}

#[tokio::test]
async fn the_higher_priority_goes_first_and_order_holds_within_one() {
    for engine in engines(&Config::default()) {
        for (number, priority) in
            [(0, None), (1, Some(-1)), (2, Some(5)), (3, None), (4, Some(5)), (5, Some(127))]
        {
            let mut invocation = Invocation::clone(&invocation("a", number));
            let mut options = Options::default();
            options.priority = priority;
            invocation.options = Some(Box::new(options));
            accept(&*engine, &Arc::new(invocation), None).await.expect("room");
        }
        let order: Vec<_> =
            deliver_all(&*engine).await.into_iter().map(|delivery| delivery.invocation.cid).collect();
        assert_eq!(order, [5, 2, 4, 0, 3, 1].map(cid), "{}", engine.url());
    }
}
