//! actix: an actor on one arbiter sends to an actor on another. Each arbiter is a thread.

use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter, Context, Handler, Message, System};

use crate::shape::rounds::Rounds;
use crate::shape::shapes::PLAIN;

#[derive(Message)]
#[rtype(result = "()")]
struct Text(String);

struct Target(Addr<Callback>);

struct Callback(Rounds);

impl Actor for Target {
    type Context = Context<Self>;
}

impl Actor for Callback {
    type Context = Context<Self>;
}

impl Handler<Text> for Target {
    type Result = ();

    fn handle(&mut self, text: Text, _: &mut Context<Self>) {
        self.0.do_send(text);
    }
}

impl Handler<Text> for Callback {
    type Result = ();

    fn handle(&mut self, Text(text): Text, _: &mut Context<Self>) {
        drop(text);
        self.0.end();
    }
}

/// The caller and the callback on one thread, the target on another.
pub fn run(round: Rounds, rounds: usize) -> Duration {
    System::new().block_on(async move {
        let callback = Callback(round.clone()).start();
        let target = Target::start_in_arbiter(&Arbiter::new().handle(), move |_| Target(callback));
        let began = Instant::now();
        for _ in 0..rounds {
            round.begin().await;
            target.do_send(Text(PLAIN.to_owned()));
        }
        round.all_ended().await;
        began.elapsed()
    })
}
