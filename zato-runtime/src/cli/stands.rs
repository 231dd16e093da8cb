//! How an invocation that was looked up is printed: a row for people, or a value.

use serde_json::{Map, Value, json};
use zato_core::Cid;

use super::error::CliError;
use super::output::Output;
use super::store;
use super::table::{self, NOTHING};
use crate::builder::Builder;
use crate::engine::Beside;
use crate::found::{Filter, Found, Stage, Status, Waits};
use crate::registry::Registry;
use crate::standing::{Door, Teller, View};
use crate::words::{date_and_time, quoted, rfc3339, shown};

/// A store that is looked at, with what the program knows of its services.
pub(super) struct Look {
    pub(super) builder: Builder,
    pub(super) registry: Registry,
    pub(super) store: std::sync::Arc<dyn Beside>,
    /// Whether a process runs what it holds.
    pub(super) is_run: bool,
}

impl Look {
    pub(super) fn open(builder: Builder) -> Result<Self, CliError> {
        let registry = builder.registry()?;
        let store = store::beside(builder.engine_url())?;
        let is_run = store.is_run();
        Ok(Self { builder, registry, store, is_run })
    }

    pub(super) fn view(&self) -> View<'_> {
        let Self { builder, registry, store, is_run } = self;
        View { held: &**store, registry, config: builder.config(), is_run: *is_run, door: Door::CommandLine }
    }

    /// Prints what passes the filter.
    pub(super) async fn list(&self, filter: &Filter, output: Output) -> Result<(), CliError> {
        let teller = Teller::new(self.view());
        let found = self.store.list(filter).await.map_err(crate::error::Error::from)?;
        if output.json {
            for found in &found {
                Output::value(&value(found, &teller).into());
            }
            return Ok(());
        }
        let url = shown(self.builder.engine_url());
        if found.is_empty() {
            eprintln!("nothing like that is held in `{url}`");
            return Ok(());
        }
        if filter.stage == Some(Stage::Dead) {
            table::print(DEAD, found.iter().map(dead_row).collect(), &[]);
        } else {
            table::print(HEADINGS, found.iter().map(|found| row(found, &teller)).collect(), &[]);
        }
        if let Some(last) = found.last().filter(|_| found.len() == filter.limit) {
            eprintln!("older ones: `--before {}`", last.cid());
        }
        if !self.is_run && found.iter().any(|found| found.outcome().is_none()) {
            eprintln!("no process runs what `{url}` holds: `serve` does");
        }
        Ok(())
    }
}

const HEADINGS: [&str; 6] = ["CID", "SERVICE", "STATE", "CALLED", "ATTEMPTS", "STANDS"];

fn row(found: &Found, teller: &Teller<'_>) -> [String; 6] {
    [
        found.cid().to_string(),
        quoted(found.service()),
        state(found).to_owned(),
        date_and_time(found.invocation.called_at),
        found.attempts.to_string(),
        teller.stands(found),
    ]
}

const DEAD: [&str; 6] = ["CID", "SERVICE", "OUTCOME", "ENDED", "ATTEMPTS", "ERROR"];

fn dead_row(found: &Found) -> [String; 6] {
    let ended_at = match &found.status {
        Status::Ended { ended, .. } => date_and_time(ended.ended_at),
        _ => NOTHING.to_owned(),
    };
    let (outcome, error) = match found.outcome() {
        Some(outcome) => (outcome.name(), outcome.error().map_or_else(|| NOTHING.to_owned(), quoted)),
        None => (NOTHING, NOTHING.to_owned()),
    };
    let (cid, service) = (found.cid().to_string(), quoted(found.service()));
    [cid, service, outcome.to_owned(), ended_at, found.attempts.to_string(), error]
}

fn state(found: &Found) -> &'static str {
    match &found.status {
        Status::Waiting(_) => "waiting",
        Status::Running { .. } => "running",
        Status::Open(_) => "open",
        Status::Ended { .. } if found.is_dead() => "dead",
        Status::Ended { .. } => "ended",
    }
}

/// One invocation as it stands, in words and in times.
pub(super) fn value(found: &Found, teller: &Teller<'_>) -> Map<String, Value> {
    let invocation = &found.invocation;
    let mut value = Map::new();
    let mut put = |key: &str, of: Value| value.insert(key.to_owned(), of);
    let mut times = (None, None);
    put("cid", json!(invocation.cid));
    put("service", json!(&*invocation.service));
    put("state", json!(state(found)));
    put("stands", json!(teller.stands(found)));
    put("outcome", json!(found.outcome().map(zato_core::Outcome::name)));
    put("error", json!(found.outcome().and_then(zato_core::Outcome::error)));
    put("attempts", json!(found.attempts));
    let (mut next_at, mut held_by, mut again) = (None, None::<Cid>, None::<Cid>);
    match &found.status {
        Status::Waiting(Waits::Until(at)) => next_at = Some(rfc3339(*at)),
        Status::Waiting(Waits::Key { held_by: other, .. }) => held_by = Some(*other),
        Status::Running { since, .. } => times.0 = Some(rfc3339(*since)),
        Status::Ended { ended, again: by } => {
            times = (ended.started_at.map(rfc3339), Some(rfc3339(ended.ended_at)));
            again = *by;
        }
        _ => {}
    }
    put("next_at", json!(next_at));
    put("key_held_by", json!(held_by));
    put("run_again_as", json!(again));
    put("called_at", json!(rfc3339(invocation.called_at)));
    put("started_at", json!(times.0));
    put("ended_at", json!(times.1));
    put("channel", json!(invocation.channel.as_str()));
    put("caller", json!(invocation.caller.as_deref()));
    put("in_reply_to", json!(invocation.in_reply_to()));
    put("parent", json!(invocation.parent));
    put("root", json!(invocation.root));
    value
}
