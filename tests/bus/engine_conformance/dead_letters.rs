//! Looking at what is held, and dead letters that are run again or discarded.

use zato_runtime::{DiscardAnswer, Filter, StatusFilter};

use super::*;

/// Runs it until it has ended so.
async fn run(engine: &Rings, invocation: Arc<Invocation>, outcome: Outcome) {
    take(engine, invocation).await;
    let delivery = deliver(engine).await;
    record(engine, settle_as(&delivery, end_as(&delivery, outcome, &[]), false)).await;
}

fn failed() -> Outcome {
    Outcome::Failed(Ending::new("no", true))
}

/// What runs this again.
fn again_of(first: u32, number: u32) -> Arc<Invocation> {
    let mut again = Invocation::clone(&invocation("a", number));
    let mut options = Options::default();
    options.again_of = Some(cid(first));
    (again.root, again.options) = (cid(first), Some(Box::new(options)));
    Arc::new(again)
}

async fn discard(engine: &Rings, numbers: &[u32]) -> Vec<DiscardAnswer> {
    engine
        .discard(numbers.iter().map(|number| cid(*number)).collect())
        .await
        .expect("it can be read")
        .into_iter()
        .collect()
}

async fn list(engine: &Rings, filter: Filter) -> Vec<Cid> {
    engine.list(&filter).await.expect("it can be read").iter().map(InvocationInfo::cid).collect()
}

