//! Bare tokio tasks: one for each target, child, member and callback. A task that ends spawns the task of its callback.
//! Nothing has a name, an ID or a record.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::drive;
use crate::shape::group::Group;
use crate::shape::rounds::Rounds;
use crate::shape::shapes::{BACKOFF, Does, MEMBERS, PLAIN, SLEEP, Shape, is_marked};

/// Goes through `count` rounds of a shape.
pub(crate) async fn run(shape: Shape, count: usize) -> Duration {
    let rounds = Rounds::new(shape.in_flight);
    let call = |text: &'static str| {
        target(shape.does, text.to_owned(), rounds.clone());
        ready(())
    };
    drive(shape, count, &rounds, call).await
}

/// Spawns the task of a target. Each kind has a task of its own, so that none is larger than what it does.
fn target(does: Does, text: String, rounds: Rounds) {
    let does = if is_marked(&text) { does } else { Does::Responds };
    match does {
        Does::Responds => drop(tokio::spawn(async move { callback(text, rounds) })),
        Does::CallsInBackground => drop(tokio::spawn(async move {
            child(PLAIN.to_owned(), rounds.clone());
            callback(text, rounds);
        })),
        Does::CallsSynchronously => drop(tokio::spawn(async move {
            drop(text);
            let child = PLAIN.to_owned();
            let response = tokio::spawn(async move { child }).await.expect("it does not panic");
            callback(response, rounds);
        })),
        Does::Sleeps => drop(tokio::spawn(async move {
            sleep(SLEEP).await;
            callback(text, rounds);
        })),
        Does::FailsOnce => drop(tokio::spawn(async move {
            let mut number = 1;
            let response = loop {
                match attempt(text.clone(), number) {
                    Ok(response) => break response,
                    Err(_) => sleep(BACKOFF).await,
                }
                number += 1;
            };
            callback(response, rounds);
        })),
        Does::CallsGroup => drop(tokio::spawn(async move {
            let group = Arc::new(Group::new());
            for index in 0..MEMBERS {
                member(index, PLAIN.to_owned(), group.clone(), rounds.clone());
            }
            callback(text, rounds);
        })),
    }
}

/// Spawns the callback of a target.
fn callback(text: String, rounds: Rounds) {
    tokio::spawn(async move {
        drop(text);
        rounds.end();
    });
}

/// Spawns a child that has a callback.
fn child(text: String, rounds: Rounds) {
    tokio::spawn(async move {
        tokio::spawn(async move {
            drop(text);
            rounds.end_beside();
        });
    });
}

fn attempt(text: String, number: u32) -> Result<String, String> {
    if number == 1 { Err("the first attempt fails".to_owned()) } else { Ok(text) }
}

/// Spawns a member of a group. The last to end spawns the final callback with all responses.
fn member(index: usize, text: String, group: Arc<Group>, rounds: Rounds) {
    tokio::spawn(async move {
        if let Some(responses) = group.add(index, text) {
            tokio::spawn(async move {
                drop(responses);
                rounds.end_beside();
            });
        }
    });
}
