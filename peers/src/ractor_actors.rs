//! ractor: an actor casts to another.

use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::round::{Round, TEXT};

struct Target(ActorRef<String>);

struct Callback(Round);

impl Actor for Target {
    type Msg = String;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<String>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<String>, text: String, (): &mut ()) -> Result<(), ActorProcessingErr> {
        Ok(self.0.cast(text)?)
    }
}

impl Actor for Callback {
    type Msg = String;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<String>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<String>, text: String, (): &mut ()) -> Result<(), ActorProcessingErr> {
        drop(text);
        self.0.end();
        Ok(())
    }
}

pub async fn run(round: Round, rounds: usize) -> Duration {
    let (callback, _) = Actor::spawn(None, Callback(round.clone()), ()).await.expect("it starts");
    let (target, _) = Actor::spawn(None, Target(callback), ()).await.expect("it starts");
    let began = Instant::now();
    for _ in 0..rounds {
        round.begin().await;
        target.cast(TEXT.to_owned()).expect("it is cast");
    }
    round.ended(began).await
}
