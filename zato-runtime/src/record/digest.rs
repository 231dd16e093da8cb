//! What makes two calls equal, in 128 bits.
//!
//! A digest is made of named fields in a fixed order, each with its number and its length in a fixed width; a field that a
//! call does not have is left out, so a field that is added changes no digest of a call without it. JSON is compared as a
//! document (`document.rs`). A digest that an engine keeps on disk is the first half of SHA-256, and [`VERSION`] is kept
//! with it; one that does not leave the process is made by the standard library's hasher, which is faster.

use zato_core::{Backoff, Invocation, Kind, Payload, ServiceName};

use super::hash::{Algorithm, Sum};
use super::{Key, document};

/// The version of what digests on disk are made of. Version 1 was the standard library's hasher over values in memory.
pub const VERSION: u32 = 2;

impl Algorithm {
    /// What makes two calls of one handler equal: caller, target, payload, callbacks and options but for times, which
    /// differ from attempt to attempt where the call said how long.
    pub(crate) fn call(self, invocation: &Invocation) -> u128 {
        self.sum(|sum| write_call(sum, invocation))
    }

    /// What makes two groups of calls equal: their members, in order.
    pub(crate) fn members<'i>(self, members: impl Iterator<Item = &'i Invocation>) -> u128 {
        self.joined(members.map(|member| self.call(member)))
    }

    /// The same of the digests of the members.
    pub(crate) fn joined(self, members: impl Iterator<Item = u128>) -> u128 {
        self.sum(|sum| members.for_each(|member| sum.write(&member.to_be_bytes())))
    }

    /// The idempotency key of a call, and what must be the same under the same key: payload and callbacks.
    pub(crate) fn key(self, invocation: &Invocation) -> Option<Key> {
        let name = invocation.options.as_ref()?.idempotency_key.clone()?;
        Some(Key { name, digest: self.content(invocation) })
    }

    /// What must be the same under the same key.
    pub(crate) fn content(self, invocation: &Invocation) -> u128 {
        self.sum(|sum| write_content(sum, invocation))
    }

    fn sum(self, write: impl FnOnce(&mut dyn Sum)) -> u128 {
        let mut sum = self.begin();
        write(&mut *sum);
        sum.finish()
    }
}

/// What a group that may be compared is called with: how many members it has, and their digest.
pub(crate) fn described(count: usize, members: u128) -> Payload {
    Payload::text(format!("{count} members, {members:032x}"))
}

/// Whether a group is described so; version 1 wrote digests of half as many digits.
#[cfg(feature = "sqlite")]
pub(crate) fn is_described(group: &Invocation) -> bool {
    let text = group.payload.as_str().and_then(|text| text.split_once(" members, "));
    text.is_none_or(|(_, digest)| digest.len() == 32)
}

/// What makes two calls of one handler equal, as an engine keeps it on disk.
pub fn digest(invocation: &Invocation) -> u128 {
    Algorithm::Named.call(invocation)
}

/// The fields, by the numbers that stand before them. A number is never used again for anything else.
mod field {
    pub(super) const CALLER: u8 = 1;
    pub(super) const SERVICE: u8 = 2;
    pub(super) const CHANNEL: u8 = 3;
    pub(super) const PAYLOAD: u8 = 4;
    pub(super) const CALLBACK: u8 = 5;
    pub(super) const ON_FAILURE: u8 = 6;
    pub(super) const TIMEOUT: u8 = 7;
    pub(super) const MAX_ATTEMPTS: u8 = 8;
    pub(super) const BACKOFF: u8 = 9;
    pub(super) const MAX_LOSSES: u8 = 10;
    pub(super) const PRIORITY: u8 = 11;
    pub(super) const IDEMPOTENCY_KEY: u8 = 12;
    pub(super) const CONCURRENCY_KEY: u8 = 13;
    pub(super) const STEP: u8 = 14;
    pub(super) const AGAIN_OF: u8 = 15;
    pub(super) const LABEL_NAME: u8 = 16;
    pub(super) const LABEL_VALUE: u8 = 17;
}

/// A field: its number, its length in 64 bits, its bytes.
fn put(sum: &mut dyn Sum, field: u8, bytes: &[u8]) {
    let mut head = [field; 9];
    head[1..].copy_from_slice(&(bytes.len() as u64).to_be_bytes());
    sum.write(&head);
    sum.write(bytes);
}

fn put_names(sum: &mut dyn Sum, field: u8, names: &[ServiceName]) {
    for name in names {
        put(sum, field, name.as_bytes());
    }
}

