//! What nothing can be faster than, and what people would write instead.

use std::any::Any;
use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use uuid::{Builder, Uuid};
use zato_core::Payload;

use crate::shape::rounds::Rounds;
use crate::shape::shapes::PLAIN;

/// So many that have ended are kept, as a bus does that is told nothing.
const KEPT: usize = 10_000;

/// A payload that is written and read, and a UUIDv7: what no bus can leave out.
pub(crate) fn alone(count: usize) -> Duration {
    let began = Instant::now();
    for number in 0..count as u64 {
        black_box(uuid(number));
        let payload = Payload::text(PLAIN);
        black_box(payload.decode::<String>().expect("it is text"));
    }
    began.elapsed()
}

/// A UUIDv7.
pub(crate) fn uuid(number: u64) -> Uuid {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later");
    let millis = u64::try_from(since.as_millis()).expect("it is not that late");
    let mut noise = [0; 10];
    noise[2..].copy_from_slice(&number.to_be_bytes());
    Builder::from_unix_timestamp_millis(millis, &noise).into_uuid()
}

/// Two tasks, one after the other.
pub(crate) async fn spawns(count: usize, in_flight: usize) -> Duration {
    let rounds = Rounds::new(in_flight);
    let began = Instant::now();
    for _ in 0..count {
        rounds.begin().await;
        let rounds = rounds.clone();
        let text = PLAIN.to_owned();
        tokio::spawn(async move {
            tokio::spawn(async move {
                drop(text);
                rounds.end();
            });
        });
    }
    rounds.all_ended().await;
    began.elapsed()
}

