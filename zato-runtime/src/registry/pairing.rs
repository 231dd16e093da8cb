//! Callbacks by convention: found by the caller's name, by the types' names, or by its attribute.

use std::collections::HashMap;

use zato_core::{Origin, Registration};

use super::faults::Fault;

/// One of the two conventions: for responses, or for failures.
pub(super) struct Convention {
    role: &'static str,
    key: &'static str,
    suffix: &'static str,
    from_attribute: fn(&Registration) -> Option<&'static str>,
    from_types: fn(&Registration) -> Option<&'static str>,
}

pub(super) const CALLBACK: Convention = Convention {
    role: "callback",
    key: "callback",
    suffix: "-async-callback",
    from_attribute: |registration| registration.settings().callback,
    from_types: Registration::callback_of,
};

pub(super) const ON_FAILURE: Convention = Convention {
    role: "failure callback",
    key: "on_failure",
    suffix: "-async-failure",
    from_attribute: |registration| registration.settings().on_failure,
    from_types: Registration::failure_of,
};

/// Callers and their callbacks, with their origins and the reason.
type Pairs = HashMap<&'static str, Callback>;

type Callback = (&'static str, Origin, &'static str);

impl Convention {
    /// The callback of every caller that has one.
    pub(super) fn pairs<'a>(
        &self,
        services: impl Iterator<Item = &'a Registration> + Clone,
        is_known: impl Fn(&str) -> bool,
        nearest: impl Fn(&str) -> Option<&'static str>,
        faults: &mut Vec<Fault>,
    ) -> HashMap<&'static str, &'static str> {
        let mut pairs = Pairs::new();
        for service in services {
            if let Some(caller) = service.name().strip_suffix(self.suffix).filter(|caller| is_known(caller)) {
                // The caller's name is a part of the callback's, so it lives as long.
                self.pair(&mut pairs, caller, (service.name(), service.origin(), "by its name"), faults);
            }
            if let Some(caller) = (self.from_types)(service) {
                self.pair(
                    &mut pairs,
                    caller,
                    (service.name(), service.origin(), "by its type's name"),
                    faults,
                );
            }
            let Some(callback) = (self.from_attribute)(service) else { continue };
            if is_known(callback) {
                self.pair(
                    &mut pairs,
                    service.name(),
                    (callback, service.origin(), "by the key of this attribute"),
                    faults,
                );
            } else {
                faults.push(Fault::NoSuchCallback {
                    key: self.key,
                    service: service.name(),
                    origin: service.origin(),
                    name: callback,
                    nearest: nearest(callback),
                });
            }
        }
        pairs.into_iter().map(|(caller, (callback, ..))| (caller, callback)).collect()
    }

    fn pair(&self, pairs: &mut Pairs, caller: &'static str, callback: Callback, faults: &mut Vec<Fault>) {
        let first = *pairs.entry(caller).or_insert(callback);
        if first.0 != callback.0 {
            faults.push(Fault::TwoCallbacks { role: self.role, caller, first, second: callback });
        }
    }
}
