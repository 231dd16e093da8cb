//! `services`: what is linked, as a table or as JSON.

use serde_json::{Value, json};
use zato_core::Settings;
use zato_core::spi::show_duration;

use super::output::Output;
use super::table::{self, Cell, Column, NOTHING};
use crate::registry::{Entry, Registry};

/// Few services have a failure callback by convention, and lines are long as it is.
const COLUMNS: [Column; 7] = [
    Column::at_least("NAME", 20),
    Column::at_least("REQUEST", 8),
    Column::at_least("RESPONSE", 8),
    Column::at_least("CALLBACK OF ITS CALLS", 10),
    Column::at_least("ON THEIR FAILURE", 10).optional(),
    Column::at_least("ATTRIBUTES", 10),
    Column::at_least("MODULE", 6),
];

pub(super) fn services(registry: &Registry, output: Output) {
    let entries = registry.sorted();
    if output.json {
        for entry in entries {
            Output::value(&value(entry));
        }
        return;
    }
    let rows: Vec<_> = entries.into_iter().map(|entry| row(entry).map(Cell::new)).collect();
    table::print(COLUMNS, &rows);
}

fn row(entry: &Entry) -> [String; 7] {
    let or_dash = |name: &Option<_>| name.as_ref().map_or_else(|| NOTHING.to_owned(), ToString::to_string);
    let attributes: Vec<_> = attributes(entry.registration.settings())
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    [
        entry.name.to_string(),
        entry.registration.request_type(),
        entry.registration.response_type(),
        or_dash(&entry.callback),
        or_dash(&entry.on_failure),
        if attributes.is_empty() { NOTHING.to_owned() } else { attributes.join(" ") },
        if entry.is_built_in {
            "(built in)".to_owned()
        } else {
            entry.registration.origin().module().to_owned()
        },
    ]
}

fn value(entry: &Entry) -> Value {
    let attributes: serde_json::Map<_, _> = attributes(entry.registration.settings())
        .into_iter()
        .map(|(key, value)| (key.to_owned(), Value::String(value)))
        .collect();
    let origin = entry.registration.origin();
    json!({
        "name": entry.name.as_str(),
        "request": entry.registration.request_type(),
        "response": entry.registration.response_type(),
        "callback": entry.callback.as_deref(),
        "on_failure": entry.on_failure.as_deref(),
        "attributes": attributes,
        "module": origin.module(),
        "file": origin.file(),
        "line": origin.line(),
    })
}

/// What the attribute says beside name and callbacks, as it is written there.
fn attributes(settings: &Settings) -> Vec<(&'static str, String)> {
    let number = |value: Option<u32>| value.map(|value| value.to_string());
    let formerly = (!settings.formerly.is_empty()).then(|| settings.formerly.join(","));
    [
        ("formerly", formerly),
        ("max_attempts", number(settings.max_attempts)),
        ("max_losses", number(settings.max_losses)),
        ("backoff", settings.backoff.map(|backoff| backoff.to_string())),
        ("timeout", settings.timeout.map(show_duration)),
        ("concurrency", number(settings.concurrency)),
        ("priority", settings.priority.map(|priority| priority.to_string())),
        ("rate", settings.rate.map(|rate| rate.to_string())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A month has no exact length, so no duration is shown or read as one.
    #[test]
    fn durations_are_shown_as_the_attribute_reads_them() {
        let month = Duration::from_hours(30 * 24);
        let settings = Settings::new().timeout(month).rate(5, month);
        assert_eq!(attributes(&settings), [("timeout", "30d".to_owned()), ("rate", "5/30d".to_owned())]);
        let settings =
            Settings::new().timeout(Duration::from_millis(90_500)).rate(1, Duration::from_hours(24));
        assert_eq!(attributes(&settings), [("timeout", "1m30s500ms".to_owned()), ("rate", "1/d".to_owned())]);
        for text in ["30d", "1m30s500ms"] {
            assert!(zato_core::IntoDuration::into_duration(text).is_ok(), "{text}");
        }
    }
}
