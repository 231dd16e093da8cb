//! Every outcome has its callbacks, each once, and they carry it.

use serde_json::Value;

use super::fault::Rule;
use super::rows::{CALLBACK, INSIDE, Row, STEP};
use super::world::{Faults, World};

impl World<'_> {
    pub(super) fn check_callbacks(&self, row: &Row, faults: &mut Faults) {
        if row.channel == CALLBACK {
            let answers = row.parent.as_ref().and_then(|parent| self.find(parent));
            faults.must(Rule::Asked, answers.is_some() && row.slot.is_none(), || {
                format!("it answers nothing: {}", row.name())
            });
        }
        let mut named: Vec<&str> = match row.channel {
            // Its caller is told; the next step is what follows.
            INSIDE | STEP => Vec::new(),
            _ if row.outcome.is_none() => Vec::new(),
            _ if row.is_completed() => row.callbacks.iter().map(String::as_str).collect(),
            _ => row.on_failure.iter().map(String::as_str).collect(),
        };
        let callbacks: Vec<_> = self.children(&row.cid).filter(|child| child.channel == CALLBACK).collect();
        let mut made: Vec<_> = callbacks
            .iter()
            .filter(|callback| callback.again_of().is_none())
            .map(|callback| &*callback.service)
            .collect();
        named.sort_unstable();
        made.sort_unstable();
        faults.must(Rule::Callbacks, named == made, || {
            format!("it should have the callbacks {named:?} and has {made:?}: {}", row.name())
        });
        for callback in callbacks {
            let carries = if row.is_completed() {
                row.response.as_ref() == Some(&callback.payload)
            } else {
                is_report(row, &callback.request)
            };
            faults.must(Rule::Callbacks, carries, || {
                let payload = String::from_utf8_lossy(&callback.payload.1).into_owned();
                format!("{} was told {payload}", row.name())
            });
        }
    }
}

/// Whether this tells how it failed.
fn is_report(row: &Row, report: &Value) -> bool {
    let request = String::from_utf8_lossy(&row.payload.1);
    report["cid"] == row.cid
        && report["service"] == row.service
        && report["outcome"] == row.outcome()
        && report["error"].as_str() == row.error.as_deref()
        && report["attempts"] == row.attempts
        && report["payload"] == *request
}
