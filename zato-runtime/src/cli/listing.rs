//! An invocation that was looked up, as a row of a table or as a JSON value.

use serde_json::{Map, Value, json};
use zato_core::Cid;

use super::error::CliError;
use super::output::Output;
use super::store;
use super::table;
use super::table::{Cell, Column, NOTHING};
use super::terminal::{Tone, say};
use crate::base::format::{Zone, elapsed, escaped, one_line, rfc3339};
use crate::engine::ReadOnlyStore;
use crate::inspect::status::{Audience, Source, StatusWriter, attempts};
use crate::record::lookup::{Filter, InvocationInfo, Status, StatusFilter, WaitReason};
use crate::registry::Registry;
use crate::runtime::builder::Builder;

/// A store that is looked at, with what the program knows of its services.
pub(super) struct StoreView {
    pub(super) builder: Builder,
    pub(super) registry: Registry,
    pub(super) store: std::sync::Arc<dyn ReadOnlyStore>,
    /// Whether a process runs what it holds.
    pub(super) is_run: bool,
    zone: Zone,
}

impl StoreView {
    pub(super) fn open(builder: Builder, output: Output) -> Result<Self, CliError> {
        let registry = builder.registry()?;
        let store = store::beside(builder.engine_url())?;
        let is_run = store.is_run();
        Ok(Self { builder, registry, store, is_run, zone: output.zone })
    }

    pub(super) fn view(&self) -> Source<'_> {
        let Self { builder, registry, store, is_run, zone } = self;
        let config = builder.config();
        Source { held: &**store, registry, config, is_run: *is_run, door: Audience::CommandLine, zone: *zone }
    }

    /// Prints what passes the filter.
    pub(super) async fn list(&self, mut filter: Filter, output: Output) -> Result<(), CliError> {
        if let Some(name) = &mut filter.service
            && let Some(entry) = self.registry.get(name)
        {
            entry.name.as_str().clone_into(name);
            filter.formerly = entry.registration.settings().formerly;
        }
        let teller = StatusWriter::new(self.view());
        let found = self.store.list(&filter).await.map_err(crate::runtime::error::Error::from)?;
        if output.json {
            for found in &found {
                Output::value(&value(found, &teller).into());
            }
            return Ok(());
        }
        let url = escaped(self.builder.engine_url());
        if found.is_empty() {
            say(&format!("no such invocations in `{url}`"));
            say_if_unknown(&self.registry, filter.service.as_deref());
            return Ok(());
        }
        if filter.stage == Some(StatusFilter::Dead) {
            let rows: Vec<_> = found.iter().map(|found| dead_row(found, &teller)).collect();
            table::print(DEAD, &rows);
        } else {
            let rows: Vec<_> = found.iter().map(|found| row(found, &teller)).collect();
            table::print(COLUMNS, &rows);
        }
        if let Some(last) = found.last().filter(|_| found.len() == filter.limit) {
            say(&format!("older ones: `--before {}`", last.cid()));
        }
        if !self.is_run && found.iter().any(|found| found.outcome().is_none()) {
            say(&format!("no process runs what `{url}` holds: `serve` does"));
        }
        Ok(())
    }
}

/// Says that no service has this name, where nothing was found for it.
pub(super) fn say_if_unknown(registry: &Registry, service: Option<&str>) {
    if let Some(name) = service.filter(|name| registry.get(name).is_none()) {
        say(&registry.unknown("service", name).to_string());
    }
}

const COLUMNS: [Column; 6] = [
    Column::whole("CID"),
    Column::whole("STATE"),
    Column::at_least("SERVICE", 14),
    Column::whole("CALLED"),
    Column::whole("ATTEMPTS"),
    Column::at_least("DETAIL", 14),
];

fn row(found: &InvocationInfo, teller: &StatusWriter<'_>) -> [Cell; 6] {
    let detail = match &found.status {
        // The state is the outcome.
        Status::Ended { ended, .. } => match ended.outcome.error() {
            Some(error) => one_line(error),
            None => format!("in {}", elapsed(found.invocation.called_at.into(), ended.ended_at.into())),
        },
        _ => teller.stands(found),
    };
    let (name, tone) = match found.outcome() {
        Some(outcome) if outcome.is_completed() => (outcome.name(), Tone::Good),
        Some(outcome) => (outcome.name(), Tone::Bad),
        None => (state(found), Tone::Active),
    };
    [
        cid(found),
        Cell::new(name).toned(tone),
        Cell::new(one_line(found.service())),
        time(found.invocation.called_at, teller),
        Cell::new(attempts(found, "")),
        Cell::new(detail),
    ]
}

const DEAD: [Column; 6] = [
    Column::whole("CID"),
    Column::whole("OUTCOME"),
    Column::at_least("SERVICE", 14),
    Column::whole("ENDED"),
    Column::whole("ATTEMPTS"),
    Column::at_least("ERROR", 14),
];

fn dead_row(found: &InvocationInfo, teller: &StatusWriter<'_>) -> [Cell; 6] {
    let ended_at = match &found.status {
        Status::Ended { ended, .. } => time(ended.ended_at, teller),
        _ => Cell::new(NOTHING),
    };
    let (outcome, error) = match found.outcome() {
        Some(outcome) => (outcome.name(), outcome.error().map_or_else(|| NOTHING.to_owned(), one_line)),
        None => (NOTHING, NOTHING.to_owned()),
    };
    [
        cid(found),
        Cell::new(outcome).toned(Tone::Bad),
        Cell::new(one_line(found.service())),
        ended_at,
        Cell::new(attempts(found, "")),
        Cell::new(error),
    ]
}

/// The last characters of a CID that a narrow table shows: its last group, which is random.
const CID_END: usize = 12;

fn cid(found: &InvocationInfo) -> Cell {
    let cid = found.cid().to_string();
    let end = cid[cid.len() - CID_END..].to_owned();
    Cell::new(cid).or_short(end)
}

fn time(time: zato_core::Moment, teller: &StatusWriter<'_>) -> Cell {
    let zone = teller.zone();
    Cell::new(zone.date_and_time(time)).or_short(zone.briefly(time, teller.now))
}

fn state(found: &InvocationInfo) -> &'static str {
    match &found.status {
        Status::Waiting(_) => "waiting",
        Status::Running { .. } => "running",
        Status::Open(_) => "open",
        Status::Ended { .. } if found.is_dead() => "dead",
        Status::Ended { .. } => "ended",
    }
}

/// The status of one invocation as a value.
pub(super) fn value(found: &InvocationInfo, teller: &StatusWriter<'_>) -> Map<String, Value> {
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
    put("code", json!(found.outcome().and_then(zato_core::Outcome::code)));
    put("attempts", json!(found.attempts));
    put("interrupted_attempts", json!(found.interrupted_attempts()));
    let (mut next_at, mut held_by, mut again) = (None, None::<Cid>, None::<Cid>);
    match &found.status {
        Status::Waiting(WaitReason::Until(at)) => next_at = Some(rfc3339(*at)),
        Status::Waiting(WaitReason::Key { held_by: other, .. }) => held_by = Some(*other),
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
    put("labels", json!(invocation.labels));
    value
}