/// Labels, and the codes of failures: those of attempts, and that of the end.
#[tokio::test(start_paused = true)]
async fn labels_and_codes_are_kept() {
    for engine in engines(&Config::default()) {
        let mut labelled = Invocation::clone(&invocation("a", 0));
        labelled.labels = [("customer".into(), "42".into())].into_iter().collect();
        let labelled = Arc::new(labelled);
        take(&engine, labelled.clone()).await;
        let delivery = deliver(&engine).await;
        assert_eq!(delivery.invocation.labels.get("customer"), Some("42"), "{}", engine.url());
        let mut again = again(&delivery, Some(now()));
        if let Verdict::Retry { tried, .. } = &mut again {
            tried.code = Some("line.busy".into());
        }
        record(&engine, settle_as(&delivery, again, false)).await;
        let delivery = deliver(&engine).await;
        let failed = Outcome::Failed(Ending::new("no", true).with_code(Some("card.declined".into())));
        let callback =
            Arc::new(labelled.callback(cid(1), ServiceName::linked("b"), Payload::empty(), now().into()));
        let end = end_as(&delivery, failed.clone(), &[callback]);
        record(&engine, settle_as(&delivery, end, false)).await;
        let found = find(&engine, 0).await.expect("it is kept");
        assert_eq!(found.outcome(), Some(&failed), "{}", engine.url());
        assert_eq!(found.before.expect("it was tried twice").tried[0].code.as_deref(), Some("line.busy"));
        for number in [0, 1] {
            let found = find(&engine, number).await.expect("it is held");
            assert_eq!(found.invocation.labels, labelled.labels, "{}: {number}", engine.url());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_run_again_once() {
    for engine in engines(&Config::default()) {
        run(&engine, invocation("a", 0), failed()).await;
        run(&engine, invocation("a", 1), done()).await;
        take(&engine, invocation("a", 2)).await;
        assert_eq!(list(&engine, Filter::dead()).await, [cid(0)], "{}", engine.url());
        let accept = async |first, number| accept(&engine, &again_of(first, number), None).await;
        for first in [1, 2, 99] {
            assert_eq!(accept(first, 10).await, Err(Refused::NotDead), "{first}");
        }
        assert!(find(&engine, 10).await.is_none());
        accept(0, 3).await.expect("it is a dead letter");
        assert_eq!(accept(0, 4).await, Err(Refused::NotDead), "it has been run again");
        assert!(find(&engine, 4).await.is_none());
        let Status::Ended { again, .. } = status(&engine, 0).await else { panic!("it has ended") };
        assert_eq!(again, Some(cid(3)));
        assert!(list(&engine, Filter::dead()).await.is_empty());
        assert_eq!(discard(&engine, &[0]).await, [DiscardAnswer::NotDead]);
        // What runs it again may fail, and be run again itself.
        for delivery in deliver_all(&engine).await {
            record(&engine, settle_as(&delivery, end_as(&delivery, failed(), &[]), false)).await;
        }
        assert_eq!(list(&engine, Filter::dead()).await, [3, 2].map(cid));
        accept(3, 5).await.expect("it is a dead letter");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_discarded_and_nothing_else_is() {
    for engine in engines(&Config::default()) {
        run(&engine, invocation("a", 0), failed()).await;
        run(&engine, invocation("a", 1), done()).await;
        take(&engine, invocation("elsewhere", 2)).await;
        // What was called synchronously is a part of its caller's attempt.
        take(&engine, invocation("a", 3)).await;
        let delivery = deliver(&engine).await;
        let mut inner = Invocation::clone(&invocation("b", 4));
        (inner.channel, inner.parent, inner.root) = (Channel::Invoke, Some(cid(3)), cid(3));
        let mut batch = settle(&delivery, &[]);
        batch[0].inner.push(ended(&Delivery { invocation: Arc::new(inner), ..delivery.clone() }, failed()));
        record(&engine, batch).await;

        let answers = discard(&engine, &[0, 0, 1, 2, 3, 4, 99]).await;
        let expected = [
            DiscardAnswer::Discarded,
            DiscardAnswer::NotHeld,
            DiscardAnswer::NotDead,
            DiscardAnswer::NotDead,
            DiscardAnswer::NotDead,
            DiscardAnswer::NotDead,
            DiscardAnswer::NotHeld,
        ];
        assert_eq!(answers, expected, "{}", engine.url());
        assert!(
            find(&engine, 0).await.is_none()
                && engine.outcome(cid(0)).await.expect("it can be read").is_none()
        );
        assert_eq!(accept(&engine, &again_of(0, 5), None).await, Err(Refused::NotDead));
        assert_eq!(accept(&engine, &again_of(4, 5), None).await, Err(Refused::NotDead));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tree_is_all_that_has_its_root_in_the_order_in_which_it_was_called() {
    for engine in engines(&Config::default()) {
        take(&engine, invocation("a", 0)).await;
        take(&engine, invocation("a", 1)).await;
        let running = deliver_all(&engine).await;
        let child = |number, service| {
            let child = running[0].invocation.child(
                cid(number),
                ServiceName::linked(service),
                Payload::empty(),
                Channel::InvokeAsync,
            );
            Arc::new(child)
        };
        accept(&engine, &child(2, "b"), Some(running[0].id())).await.expect("it runs");
        accept(&engine, &child(3, "elsewhere"), Some(running[0].id())).await.expect("it runs");
        let settled = record(&engine, settle(&running[0], &[child(4, "c")])).await;
        drop(settled);
        let tree: Vec<_> = engine
            .tree(cid(0))
            .await
            .expect("it can be read")
            .found
            .iter()
            .map(InvocationInfo::cid)
            .collect();
        assert_eq!(tree, [0, 2, 3, 4].map(cid), "{}", engine.url());
        assert_eq!(engine.tree(cid(1)).await.expect("it can be read").found.len(), 1);
        assert!(engine.tree(cid(2)).await.expect("it can be read").found.is_empty(), "it is no root");
        let mut below = engine.below(cid(0)).await.expect("it can be read");
        below.sort();
        assert_eq!(below, [2, 3, 4].map(cid), "what has not ended");
        assert!(engine.below(cid(99)).await.expect("it can be read").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_what_passes_the_filter_the_newest_first() {
    for engine in engines(&Config::default()) {
        run(&engine, invocation("a", 0), failed()).await;
        run(&engine, invocation("b", 1), done()).await;
        take(&engine, invocation("a", 2)).await;
        deliver(&engine).await;
        for number in 3..8 {
            take(&engine, invocation("b", number)).await;
        }
        let list = async |filter| list(&engine, filter).await;
        assert_eq!(list(Filter::new()).await, [7, 6, 5, 4, 3, 2, 1, 0].map(cid), "{}", engine.url());
        assert_eq!(list(Filter::new().limit(3)).await, [7, 6, 5].map(cid));
        assert_eq!(list(Filter::new().before(cid(5)).limit(3)).await, [4, 3, 2].map(cid));
        assert_eq!(list(Filter::new().before(cid(2))).await, [1, 0].map(cid));
        assert_eq!(list(Filter::new().service("a")).await, [2, 0].map(cid));
        assert_eq!(list(Filter::new().stage(StatusFilter::Waiting).limit(2)).await, [7, 6].map(cid));
        assert_eq!(list(Filter::new().stage(StatusFilter::Running)).await, [cid(2)]);
        assert_eq!(list(Filter::new().stage(StatusFilter::Ended)).await, [1, 0].map(cid));
        assert_eq!(list(Filter::new().stage(StatusFilter::Ended).service("b")).await, [cid(1)]);
        assert_eq!(list(Filter::dead()).await, [cid(0)]);
    }
}
