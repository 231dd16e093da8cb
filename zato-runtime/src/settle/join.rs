//! The outcome of a group whose members have all ended: their rows, or for a chain the outcome of its last step.

use std::sync::Arc;

use zato_core::{Channel, Ending, Invocation, Outcome};

use super::callbacks::callbacks;
use crate::base::cid;
use crate::bus::observer::Observer;
use crate::record::{Batch, Ended, GroupRows, Join};

/// Completes a group with its rows, as JSON.
pub(crate) struct FanIn {
    /// The door that hears of the callbacks, if one listens.
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

impl Join for FanIn {
    fn join(&self, group: &Arc<Invocation>, rows: &[Arc<Ended>]) -> (Ended, Batch<Arc<Invocation>>) {
        match rows.first().filter(|_| group.channel == Channel::Chain) {
            Some(step) => {
                let Ended { attempts, started_at, ended_at, .. } = **step;
                let (invocation, outcome, before) = (group.clone(), of_chain(group, step), None);
                let ended = Ended { invocation, outcome, attempts, started_at, ended_at, before };
                self.with_callbacks(ended, Some(&step.invocation.service))
            }
            None => self.join_rows(group, rows),
        }
    }
}

impl FanIn {
    /// Ends a group that is not a chain, with the rows of its members as its response.
    fn join_rows(&self, group: &Arc<Invocation>, members: &[Arc<Ended>]) -> (Ended, Batch<Arc<Invocation>>) {
        let rows = GroupRows::of(&mut members.iter().map(|member| member.member()));
        let (outcome, started_at, ended_at) = match rows.map(GroupRows::into_parts) {
            Ok((rows, started_at, ended_at)) => (Outcome::Completed(rows), started_at, ended_at),
            Err(error) => {
                let ending = Ending::new(format!("its rows are lost: {error}"), true);
                (Outcome::Failed(ending), None, None)
            }
        };
        let ended = Ended {
            invocation: group.clone(),
            outcome,
            attempts: 0,
            started_at,
            // One without members ends with its call.
            ended_at: ended_at.unwrap_or(group.called_at),
            before: None,
        };
        self.with_callbacks(ended, None)
    }

    fn with_callbacks(&self, ended: Ended, step: Option<&str>) -> (Ended, Batch<Arc<Invocation>>) {
        let callbacks = callbacks(&ended, step, |_, group| cid::mint(Some(group)));
        if let Some(observer) = &self.observer {
            callbacks
                .iter()
                .for_each(|callback| observer.entering(callback.cid, callback.root, callback.channel));
        }
        (ended, callbacks)
    }
}

/// A chain ends as the step that ended it.
fn of_chain(chain: &Invocation, step: &Ended) -> Outcome {
    let steps = chain.options.as_deref().map_or(0, |options| options.steps.len());
    let Invocation { cid, service, callbacks: after, .. } = &*step.invocation;
    let number = steps - after.len();
    step.outcome.clone().because(|ending| {
        let error = format!("step {number} of {steps}, `{service}` ({cid}): {}", ending.error);
        let code = ending.code().map(Into::into);
        Ending::new(error, ending.permanent).with_code(code)
    })
}
