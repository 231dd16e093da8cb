//! The same work, written by hand on tokio with what a bus needs at the least: an ID for each request, a boxed handler
//! that is found by name, panics that are caught, and a map of what is in flight, so that it can be listed and stopped.
//! There is no record of what has ended, no payload that is encoded, and no limit.

use std::collections::HashMap;
use std::error::Error;
use std::future::ready;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::sleep;
use uuid::Uuid;

use super::drive;
use crate::floors::{caught, uuid};
use crate::shape::group::Group;
use crate::shape::rounds::Rounds;
use crate::shape::services::{self, CALLBACK};
use crate::shape::shapes::{BACKOFF, Does, MEMBERS, PLAIN, SLEEP, Shape, is_marked};

type Response = Result<String, Box<dyn Error + Send + Sync>>;

type Handled = Pin<Box<dyn Future<Output = Response> + Send>>;

/// One attempt of a handler to respond to a request.
struct Request {
    bus: Arc<ByHand>,
    text: String,
    attempt: u32,
}

struct Service {
    handler: Box<dyn Fn(Request) -> Handled + Send + Sync>,
    max_attempts: u32,
}

/// What follows when a request has been responded to.
enum Then {
    Nothing,
    Callback(&'static str),
    /// The response is that of this member of a group, whose final callback has this name.
    Member(Arc<Group>, usize, &'static str),
}

/// The bus by hand.
struct ByHand {
    services: HashMap<String, Service>,
    /// What is in flight, and how to stop it. `None` for what runs inside another handler, and is stopped with it.
    in_flight: Mutex<HashMap<Uuid, Option<AbortHandle>>>,
    numbers: AtomicU64,
}

/// Goes through `count` rounds of a shape.
pub(crate) async fn run(shape: Shape, count: usize) -> Duration {
    let rounds = Rounds::new(shape.in_flight);
    let (in_flight, numbers) = (Mutex::default(), AtomicU64::default());
    let bus = Arc::new(ByHand { services: all(&rounds), in_flight, numbers });
    let target = services::target(shape.does);
    let call = |text: &'static str| {
        bus.start(target, text.to_owned(), Then::Callback(CALLBACK));
        ready(())
    };
    drive(shape, count, &rounds, call).await
}

impl ByHand {
    fn id(&self) -> Uuid {
        uuid(self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    fn in_flight(&self) -> MutexGuard<'_, HashMap<Uuid, Option<AbortHandle>>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a handler in the background.
    fn start(self: &Arc<Self>, name: &'static str, text: String, then: Then) {
        let (id, bus) = (self.id(), self.clone());
        // Held until the task has been added: it may end at once.
        let mut in_flight = self.in_flight();
        let task = tokio::spawn(async move {
            let response = bus.run(name, text).await;
            bus.in_flight().remove(&id);
            if let Ok(response) = response {
                bus.follow(then, response);
            }
        });
        in_flight.insert(id, Some(task.abort_handle()));
    }

    /// Runs a handler inside the one that calls.
    async fn call(self: &Arc<Self>, name: &'static str, text: String) -> Response {
        let id = self.id();
        self.in_flight().insert(id, None);
        let response = self.run(name, text).await;
        self.in_flight().remove(&id);
        response
    }

    /// Runs the members of a group in the background, and the final callback when all have ended.
    fn group(self: &Arc<Self>, targets: [(&'static str, String); MEMBERS], on_final: &'static str) {
        let group = Arc::new(Group::new());
        for (index, (name, text)) in targets.into_iter().enumerate() {
            self.start(name, text, Then::Member(group.clone(), index, on_final));
        }
    }

    /// Runs a handler until an attempt succeeds, or none is left.
    async fn run(self: &Arc<Self>, name: &str, text: String) -> Response {
        let service = self.services.get(name).ok_or("no such service")?;
        let mut attempt = 1;
        while attempt < service.max_attempts {
            let request = Request { bus: self.clone(), text: text.clone(), attempt };
            if let Ok(Ok(response)) = caught((service.handler)(request)).await {
                return Ok(response);
            }
            sleep(BACKOFF).await;
            attempt += 1;
        }
        let last = Request { bus: self.clone(), text, attempt };
        caught((service.handler)(last)).await.unwrap_or_else(|_| Err("the handler panicked".into()))
    }

    fn follow(self: &Arc<Self>, then: Then, response: String) {
        match then {
            Then::Nothing => {}
            Then::Callback(name) => self.start(name, response, Then::Nothing),
            Then::Member(group, index, on_final) => {
                if let Some(responses) = group.add(index, response) {
                    self.start(on_final, responses.join(","), Then::Nothing);
                }
            }
        }
    }
}

/// The services of [`services`], by name.
fn all(rounds: &Rounds) -> HashMap<String, Service> {
    let mut all = HashMap::new();
    let mut add = |name: &str, max_attempts, handler: Box<dyn Fn(Request) -> Handled + Send + Sync>| {
        all.insert(name.to_owned(), Service { handler, max_attempts });
    };
    add(services::target(Does::Responds), 1, Box::new(|request| Box::pin(async move { Ok(request.text) })));
    let calls = |Request { bus, text, .. }| -> Handled {
        Box::pin(async move {
            if is_marked(&text) {
                bus.start("shape.responds", PLAIN.to_owned(), Then::Callback("shape.beside"));
            }
            Ok(text)
        })
    };
    add(services::target(Does::CallsInBackground), 1, Box::new(calls));
    let invokes = |Request { bus, text, .. }| -> Handled {
        Box::pin(async move {
            if is_marked(&text) {
                return bus.call("shape.responds", PLAIN.to_owned()).await;
            }
            Ok(text)
        })
    };
    add(services::target(Does::CallsSynchronously), 1, Box::new(invokes));
    let sleeps = |Request { text, .. }| -> Handled {
        Box::pin(async move {
            if is_marked(&text) {
                sleep(SLEEP).await;
            }
            Ok(text)
        })
    };
    add(services::target(Does::Sleeps), 1, Box::new(sleeps));
    let fails = |Request { text, attempt, .. }| -> Handled {
        Box::pin(async move {
            if is_marked(&text) && attempt == 1 {
                return Err("the first attempt fails".into());
            }
            Ok(text)
        })
    };
    add(services::target(Does::FailsOnce), 2, Box::new(fails));
    let groups = |Request { bus, text, .. }| -> Handled {
        Box::pin(async move {
            if is_marked(&text) {
                let members = [(); MEMBERS].map(|()| ("shape.responds", PLAIN.to_owned()));
                bus.group(members, "shape.all-members");
            }
            Ok(text)
        })
    };
    add(services::target(Does::CallsGroup), 1, Box::new(groups));
    add(CALLBACK, 1, ends(rounds, Rounds::end));
    add("shape.beside", 1, ends(rounds, Rounds::end_beside));
    add("shape.all-members", 1, ends(rounds, Rounds::end_beside));
    all
}

/// A callback that counts.
fn ends(rounds: &Rounds, end: fn(&Rounds)) -> Box<dyn Fn(Request) -> Handled + Send + Sync> {
    let rounds = rounds.clone();
    Box::new(move |request| {
        let rounds = rounds.clone();
        Box::pin(async move {
            end(&rounds);
            Ok(request.text)
        })
    })
}
