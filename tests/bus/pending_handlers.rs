//! Handlers that wait for something: whoever wakes them, and whenever, each goes on, and none is held up by another.

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;
use zato_core::{Context, Result, service};
use zato_runtime::{Error, Runtime};

use crate::builder::{builder, finish, is_durable};

/// Long enough for all to end, however busy the machine is; nothing waits for so long unless something is lost.
const LONG: Duration = Duration::from_mins(1);

/// How many have ended.
#[derive(Clone, Default)]
struct Count(Arc<(Mutex<usize>, Condvar)>);

impl Count {
    fn add(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.1.notify_all();
    }

    /// Blocks until so many have; answers whether they have.
    fn reaches(&self, many: usize) -> bool {
        let count = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(count, LONG, |count| *count < many);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// What wakes handlers from outside: a thread that has those go on that wait for it, and rings old wakers.
#[derive(Clone, Default)]
struct Waking {
    waits: Arc<Mutex<Vec<oneshot::Sender<()>>>>,
    wakers: Arc<Mutex<Vec<Waker>>>,
    all: Arc<Notify>,
    has_ended: Arc<AtomicBool>,
    turn: Arc<tokio::sync::Mutex<u64>>,
}

impl Waking {
    /// Resolves when the thread comes to it.
    async fn comes(&self) -> Result<()> {
        let (tell, told) = oneshot::channel();
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).push(tell);
        Ok(told.await?)
    }

    fn start(&self) -> thread::JoinHandle<()> {
        let waking = self.clone();
        thread::spawn(|| waking.run())
    }

    fn end(&self, thread: thread::JoinHandle<()>) {
        self.has_ended.store(true, Ordering::Relaxed);
        thread.join().expect("it does not panic");
    }

    fn run(self) {
        while !self.has_ended.load(Ordering::Relaxed) {
            let waits = std::mem::take(&mut *self.waits.lock().unwrap_or_else(PoisonError::into_inner));
            for wait in waits {
                let _ = wait.send(());
            }
            self.all.notify_waiters();
            self.all.notify_one();
            let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
            wakers.iter().for_each(Waker::wake_by_ref);
            let old = wakers.len().saturating_sub(64);
            wakers.drain(..old);
            drop(wakers);
            thread::yield_now();
        }
    }
}

#[service(name = "waits.naps")]
async fn naps(_: &Context, times: u32, waking: &Waking, count: &Count) -> Result<()> {
    for _ in 0..times {
        waking.comes().await?;
    }
    count.add();
    Ok(())
}

/// Blocks its thread, once it has waited, until so many others have ended. None of them waits for a timer: those are tokio's,
/// and stand still where all its threads that are awake block.
#[service(name = "waits.blocks")]
async fn blocks(_: &Context, until: usize, waking: &Waking, count: &Count) -> Result<bool> {
    waking.comes().await?;
    Ok(count.reaches(until))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_goes_on_while_another_blocks_that_has_waited() -> Result<(), Error> {
    let (count, waking) = (Count::default(), Waking::default());
    let wakes = waking.start();
    let services = [naps::service().erased(), blocks::service().erased()];
    let builder = builder().services(services).provide(count.clone()).provide(waking.clone());
    let runtime = builder.start().await?;
    for round in 1..=10 {
        let blocks = runtime.invoke_async(blocks::service(), round * 100).await?;
        for times in 0..100 {
            runtime.invoke_async(naps::service(), times % 5).await?;
        }
        let outcome = runtime.outcome(blocks).await?;
        assert_eq!(outcome.payload().map(ToString::to_string).as_deref(), Some("true"), "{outcome}");
    }
    finish(&runtime).await?;
    waking.end(wakes);
    Ok(())
}

/// Waits for what its number says.
#[service(name = "waits.for")]
async fn waits_for(ctx: &Context, number: u64, waking: &Waking) -> Result<u64> {
    for step in 0..=number % 3 {
        match (number / 3 + step) % 9 {
            0 => tokio::task::yield_now().await,
            1 => tokio::time::sleep(Duration::from_micros(number % 900)).await,
            2 => waking.comes().await?,
            3 => waking.all.notified().await,
            4 => {
                let mut turn = waking.turn.lock().await;
                tokio::task::yield_now().await;
                *turn += 1;
            }
            5 => tokio::task::spawn_blocking(|| {}).await?,
            // Wakes itself, and leaves its waker behind, which is rung when others sit in its place.
            6 => {
                let mut has_woken = false;
                poll_fn(|cx| {
                    if has_woken {
                        return Poll::Ready(());
                    }
                    has_woken = true;
                    waking.wakers.lock().unwrap_or_else(PoisonError::into_inner).push(cx.waker().clone());
                    cx.waker().wake_by_ref();
                    Poll::Pending
                })
                .await;
            }
            7 => drop(ctx.invoke(waits_for::service(), 1).await?),
            _ => {
                let sleeps = tokio::time::sleep(Duration::from_millis(1));
                tokio::select! { () = sleeps => {}, () = waking.all.notified() => {} }
            }
        }
    }
    Ok(number)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn whoever_wakes_them_and_whenever_each_goes_on() -> Result<(), Error> {
    let waking = Waking::default();
    let wakes = waking.start();
    let services = [waits_for::service().erased()];
    let runtime = builder().services(services).provide(waking.clone()).keep_ended(100_000).start().await?;
    let count = if is_durable() { 500 } else { 20_000 };
    let mut called = Vec::new();
    for number in 0..count {
        let call = runtime.invoke_async(waits_for::service(), number);
        // Some have a limit, and are held.
        let cid = if number % 5 == 0 { call.timeout(10 * LONG).await? } else { call.await? };
        called.push((number, cid));
    }
    for (number, cid) in called {
        let outcome = timeout(LONG, runtime.outcome(cid)).await;
        let outcome = outcome.unwrap_or_else(|_| panic!("{number} ({cid}) waits for what has come"))?;
        assert_eq!(outcome.payload().map(ToString::to_string), Some(number.to_string()), "{outcome}");
    }
    finish(&runtime).await?;
    waking.end(wakes);
    Ok(())
}

/// Goes on and on until another has ended.
#[service(name = "waits.spins")]
async fn spins(_: &Context, (): (), has_ended: &Ended) -> Result<()> {
    poll_fn(|cx| {
        if has_ended.0.load(Ordering::SeqCst) {
            return Poll::Ready(Ok(()));
        }
        // At once, not when its thread has nothing else to do.
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

#[service(name = "waits.ends")]
async fn ends(_: &Context, (): (), has_ended: &Ended) -> Result<()> {
    has_ended.0.store(true, Ordering::SeqCst);
    Ok(())
}

#[derive(Clone, Default)]
struct Ended(Arc<AtomicBool>);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_on_and_on_keeps_nothing_from_its_turn() -> Result<(), Error> {
    let services = [spins::service().erased(), ends::service().erased()];
    let runtime = builder().services(services).provide(Ended::default()).start().await?;
    let mut called = Vec::new();
    for _ in 0..200 {
        called.push(runtime.invoke_async(spins::service(), ()).await?);
    }
    called.push(runtime.invoke_async(ends::service(), ()).await?);
    for cid in called {
        let outcome = timeout(LONG, runtime.outcome(cid)).await.expect("the last has its turn")?;
        assert!(outcome.is_completed(), "{outcome}");
    }
    finish(&runtime).await
}

/// Is there as long as a handler is.
#[derive(Clone, Default)]
struct Held(Arc<AtomicUsize>);

/// Waits for what never comes.
#[service(name = "waits.forever")]
async fn forever(_: &Context, rests: bool, held: &Held) -> Result<()> {
    let held = held.clone();
    if rests {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    held.0.fetch_add(1, Ordering::SeqCst);
    pending::<()>().await;
    Ok(())
}

/// A bus with handlers that wait forever, of which some have a limit; answers with what tells whether any is there.
async fn waiting_forever() -> Result<(Runtime, Weak<AtomicUsize>), Error> {
    let held = Held::default();
    let weak = Arc::downgrade(&held.0);
    let services = [forever::service().erased()];
    let builder = builder().services(services).provide(held.clone()).drain_limit(Duration::from_millis(1));
    let runtime = builder.start().await?;
    for number in 0..40 {
        let call = runtime.invoke_async(forever::service(), number % 2 == 0);
        if number % 4 < 2 {
            call.timeout(10 * LONG).await?
        } else {
            call.await?
        };
    }
    while held.0.load(Ordering::SeqCst) < 40 {
        tokio::task::yield_now().await;
    }
    Ok((runtime, weak))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_drops_what_waits_forever() -> Result<(), Error> {
    let (runtime, held) = waiting_forever().await?;
    runtime.shutdown().await?;
    drop(runtime);
    // Tokio drops the workers when it comes to it.
    let is_gone = async {
        while held.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, is_gone).await.expect("nothing holds on to what was given up");
    Ok(())
}

#[test]
fn what_waits_forever_goes_with_its_tokio_runtime() -> Result<(), Error> {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.expect("tokio starts");
    let (runtime, held) = tokio.block_on(waiting_forever())?;
    drop(tokio);
    drop(runtime);
    assert!(held.upgrade().is_none(), "nothing holds on to what has gone");
    Ok(())
}