/// A pool of two tasks that do something with each text; they take turns.
fn pool(does: impl Fn(String) + Clone + Send + 'static) -> impl Fn(String) + Clone + Send + 'static {
    let workers = [(); 2].map(|()| {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let does = does.clone();
        tokio::spawn(async move {
            while let Some(text) = receiver.recv().await {
                does(text);
            }
        });
        sender
    });
    let turn = Cell::new(0);
    move |text| {
        turn.set(turn.get() ^ 1);
        let _ = workers[turn.get()].send(text);
    }
}

/// A channel into a pool of workers, and another into a second pool.
pub(crate) async fn channels(count: usize, in_flight: usize) -> Duration {
    let rounds = Rounds::new(in_flight);
    let ends = rounds.clone();
    let callbacks = pool(move |text| {
        drop(text);
        ends.end();
    });
    let targets = pool(callbacks);
    let began = Instant::now();
    for _ in 0..count {
        rounds.begin().await;
        targets(PLAIN.to_owned());
    }
    rounds.all_ended().await;
    began.elapsed()
}

/// What a handler does with one request.
pub(crate) type Boxed = Pin<Box<dyn Future<Output = String> + Send>>;

pub(crate) type Handler = Box<dyn Fn(String) -> Boxed + Send + Sync>;

type Handlers = HashMap<String, Handler>;

/// Two tasks with what a bus needs at the least: a look-up by name, a boxed handler, and panics that are caught.
pub(crate) async fn boxed(count: usize, in_flight: usize) -> Duration {
    let rounds = Rounds::new(in_flight);
    let ends = rounds.clone();
    let mut handlers = Handlers::new();
    handlers.insert("bench.target".to_owned(), Box::new(|text| Box::pin(async move { text })));
    let callback = move |text| {
        let ends = ends.clone();
        let handler: Boxed = Box::pin(async move {
            ends.end();
            text
        });
        handler
    };
    handlers.insert("bench.callback".to_owned(), Box::new(callback));
    let handlers = Arc::new(handlers);
    let began = Instant::now();
    for _ in 0..count {
        rounds.begin().await;
        let handlers = handlers.clone();
        tokio::spawn(async move {
            let handler = handlers.get("bench.target").expect("it is there");
            let Ok(text) = caught(handler(PLAIN.to_owned())).await else { return };
            let handlers = handlers.clone();
            tokio::spawn(async move {
                let handler = handlers.get("bench.callback").expect("it is there");
                let _ = black_box(caught(handler(text)).await);
            });
        });
    }
    rounds.all_ended().await;
    began.elapsed()
}

/// What a bus needs at the least that can say what runs, stop it, and say what came of it: a task for each, with a payload
/// and an ID, a look-up by name, a boxed handler, panics that are caught, a map of what is under way and a list of what has
/// ended.
pub(crate) struct Kept {
    handlers: Handlers,
    under_way: Mutex<HashMap<Uuid, AbortHandle>>,
    ended: Mutex<VecDeque<Ended>>,
}

/// What one was asked, and what it has answered.
type Ended = (Uuid, Payload, Option<Payload>);

impl Kept {
    pub(crate) fn new(handlers: impl IntoIterator<Item = (&'static str, Handler)>) -> Arc<Self> {
        let handlers = handlers.into_iter().map(|(name, handler)| (name.to_owned(), handler)).collect();
        Arc::new(Self { handlers, under_way: Mutex::default(), ended: Mutex::default() })
    }

    /// Runs a handler, and another with what it answers.
    pub(crate) fn start(
        self: &Arc<Self>,
        number: u64,
        name: &'static str,
        payload: Payload,
        callback: Option<&'static str>,
    ) {
        let (id, kept) = (uuid(number), self.clone());
        // Whoever ends at once has been entered before.
        let mut entered = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let task = tokio::spawn(async move {
            let response = kept.run(id, name, payload).await;
            kept.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            if let (Some(callback), Some(response)) = (callback, response) {
                kept.start(number, callback, response, None);
            }
        });
        entered.insert(id, task.abort_handle());
    }

    /// Runs a handler, and keeps what it was asked and has answered.
    async fn run(&self, id: Uuid, name: &str, payload: Payload) -> Option<Payload> {
        let handler = self.handlers.get(name).expect("it is there");
        let text = payload.decode::<String>().expect("it is text");
        let response = caught(handler(text)).await.ok().map(Payload::text);
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push_back((id, payload, response.clone()));
        if ended.len() > KEPT {
            ended.pop_front();
        }
        response
    }

    /// A worker that runs one handler with each request, and another with what that answers, without a task for either:
    /// nobody can say what runs, or stop it, and who waits holds up all others.
    pub(crate) fn worker(self: &Arc<Self>, name: &'static str, callback: &'static str) -> Requests {
        let (requests, mut asked) = mpsc::unbounded_channel();
        let kept = self.clone();
        tokio::spawn(async move {
            while let Some((id, payload)) = asked.recv().await {
                if let Some(response) = kept.run(id, name, payload).await {
                    kept.run(uuid(0), callback, response).await;
                }
            }
        });
        requests
    }
}

/// What a worker is asked, each with its ID.
pub(crate) type Requests = mpsc::UnboundedSender<(Uuid, Payload)>;

/// Such tasks that sleep.
pub(crate) async fn kept_sleeps(count: usize, in_flight: usize) -> Duration {
    let rounds = Rounds::new(in_flight);
    let ends = rounds.clone();
    let sleeps = move |text| -> Boxed {
        let ends = ends.clone();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            ends.end();
            text
        })
    };
    let kept = Kept::new([("bench.sleep", Box::new(sleeps) as Handler)]);
    let began = Instant::now();
    for number in 0..count as u64 {
        rounds.begin().await;
        kept.start(number, "bench.sleep", Payload::text(PLAIN), None);
    }
    rounds.all_ended().await;
    began.elapsed()
}

/// Runs a boxed handler, and catches its panic.
pub(crate) async fn caught<T>(
    mut handler: Pin<Box<dyn Future<Output = T> + Send>>,
) -> Result<T, Box<dyn Any + Send>> {
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(response)) => Poll::Ready(Ok(response)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Tasks that sleep for a millisecond.
pub(crate) async fn sleeps(count: usize, in_flight: usize) -> Duration {
    let rounds = Rounds::new(in_flight);
    let began = Instant::now();
    for _ in 0..count {
        rounds.begin().await;
        let rounds = rounds.clone();
        let text = PLAIN.to_owned();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            drop(text);
            rounds.end();
        });
    }
    rounds.all_ended().await;
    began.elapsed()
}