fn write_call(sum: &mut dyn Sum, invocation: &Invocation) {
    if let Some(caller) = &invocation.caller {
        put(sum, field::CALLER, caller.as_bytes());
    }
    put(sum, field::SERVICE, invocation.service.as_bytes());
    put(sum, field::CHANNEL, invocation.channel.as_str().as_bytes());
    write_content(sum, invocation);
    if let Some(options) = invocation.options.as_deref() {
        if let Some(timeout) = options.timeout {
            put(sum, field::TIMEOUT, &timeout.as_nanos().to_be_bytes());
        }
        if let Some(attempts) = options.max_attempts {
            put(sum, field::MAX_ATTEMPTS, &attempts.to_be_bytes());
        }
        match options.backoff {
            None => {}
            Some(Backoff::Fixed(wait)) => put(sum, field::BACKOFF, &wait.as_nanos().to_be_bytes()),
            Some(Backoff::Exponential { from, to }) => {
                put(sum, field::BACKOFF, &[from, to].map(|wait| wait.as_nanos().to_be_bytes()).concat());
            }
        }
        if let Some(losses) = options.max_losses {
            put(sum, field::MAX_LOSSES, &losses.to_be_bytes());
        }
        if let Some(priority) = options.priority {
            put(sum, field::PRIORITY, &priority.to_be_bytes());
        }
        if let Some(key) = &options.idempotency_key {
            put(sum, field::IDEMPOTENCY_KEY, key.as_bytes());
        }
        if let Some(key) = &options.concurrency_key {
            put(sum, field::CONCURRENCY_KEY, key.as_bytes());
        }
        put_names(sum, field::STEP, &options.steps);
        if let Some(first) = options.again_of {
            put(sum, field::AGAIN_OF, first.as_uuid().as_bytes());
        }
    }
    for (name, value) in &invocation.labels {
        put(sum, field::LABEL_NAME, name.as_bytes());
        put(sum, field::LABEL_VALUE, value.as_bytes());
    }
}

fn write_content(sum: &mut dyn Sum, invocation: &Invocation) {
    write_payload(sum, &invocation.payload);
    put_names(sum, field::CALLBACK, &invocation.callbacks);
    put_names(sum, field::ON_FAILURE, &invocation.on_failure);
}

/// A payload: its kind, whether it is compared as a document, and its bytes or those of the document.
fn write_payload(sum: &mut dyn Sum, payload: &Payload) {
    let kind = match payload.kind() {
        Kind::Empty => 0,
        Kind::Text => 1,
        Kind::Json => 2,
        Kind::Bytes => 3,
    };
    let document = match payload.kind() {
        Kind::Json => document::canonical(payload.as_bytes(), &|| sum.another()),
        _ => None,
    };
    sum.write(&[field::PAYLOAD, kind, u8::from(document.is_some())]);
    let bytes = document.as_deref().unwrap_or(payload.as_bytes());
    sum.write(&(bytes.len() as u64).to_be_bytes());
    sum.write(bytes);
}

