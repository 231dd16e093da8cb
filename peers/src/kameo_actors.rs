//! kameo: an actor tells another.

use std::time::{Duration, Instant};

use kameo::Actor;
use kameo::actor::{ActorRef, Spawn};
use kameo::mailbox;
use kameo::message::{Context, Message};

use crate::round::{Round, TEXT};

#[derive(Actor)]
struct Target(ActorRef<Callback>);

#[derive(Actor)]
struct Callback(Round);

impl Message<String> for Target {
    type Reply = ();

    async fn handle(&mut self, text: String, _: &mut Context<Self, ()>) {
        self.0.tell(text).send().await.expect("it is told");
    }
}

impl Message<String> for Callback {
    type Reply = ();

    async fn handle(&mut self, text: String, _: &mut Context<Self, ()>) {
        drop(text);
        self.0.end();
    }
}

pub async fn run(round: Round, rounds: usize) -> Duration {
    let callback = Callback::spawn_with_mailbox(Callback(round.clone()), mailbox::unbounded());
    let target = Target::spawn_with_mailbox(Target(callback), mailbox::unbounded());
    let began = Instant::now();
    for _ in 0..rounds {
        round.begin().await;
        target.tell(TEXT.to_owned()).send().await.expect("it is told");
    }
    round.ended(began).await
}
