//! A settle that is recorded later: who is told, and who gets what it starts.

use std::sync::Mutex;

use super::*;

/// Settles as a worker does: what that starts is run by whoever it is handed to.
fn settle_as_a_worker(
    engine: &Rings,
    delivery: &Delivery,
    callbacks: &[Arc<Invocation>],
    told: &Arc<Mutex<Vec<bool>>>,
) -> Batch<Delivery> {
    let tell = |told: &Mutex<Vec<bool>>, settled: Result<Settled, _>| {
        told.lock().expect("nothing panics").push(settled.is_ok());
        settled.map(|settled| settled.granted).unwrap_or_default()
    };
    let one = settle(delivery, callbacks).pop().expect("one");
    let now = (**engine).settle(one, &mut || {
        let told = told.clone();
        Box::new(move |settled| tell(&told, settled))
    });
    now.map(|settled| tell(told, settled)).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn what_it_starts_is_handed_out_once() {
    for engine in engines(&Config::default()) {
        take(&engine, invocation("a", 1)).await;
        let first = deliver(&engine).await;
        let told = Arc::default();
        let granted = settle_as_a_worker(&engine, &first, &[invocation("b", 2)], &told);
        let callback = match granted.into_iter().next() {
            Some(granted) => granted,
            None => deliver(&engine).await,
        };
        assert_eq!((callback.invocation.cid, callback.attempt), (cid(2), 1), "{}", engine.url());
        assert_eq!(*told.lock().expect("nothing panics"), [true], "{}", engine.url());
        assert!(deliver_all(&engine).await.is_empty(), "{}", engine.url());
        assert!(matches!(status(&engine, 1).await, Status::Ended { .. }), "{}", engine.url());

        // The lease is lost: nothing follows from it, and whoever settles is told once.
        assert!(settle_as_a_worker(&engine, &first, &[invocation("b", 3)], &told).is_empty());
        assert!(deliver_all(&engine).await.is_empty(), "{}", engine.url());
        assert_eq!(*told.lock().expect("nothing panics"), [true, false], "{}", engine.url());
        assert!(find(&engine, 3).await.is_none(), "{}", engine.url());
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_settles_is_told_before_the_engine_is_closed() {
    for engine in engines(&Config::default()) {
        take(&engine, invocation("a", 1)).await;
        let first = deliver(&engine).await;
        let told = Arc::default();
        assert!(settle_as_a_worker(&engine, &first, &[], &told).is_empty());
        engine.close();
        assert_eq!(*told.lock().expect("nothing panics"), [true], "{}", engine.url());
    }
}
