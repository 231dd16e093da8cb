//! kameo: an actor for each service, and they tell one another. An actor handles one message at a time. It waits for the
//! response to a synchronous call in its handler, which is faster here than a task for each call; it sleeps in a task.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kameo::Actor;
use kameo::actor::{ActorRef, Spawn};
use kameo::mailbox;
use kameo::message::{Context, Message};
use tokio::time::sleep;

use crate::ended;
use crate::shape::group::Group;
use crate::shape::rounds::Rounds;
use crate::shape::shapes::{BACKOFF, Does, MEMBERS, PLAIN, SLEEP, Shape, is_marked};

#[derive(Actor)]
struct Target {
    does: Does,
    child: ActorRef<Child>,
    callback: ActorRef<Callback>,
}

#[derive(Actor)]
struct Child(ActorRef<Callback>);

#[derive(Actor)]
struct Callback(Rounds);

/// The second attempt at this request.
struct Again(String);

/// A request whose caller waits for the response.
struct Ask(String);

/// A request to a member of a group.
struct Member(usize, Arc<Group>, String);

/// What a child has responded to a target that called it in the background.
struct Beside(String);

/// The responses of a group.
struct All(Vec<String>);

impl Target {
    /// Does what is asked of a target. Returns the response, or `None` where a task will tell it to the callback.
    async fn act(&self, text: String, target: &ActorRef<Self>) -> Option<String> {
        let does = if is_marked(&text) { self.does } else { Does::Responds };
        match does {
            Does::Responds => return Some(text),
            Does::CallsSynchronously => {
                // A box for this kind alone: the others' messages are not to be larger for it.
                let call = Box::pin(self.child.ask(Ask(PLAIN.to_owned())).send());
                return Some(call.await.expect("it responds"));
            }
            Does::CallsInBackground => {
                self.child.tell(PLAIN.to_owned()).try_send().expect("it is told");
                return Some(text);
            }
            Does::CallsGroup => {
                let group = Arc::new(Group::new());
                for index in 0..MEMBERS {
                    let member = Member(index, group.clone(), PLAIN.to_owned());
                    self.child.tell(member).try_send().expect("it is told");
                }
                return Some(text);
            }
            Does::Sleeps => {
                let callback = self.callback.clone();
                tokio::spawn(async move {
                    sleep(SLEEP).await;
                    callback.tell(text).send().await.expect("it is told");
                });
            }
            Does::FailsOnce => {
                let target = target.clone();
                tokio::spawn(async move {
                    sleep(BACKOFF).await;
                    target.tell(Again(text)).send().await.expect("it is told");
                });
            }
        }
        None
    }
}

impl Message<String> for Target {
    type Reply = ();

    async fn handle(&mut self, text: String, ctx: &mut Context<Self, ()>) {
        if let Some(response) = self.act(text, ctx.actor_ref()).await {
            self.callback.tell(response).send().await.expect("it is told");
        }
    }
}

impl Message<Again> for Target {
    type Reply = ();

    async fn handle(&mut self, Again(text): Again, _: &mut Context<Self, ()>) {
        self.callback.tell(text).send().await.expect("it is told");
    }
}

impl Message<String> for Child {
    type Reply = ();

    async fn handle(&mut self, text: String, _: &mut Context<Self, ()>) {
        self.0.tell(Beside(text)).send().await.expect("it is told");
    }
}

impl Message<Ask> for Child {
    type Reply = String;

    async fn handle(&mut self, Ask(text): Ask, _: &mut Context<Self, String>) -> String {
        text
    }
}

impl Message<Member> for Child {
    type Reply = ();

    async fn handle(&mut self, Member(index, group, text): Member, _: &mut Context<Self, ()>) {
        if let Some(responses) = group.add(index, text) {
            self.0.tell(All(responses)).send().await.expect("it is told");
        }
    }
}

impl Message<String> for Callback {
    type Reply = ();

    async fn handle(&mut self, text: String, _: &mut Context<Self, ()>) {
        drop(text);
        self.0.end();
    }
}

impl Message<Beside> for Callback {
    type Reply = ();

    async fn handle(&mut self, Beside(text): Beside, _: &mut Context<Self, ()>) {
        drop(text);
        self.0.end_beside();
    }
}

impl Message<All> for Callback {
    type Reply = ();

    async fn handle(&mut self, All(responses): All, _: &mut Context<Self, ()>) {
        drop(responses);
        self.0.end_beside();
    }
}

pub async fn run(rounds: Rounds, count: usize, shape: Shape) -> Duration {
    let callback = Callback::spawn_with_mailbox(Callback(rounds.clone()), mailbox::unbounded());
    let child = Child::spawn_with_mailbox(Child(callback.clone()), mailbox::unbounded());
    let target = Target { does: shape.does, child, callback };
    let target = Target::spawn_with_mailbox(target, mailbox::unbounded());
    let began = Instant::now();
    for number in 0..count {
        rounds.begin().await;
        target.tell(shape.text(number).to_owned()).send().await.expect("it is told");
    }
    ended(&rounds, shape, count, began).await
}
