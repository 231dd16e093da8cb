//! Cancelling: what waits is delivered to be ended, what runs is noted, and what is invoked under a cancelled tree.

use zato_runtime::record::Task;

use super::*;

/// A child of what runs.
fn child(of: &Delivery, number: u32) -> Arc<Invocation> {
    let name = ServiceName::linked("b");
    Arc::new(of.invocation.child(cid(number), name, Payload::empty(), Channel::InvokeAsync))
}

async fn cancel_tree(engine: &Rings, number: u32) -> Option<CancelAnswer> {
    engine.cancel([cid(number)].into_iter().collect(), true).await.expect("it can be read").pop().flatten()
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_delivered_to_be_ended_before_all_else() {
    let mut config = Config::default();
    config.max_running = 1;
    for engine in engines(&config) {
        for number in 0..4 {
            take(&engine, invocation("a", number)).await;
        }
        let runs = deliver(&engine).await;
        assert!(matches!(cancel(&engine, 2).await, Some(CancelAnswer::Ending)), "{}", engine.url());
        // Also where nothing else may start.
        let cancelled = deliver(&engine).await;
        assert_eq!((cancelled.invocation.cid, cancelled.task, cancelled.attempt), (cid(2), Task::Cancel, 0));
        assert_eq!(waits(&engine, 2).await, WaitReason::End);
        assert!(matches!(cancel(&engine, 2).await, Some(CancelAnswer::Ending)), "it is being ended");
        let outcome = Outcome::Cancelled(Ending::new("it waited", false));
        let verdict = end_as(&cancelled, outcome.clone(), &[]);
        record(&engine, settle_as(&cancelled, verdict, false)).await;
        assert!(matches!(cancel(&engine, 2).await, Some(CancelAnswer::Ended(ended)) if ended == outcome));
        assert!(cancel(&engine, 99).await.is_none());
        end(&engine, &runs).await;
        assert_eq!(deliver(&engine).await.invocation.cid, cid(1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_noted_and_not_tried_again() {
    for engine in engines(&Config::default()) {
        take(&engine, invocation("a", 0)).await;
        let runs = deliver(&engine).await;
        for _ in 0..2 {
            assert!(
                matches!(cancel(&engine, 0).await, Some(CancelAnswer::Noted(told)) if told.id() == runs.id()),
                "{}",
                engine.url()
            );
        }
        assert!(matches!(status(&engine, 0).await, Status::Running { is_cancelled: true, .. }));
        assert!(engine.is_running(runs.id()), "it may still call");
        accept(&engine, &child(&runs, 1), Some(runs.id())).await.expect("it runs");
        assert_eq!(deliver(&engine).await.task, Task::Run, "what it calls is not cancelled");
        // Whoever settles has not learnt of it in time.
        record(&engine, settle_as(&runs, again(&runs, Some(now())), false)).await;
        let cancelled = deliver(&engine).await;
        assert_eq!((cancelled.invocation.cid, cancelled.task, cancelled.attempt), (cid(0), Task::Cancel, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_called_under_a_cancelled_tree_is_cancelled_at_once() {
    for engine in engines(&Config::default()) {
        take(&engine, invocation("a", 0)).await;
        let runs = deliver(&engine).await;
        accept(&engine, &child(&runs, 1), Some(runs.id())).await.expect("it runs");
        assert!(
            matches!(cancel_tree(&engine, 0).await, Some(CancelAnswer::Noted(told)) if told.id() == runs.id())
        );
        assert_eq!(engine.below(cid(0)).await.expect("it can be read"), [cid(1)], "{}", engine.url());
        assert!(matches!(cancel_tree(&engine, 1).await, Some(CancelAnswer::Ending)));
        accept(&engine, &child(&runs, 2), Some(runs.id())).await.expect("it runs");
        let mut apart = Invocation::clone(&child(&runs, 3));
        apart.root = cid(3);
        accept(&engine, &Arc::new(apart), Some(runs.id())).await.expect("it runs");
        let mut all = deliver_all(&engine).await;
        all.sort_by_key(|delivery| delivery.invocation.cid);
        let tasks: Vec<_> = all.iter().map(|delivery| (delivery.invocation.cid, delivery.task)).collect();
        let expected = [(cid(1), Task::Cancel), (cid(2), Task::Cancel), (cid(3), Task::Run)];
        assert_eq!(tasks, expected, "a tree of its own is not touched");
        // A callback is not called by the handler.
        let settled = record(&engine, settle(&runs, &[child(&runs, 4)])).await;
        let next = match settled.granted.into_iter().next() {
            Some(granted) => granted,
            None => deliver(&engine).await,
        };
        assert_eq!((next.invocation.cid, next.task), (cid(4), Task::Run));
    }
}
