//! Groups: members that are staged, accepted together, and joined when the last of them has ended.

use zato_core::Slot;

use super::*;
use zato_runtime::record::Task;

/// A member of the group with the CID 100.
fn member(service: &'static str, number: u32, index: u32) -> Arc<Invocation> {
    let mut member = Invocation::clone(&invocation(service, number));
    member.root = cid(100);
    member.slot = Some(Slot { group: cid(100), index });
    Arc::new(member)
}

async fn accept_group(engine: &Rings, members: u32) -> Result<(), Refused> {
    accept_as(engine, Accept { members: Some(members), ..plainly(&invocation("group", 100)) }).await
}

#[tokio::test(start_paused = true)]
async fn a_group_ends_when_its_last_member_does() {
    for engine in engines(&Config::default()) {
        engine.stage(cid(100), vec![member("a", 0, 0), member("b", 1, 1)]).await.expect("room");
        engine.stage(cid(100), vec![member("b", 2, 2)]).await.expect("room");
        assert!(
            engine.find([cid(0)].into_iter().collect()).await.expect("it can be read")[0].is_none(),
            "staged is not accepted"
        );
        accept_group(&engine, 3).await.expect("all are staged");
        let find = async || {
            engine.find([cid(100)].into_iter().collect()).await.expect("it can be read").pop().flatten()
        };
        let outcome = engine.outcome(cid(100));
        let deliveries = deliver_all(&engine).await;
        assert_eq!(deliveries.len(), 3);
        for (settled, delivery) in deliveries.iter().rev().enumerate() {
            assert!(
                matches!(find().await, Some(InvocationInfo { status: Status::Open(left), .. }) if left as usize == 3 - settled)
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
        let outcome = outcome.await.expect("it can be read").expect("the group is held");
        assert_eq!(outcome.to_string(), "Completed: Completed: done, Completed: done, Completed: done");
        assert!(matches!(find().await, Some(InvocationInfo { status: Status::Ended { .. }, .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_without_members_ends_at_once() {
    for engine in engines(&Config::default()) {
        accept_group(&engine, 0).await.expect("nothing is missing");
        assert!(engine.outcome(cid(100)).await.expect("it can be read").expect("it is held").is_completed());
        assert_eq!(deliver(&engine).await.invocation.cid, cid(999), "its callback runs");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_is_accepted_whole_or_not_at_all() {
    for engine in engines(&Config::default()) {
        engine.stage(cid(100), vec![member("a", 0, 0)]).await.expect("room");
        assert_eq!(accept_group(&engine, 2).await, Err(Refused::Incomplete { staged: 1, members: 2 }));
        engine.unstage(cid(100)).await;
        assert_eq!(accept_group(&engine, 1).await, Err(Refused::Incomplete { staged: 0, members: 1 }));
        assert!(
            engine
                .find([cid(0), cid(100)].into_iter().collect())
                .await
                .expect("it can be read")
                .iter()
                .all(Option::is_none)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn staged_members_count_as_waiting() {
    let mut config = Config::default();
    config.max_waiting = Some(2);
    for engine in engines(&config) {
        engine
            .stage(cid(100), (0..4).map(|index| member("a", index, index)).collect())
            .await
            .expect("twice the bound");
        let more = engine.stage(cid(100), vec![member("a", 4, 4)]).await;
        assert!(matches!(more, Err(Refused::Full { waiting: 4, .. })), "{more:?}");
        engine.unstage(cid(100)).await;
        accept(&engine, &invocation("a", 5), None).await.expect("there is room again");
    }
}

/// What follows from a member, and has its slot.
fn next_step(service: &'static str, number: u32) -> Arc<Invocation> {
    member(service, number, 0)
}

#[tokio::test(start_paused = true)]
async fn a_member_may_pass_its_slot_on() {
    for engine in engines(&Config::default()) {
        engine.stage(cid(100), vec![member("a", 0, 0), member("a", 1, 1)]).await.expect("room");
        accept_group(&engine, 2).await.expect("all are staged");
        let deliveries = deliver_all(&engine).await;
        end(&engine, &deliveries[1]).await;
        // Twice, and neither fills the slot.
        let first = &deliveries[0];
        let settled = record(&engine, settle(first, &[next_step("b", 2)])).await;
        assert!(settled.joined.is_none(), "{}", engine.url());
        assert!(matches!(status(&engine, 100).await, Status::Open(1)));
        assert!(matches!(status(&engine, 0).await, Status::Ended { .. }));
        let mut granted = settled.granted;
        let second = match granted.pop() {
            Some(granted) => granted,
            None => deliver(&engine).await,
        };
        assert_eq!(second.invocation.cid, cid(2));
        let settled = record(&engine, settle(&second, &[next_step("elsewhere", 3)])).await;
        assert!(settled.joined.is_none());
        assert!(matches!(status(&engine, 100).await, Status::Open(1)));
        assert_eq!(engine.below(cid(100)).await.expect("it can be read"), [cid(3)], "it is a member now");
        // It ends in something else, and that fills it.
        assert!(matches!(cancel(&engine, 3).await, Some(CancelAnswer::Ending)));
        let third = deliver(&engine).await;
        let cancelled = Outcome::Cancelled(Ending::new("while it waited", false));
        let settled = record(&engine, settle_as(&third, end_as(&third, cancelled, &[]), false)).await;
        assert!(settled.joined.is_some());
        let outcome =
            engine.outcome(cid(100)).await.expect("it can be read").expect("it is held").to_string();
        assert_eq!(outcome, "Completed: Cancelled: while it waited, Completed: done");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_another_slot_or_none_fills_it() {
    for engine in engines(&Config::default()) {
        engine.stage(cid(100), vec![member("a", 0, 0)]).await.expect("room");
        accept_group(&engine, 1).await.expect("it is staged");
        let delivery = deliver(&engine).await;
        let mut of_another = Invocation::clone(&invocation("elsewhere", 1));
        of_another.slot = Some(Slot { group: cid(101), index: 0 });
        let follow = [Arc::new(of_another), invocation("elsewhere", 2)];
        let settled = record(&engine, settle(&delivery, &follow)).await;
        assert!(settled.joined.is_some(), "{}", engine.url());
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_cancelled_cancels_what_its_slots_are_passed_to() {
    for engine in engines(&Config::default()) {
        engine.stage(cid(100), vec![member("a", 0, 0)]).await.expect("room");
        accept_group(&engine, 1).await.expect("it is staged");
        let first = deliver(&engine).await;
        assert!(matches!(cancel(&engine, 100).await, Some(CancelAnswer::Open)));
        // It completed nonetheless; what is to follow does not run.
        let settled = record(&engine, settle(&first, &[next_step("b", 1)])).await;
        assert!(settled.granted.is_empty() && settled.joined.is_none(), "{}", engine.url());
        let second = deliver(&engine).await;
        assert_eq!((second.invocation.cid, second.task), (cid(1), Task::Cancel));
        assert_eq!(second.attempt, 0, "no attempt is made");
        let cancelled = Outcome::Cancelled(Ending::new("cut short", false));
        let settled = record(&engine, settle_as(&second, end_as(&second, cancelled, &[]), false)).await;
        let joined = settled.joined.expect("that was the last");
        assert_eq!(joined.outcome.to_string(), "Completed: Cancelled: cut short");
    }
}
