//! ractor: an actor for each service, and they cast to one another. An actor handles one message at a time. It waits for
//! the response to a synchronous call in its handler, which is faster here than a task for each call; it sleeps in a task.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::time::sleep;

use crate::ended;
use crate::shape::group::Group;
use crate::shape::rounds::Rounds;
use crate::shape::shapes::{BACKOFF, Does, MEMBERS, PLAIN, SLEEP, Shape, is_marked};

struct Target {
    does: Does,
    child: ActorRef<ToChild>,
    callback: ActorRef<ToCallback>,
}

struct Child(ActorRef<ToCallback>);

struct Callback(Rounds);

enum ToTarget {
    Request(String),
    /// The second attempt at a request.
    Again(String),
}

enum ToChild {
    Request(String),
    Call(String, RpcReplyPort<String>),
    Member(usize, Arc<Group>, String),
}

enum ToCallback {
    Response(String),
    /// What a child has responded to a target that called it in the background.
    Beside(String),
    /// The responses of a group.
    All(Vec<String>),
}

impl Target {
    /// Does what is asked of a target. Returns the response, or `None` where a task will cast it to the callback.
    async fn act(
        &self,
        text: String,
        target: ActorRef<ToTarget>,
    ) -> Result<Option<String>, ActorProcessingErr> {
        let does = if is_marked(&text) { self.does } else { Does::Responds };
        match does {
            Does::Responds => return Ok(Some(text)),
            Does::CallsSynchronously => {
                // A box for this kind alone: the others' futures are not to be larger for it.
                let call = Box::pin(self.child.call(|reply| ToChild::Call(PLAIN.to_owned(), reply), None));
                let CallResult::Success(response) = call.await? else { panic!("it responds") };
                return Ok(Some(response));
            }
            Does::CallsInBackground => {
                self.child.cast(ToChild::Request(PLAIN.to_owned()))?;
                return Ok(Some(text));
            }
            Does::CallsGroup => {
                let group = Arc::new(Group::new());
                for index in 0..MEMBERS {
                    self.child.cast(ToChild::Member(index, group.clone(), PLAIN.to_owned()))?;
                }
                return Ok(Some(text));
            }
            Does::Sleeps => {
                let callback = self.callback.clone();
                tokio::spawn(async move {
                    sleep(SLEEP).await;
                    callback.cast(ToCallback::Response(text)).expect("it is cast");
                });
            }
            Does::FailsOnce => {
                tokio::spawn(async move {
                    sleep(BACKOFF).await;
                    target.cast(ToTarget::Again(text)).expect("it is cast");
                });
            }
        }
        Ok(None)
    }
}

impl Actor for Target {
    type Msg = ToTarget;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<ToTarget>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        target: ActorRef<ToTarget>,
        message: ToTarget,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let response = match message {
            ToTarget::Request(text) => self.act(text, target).await?,
            ToTarget::Again(text) => Some(text),
        };
        if let Some(response) = response {
            self.callback.cast(ToCallback::Response(response))?;
        }
        Ok(())
    }
}

impl Actor for Child {
    type Msg = ToChild;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<ToChild>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<ToChild>,
        message: ToChild,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToChild::Request(text) => self.0.cast(ToCallback::Beside(text))?,
            ToChild::Call(text, reply) => reply.send(text)?,
            ToChild::Member(index, group, text) => {
                if let Some(responses) = group.add(index, text) {
                    self.0.cast(ToCallback::All(responses))?;
                }
            }
        }
        Ok(())
    }
}

impl Actor for Callback {
    type Msg = ToCallback;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<ToCallback>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<ToCallback>,
        message: ToCallback,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToCallback::Response(text) => {
                drop(text);
                self.0.end();
            }
            ToCallback::Beside(text) => {
                drop(text);
                self.0.end_beside();
            }
            ToCallback::All(responses) => {
                drop(responses);
                self.0.end_beside();
            }
        }
        Ok(())
    }
}

pub async fn run(rounds: Rounds, count: usize, shape: Shape) -> Duration {
    let (callback, _) = Actor::spawn(None, Callback(rounds.clone()), ()).await.expect("it starts");
    let (child, _) = Actor::spawn(None, Child(callback.clone()), ()).await.expect("it starts");
    let target = Target { does: shape.does, child, callback };
    let (target, _) = Actor::spawn(None, target, ()).await.expect("it starts");
    let began = Instant::now();
    for number in 0..count {
        rounds.begin().await;
        target.cast(ToTarget::Request(shape.text(number).to_owned())).expect("it is cast");
    }
    ended(&rounds, shape, count, began).await
}
