//! What starts first, and how much at once.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_service_starts_its_invocations_in_order_and_services_take_turns() {
    for engine in engines(&Config::default()) {
        for number in 0..6 {
            accept(&engine, &invocation("a", number), None).await.expect("room");
        }
        accept(&engine, &invocation("b", 6), None).await.expect("room");
        accept(&engine, &invocation("c", 7), None).await.expect("room");
        let mut order = Vec::new();
        while order.len() < 8 {
            order.extend(engine.deliver(3).await.into_iter().map(|delivery| delivery.invocation.cid));
        }
        assert_eq!(order, [0, 6, 7, 1, 2, 3, 4, 5].map(cid), "{}", engine.url());
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_run_than_may() {
    let mut config = Config::default();
    config.max_running = 2;
    for engine in engines(&config) {
        for number in 0..3 {
            accept(&engine, &invocation("a", number), None).await.expect("room");
        }
        let mut running = deliver_all(&engine).await;
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

#[tokio::test(start_paused = true)]
async fn no_more_of_a_service_run_than_may() {
    for engine in engines(&Config::default()) {
        // Service `c` has two places.
        for number in 0..4 {
            accept(&engine, &invocation("c", number), None).await.expect("room");
        }
        accept(&engine, &invocation("a", 4), None).await.expect("room");
        let first = deliver_all(&engine).await;
        let cids: Vec<_> = first.iter().map(|delivery| delivery.invocation.cid).collect();
        assert_eq!(cids, [0, 4, 1].map(cid), "{}", engine.url());
        // A callback for it finds no place, and waits behind what waits already.
        let settled = engine.settle(settle(&first[1], &[invocation("c", 5)])).await;
        assert!(settled.into_iter().flatten().all(|settled| settled.granted.is_empty()));
        engine.settle(settle(&first[0], &[])).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
        let next = deliver_all(&engine).await;
        assert_eq!(next.iter().map(|delivery| delivery.invocation.cid).collect::<Vec<_>>(), [cid(2)]);
        engine.settle(settle(&first[2], &[])).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
        engine.settle(settle(&next[0], &[])).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
        let last = deliver_all(&engine).await;
        assert_eq!(last.iter().map(|delivery| delivery.invocation.cid).collect::<Vec<_>>(), [3, 5].map(cid));
    }
}

#[tokio::test(start_paused = true)]
async fn the_higher_priority_goes_first_and_order_holds_within_one() {
    for engine in engines(&Config::default()) {
        for (number, priority) in
            [(0, None), (1, Some(-1)), (2, Some(5)), (3, None), (4, Some(5)), (5, Some(127))]
        {
            take(&engine, asking("a", number, |options| options.priority = priority)).await;
        }
        let order: Vec<_> =
            deliver_all(&engine).await.into_iter().map(|delivery| delivery.invocation.cid).collect();
        assert_eq!(order, [5, 2, 4, 0, 3, 1].map(cid), "{}", engine.url());
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_has_a_priority_of_its_own_where_a_call_names_none() {
    for engine in engines(&Config::default()) {
        for (number, priority) in [(0, Some(4)), (1, None), (2, Some(6)), (3, Some(5)), (4, Some(-128))] {
            take(&engine, asking("urgent", number, |options| options.priority = priority)).await;
        }
        // It is within its service that one goes first.
        take(&engine, asking("a", 5, |options| options.priority = Some(127))).await;
        let order = cids(&deliver_all(&engine).await);
        assert_eq!(order, [2, 5, 1, 3, 0, 4].map(cid), "{}", engine.url());
    }
}

#[tokio::test(start_paused = true)]
async fn a_callback_does_not_go_before_what_waits() {
    for engine in engines(&Config::default()) {
        take(&engine, invocation("a", 0)).await;
        let first = deliver(&engine).await;
        take(&engine, asking("b", 1, |options| options.priority = Some(-1))).await;
        let urgent = asking("b", 2, |options| options.priority = Some(1));
        let settled = record(&engine, settle(&first, &[invocation("b", 3), urgent])).await;
        assert!(settled.granted.is_empty(), "{}", engine.url());
        assert_eq!(cids(&deliver_all(&engine).await), [2, 3, 1].map(cid));
    }
}

/// More than any engine has in hand at once: they start in their order all the same, also what comes meanwhile.
#[tokio::test(start_paused = true)]
async fn a_long_line_starts_in_its_order() {
    const MANY: u32 = 10_000;
    for engine in engines(&Config::default()) {
        let mut expected: Vec<(i8, u32)> = Vec::new();
        let mut line = Vec::new();
        for number in 0..MANY {
            let priority = [0, 0, 3, -2, 0, 3, 0][number as usize % 7];
            line.push(plainly(&asking("a", number, |options| options.priority = Some(priority))));
            expected.push((-priority, number));
        }
        pause(&engine, "a", true).await;
        let mut line = line.into_iter().peekable();
        while line.peek().is_some() {
            let batch: Batch<_> = line.by_ref().take(500).collect();
            assert!(engine.accept(batch).await.iter().all(Result::is_ok), "{}", engine.url());
        }
        assert_eq!(waits(&engine, MANY - 1).await, WaitReason::Resume);
        pause(&engine, "a", false).await;
        let mut started: Vec<u32> = Vec::new();
        let mut late = MANY;
        while started.len() < expected.len() {
            let batch = engine.deliver(100).await;
            for delivery in &batch {
                started.push(delivery.invocation.payload.to_string().parse().expect("its number"));
            }
            let all: Batch<_> = batch.iter().flat_map(|delivery| settle(delivery, &[])).collect();
            assert!(engine.settle(all).await.iter().all(Result::is_ok));
            // What comes while the line is long stands where its priority says: behind all, and before most.
            if started.len() > 1_000 * (late - MANY + 1) as usize && late < MANY + 8 {
                let priority = if late.is_multiple_of(2) { -100 } else { 0 };
                take(&engine, asking("a", late, |options| options.priority = Some(priority))).await;
                expected.push((-priority, late));
                late += 1;
            }
        }
        expected.sort_unstable();
        let expected: Vec<_> = expected.into_iter().map(|(_, number)| number).collect();
        assert_eq!(started.len(), expected.len());
        if let Some(at) = (0..started.len()).find(|at| started[*at] != expected[*at]) {
            panic!("{}: {} started as number {at}, and {} was to", engine.url(), started[at], expected[at]);
        }
    }
}