#[cfg(feature = "sqlite")]
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use zato_core::{Channel, Cid, Labels, Names, Options};

    use super::*;

    fn cid() -> Cid {
        "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("it is a CID")
    }

    fn plain(payload: Payload) -> Invocation {
        Invocation::root(cid(), ServiceName::linked("orders.charge"), payload, Channel::InvokeAsync)
    }

    fn json(text: &str) -> Payload {
        Payload::json_document(text.to_owned())
    }

    fn full() -> Invocation {
        let mut invocation = plain(json(r#"{"amount":7.50,"to":["a","b"]}"#));
        invocation.caller = Some(ServiceName::linked("orders.place"));
        invocation.callbacks =
            ["orders.charged", "orders.seen"].map(ServiceName::linked).into_iter().collect();
        invocation.on_failure = Names::from_iter([ServiceName::linked("orders.refused")]);
        invocation.labels =
            [("customer", "42"), ("region", "eu")].map(|(n, v)| (n.into(), v.into())).into_iter().collect();
        let mut options = Options::default();
        options.timeout = Some(Duration::from_secs(30));
        options.max_attempts = Some(5);
        options.backoff =
            Some(Backoff::Exponential { from: Duration::from_secs(1), to: Duration::from_mins(2) });
        options.max_losses = Some(2);
        options.priority = Some(-3);
        options.idempotency_key = Some("order-7".into());
        options.concurrency_key = Some("customer-42".into());
        options.steps = Box::new([ServiceName::linked("orders.ship")]);
        options.again_of = Some(cid());
        invocation.options = Some(Box::new(options));
        invocation
    }

    /// These stand in files: a change of any is a new [`VERSION`].
    #[test]
    fn digests_on_disk_are_what_they_were() {
        let hex = |digest: u128| format!("{digest:032x}");
        let of = |payload| hex(digest(&plain(payload)));
        assert_eq!(VERSION, 2);
        assert_eq!(of(Payload::empty()), "7109f1c600476035cfa52e9e65745867");
        assert_eq!(of(Payload::text("ready")), "cb040df37dc4438f7fec73dbfc0d6882");
        assert_eq!(of(Payload::bytes(vec![0xff, 0])), "f36b50124a0b0ca2381b19fe3ee8cf1f");
        assert_eq!(of(json(r#"{"b":[1,2.0,"x"],"a":null}"#)), "053b40ce9de8aa9936cd220e31e69506");
        assert_eq!(hex(digest(&full())), "35e2e701bf125ed7d9a2f501cfa51503");
        assert_eq!(hex(Algorithm::Named.content(&full())), "da102e26e7aa5cae23b8be515955e4a9");
        let members = [plain(Payload::text("a")), full()];
        assert_eq!(hex(Algorithm::Named.members(members.iter())), "6088299d9f8328f30948b718f1e2fa24");
        assert_eq!(hex(Algorithm::Named.members(std::iter::empty())), "e3b0c44298fc1c149afbf4c8996fb924");
    }

    /// Whatever a call asks for makes it another, but for times; an option that is added must be added here too.
    #[test]
    fn every_field_makes_another_call() {
        type Change = (&'static str, fn(&mut Invocation));
        fn options(invocation: &mut Invocation) -> &mut Options {
            invocation.options.get_or_insert_default()
        }
        let changes: [Change; 18] = [
            ("caller", |one| one.caller = None),
            ("service", |one| one.service = ServiceName::linked("orders.other")),
            ("channel", |one| one.channel = Channel::FanOut),
            ("payload", |one| one.payload = Payload::text("x")),
            ("kind", |one| one.payload = Payload::text(r#"{"amount":7.50,"to":["a","b"]}"#)),
            ("callbacks", |one| one.callbacks.reverse()),
            ("on_failure", |one| one.on_failure.clear()),
            ("labels", |one| one.labels = Labels::default()),
            ("timeout", |one| options(one).timeout = None),
            ("max_attempts", |one| options(one).max_attempts = Some(6)),
            ("backoff", |one| options(one).backoff = Some(Backoff::Fixed(Duration::from_secs(1)))),
            ("max_losses", |one| options(one).max_losses = None),
            ("priority", |one| options(one).priority = Some(3)),
            ("idempotency_key", |one| options(one).idempotency_key = None),
            ("concurrency_key", |one| options(one).concurrency_key = Some("order-7".into())),
            ("steps", |one| options(one).steps = Box::default()),
            ("again_of", |one| options(one).again_of = None),
            ("moved", |one| one.on_failure = std::mem::take(&mut one.callbacks)),
        ];
        for algorithm in [Algorithm::Named, Algorithm::InProcess] {
            let mut seen = vec![("none", algorithm.call(&full()))];
            for (name, change) in changes {
                let mut other = full();
                change(&mut other);
                let digest = algorithm.call(&other);
                let same = seen.iter().find(|(_, seen)| *seen == digest);
                assert!(same.is_none(), "{name} is {same:?}");
                seen.push((name, digest));
            }
            let mut later = full();
            later.due = Some(later.called_at);
            later.deadline = Some(later.called_at);
            options(&mut later).expires = Some(zato_core::When::In(Duration::from_secs(1)));
            assert_eq!(algorithm.call(&later), algorithm.call(&full()), "times");
        }
        // 12 options, of which three are times.
        let shown = format!("{:#?}", Options::default());
        let fields = shown.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     "));
        assert_eq!(fields.count(), 9 + 3, "{shown}");
    }

    #[test]
    fn options_that_ask_for_nothing_are_none() {
        let mut asks = plain(Payload::empty());
        asks.options = Some(Box::default());
        assert_eq!(digest(&asks), digest(&plain(Payload::empty())));
    }

    proptest! {
        #[test]
        fn a_map_is_the_same_in_every_order(map in prop::collection::hash_map(any::<String>(), any::<i64>(), 0..20)) {
            // Another map of the same members stands in another order.
            let again: std::collections::HashMap<_, _> = map.clone().into_iter().collect();
            let of = |map: &std::collections::HashMap<String, i64>| {
                let payload = Payload::write(map).expect("it is JSON");
                let call = plain(payload);
                [Algorithm::Named, Algorithm::InProcess].map(|algorithm| algorithm.content(&call))
            };
            prop_assert_eq!(of(&map), of(&again));
        }
    }
}
