//! What the attribute's keys and the fields become in the registration.

use std::time::Duration;

use zato_core::{Backoff, Context, Rate, Resources, Result, Service, Settings, service};

use crate::names::services;

services! {
    #[service(
        name = "settings.all",
        formerly = ["settings.every", "settings.each"],
        max_attempts = 5,
        max_losses = 1,
        backoff = "1s..2m",
        timeout = "1m30s",
        concurrency = 8,
        priority = -128,
        rate = "100/10s",
        callback = "zato.helpers.input-logger",
        on_failure = self::Nothing,
    )]
    All

    #[service(name = "settings.nothing")] Nothing
    #[service(name = "settings.short", formerly = "settings.brief", backoff = "500ms", rate = "7/m", priority = 127)] Short
}

#[test]
fn every_key_is_carried() {
    let settings = *All::service().erased().settings();
    assert_eq!(settings.formerly, ["settings.every", "settings.each"]);
    assert_eq!(settings.max_attempts, Some(5));
    assert_eq!(settings.max_losses, Some(1));
    let (from, to) = (Duration::from_secs(1), Duration::from_mins(2));
    assert_eq!(settings.backoff, Some(Backoff::Exponential { from, to }));
    assert_eq!(settings.timeout, Some(Duration::from_secs(90)));
    assert_eq!(settings.concurrency, Some(8));
    assert_eq!(settings.priority, Some(-128));
    assert_eq!(settings.rate, Some(Rate { starts: 100, per: Duration::from_secs(10) }));
    assert_eq!(settings.callback, Some("zato.helpers.input-logger"));
    assert_eq!(settings.on_failure, Some("settings.nothing"));
}

#[test]
fn the_short_spellings() {
    let settings = *Short::service().erased().settings();
    assert_eq!(settings.formerly, ["settings.brief"]);
    assert_eq!(settings.backoff, Some(Backoff::Fixed(Duration::from_millis(500))));
    assert_eq!(settings.rate, Some(Rate { starts: 7, per: Duration::from_mins(1) }));
    assert_eq!(settings.priority, Some(127));
}

services! {
    #[service(name = "settings.rate-month", rate = "1/30d")] Month
    #[service(name = "settings.rate-day", rate = "1/d")] Day
    #[service(name = "settings.rate-blink", rate = "2/1ms")] Blink
    #[service(name = "settings.rate-mixed", rate = "3/1h30m")] Mixed
}

#[test]
fn a_rate_is_shown_as_it_is_written() {
    let shown = [
        Month::service().erased(),
        Day::service().erased(),
        Blink::service().erased(),
        Mixed::service().erased(),
    ];
    let shown = shown.map(|service| service.settings().rate.map(|rate| rate.to_string()).unwrap_or_default());
    assert_eq!(shown, ["1/30d", "1/d", "2/1ms", "3/1h30m"]);
}

#[test]
fn what_is_not_said_is_none() {
    assert_eq!(*Nothing::service().erased().settings(), Settings::default());
}

/// Fields are resources.
#[service(name = "settings.fields")]
struct Fields {
    greeting: String,
    #[cfg(any())]
    absent: NoSuchType,
    r#type: u64,
}

impl Service for Fields {
    type Request = ();
    type Response = String;

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<String> {
        Ok(format!("{} {}", self.greeting, self.r#type))
    }
}

#[service(name = "settings.tuple")]
struct Tuple(String, u64);

impl Service for Tuple {
    type Request = ();
    type Response = String;

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<String> {
        Ok(format!("{} {}", self.0, self.1))
    }
}

#[test]
fn fields_are_needed_by_type() {
    let needs = |service: zato_core::Registration| -> Vec<String> {
        service.needs().iter().map(|need| format!("{}: {}", need.field(), need.type_name())).collect()
    };
    assert_eq!(needs(Fields::service().erased()), ["greeting: String", "type: u64"]);
    assert_eq!(needs(Tuple::service().erased()), ["0: String", "1: u64"]);

    let mut resources = Resources::default();
    resources.put("hello".to_owned());
    let missing = Fields::service().erased().build(&resources).err().map(|missing| missing.type_name);
    assert_eq!(missing, Some("u64"));
    resources.put(7_u64);
    assert!(Fields::service().erased().build(&resources).is_ok());
    assert!(Tuple::service().erased().build(&resources).is_ok());
}

/// The attribute reads durations by the code by which `zato-core` reads them. Where symbolic links are checked out as files,
/// the two may not differ.
#[test]
fn durations_have_one_grammar() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a source file");
    assert!(read("zato-core/src/duration.rs").contains("pub(crate) fn duration("));
    assert_eq!(read("zato-core/src/duration.rs"), read("zato-macros/src/duration.rs"));
}
