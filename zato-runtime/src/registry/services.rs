//! The services of a runtime, by name, with their handlers and their callbacks by convention.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use zato_core::{Handler, Registration, Resources, ServiceName, UnknownService};

use super::faults::{Fault, Faults};
use super::nearest::nearest;
use super::pairing::{CALLBACK, ON_FAILURE};

/// A service that can be run.
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: ServiceName,
    /// Who receives responses to its asynchronous calls, by convention.
    pub(crate) callback: Option<ServiceName>,
    /// Who is told of failures of its asynchronous calls, by convention.
    pub(crate) on_failure: Option<ServiceName>,
    /// What the macro wrote.
    pub(crate) registration: Registration,
    /// Whether it came with the runtime.
    pub(crate) is_built_in: bool,
    /// Its number among all.
    pub(crate) number: u32,
}

/// Every service of a runtime.
pub(crate) struct Registry {
    by_name: HashMap<&'static str, Arc<Entry>, foldhash::fast::RandomState>,
    /// The same by the names that services had before.
    by_former_name: HashMap<&'static str, Arc<Entry>, foldhash::fast::RandomState>,
    /// The same by where the name stands, which is told without reading it.
    by_place: HashMap<(usize, usize), Arc<Entry>, foldhash::fast::RandomState>,
    /// The services themselves, in the same order; empty while a resource is promised.
    handlers: Arc<[Handler]>,
    /// Whether the user named the services that are to run, so that others may be linked.
    is_chosen: bool,
}

/// The most names that an error lists: all that are linked, or none where there are more.
const LISTED: usize = 12;

/// The most names that an error suggests.
const SUGGESTED: usize = 3;

impl Registry {
    /// Checks the user's services and the built-in ones, and makes them with their resources.
    ///
    /// # Errors
    ///
    /// [`Faults`]: all that is wrong, at once. `must_have_users` makes it one that there is no service of the
    /// user's.
    pub(crate) fn check(
        users: &[Registration],
        built_in: &[Registration],
        resources: &Resources,
        must_have_users: bool,
    ) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        if users.is_empty() && must_have_users {
            faults.push(Fault::NothingLinked);
        }
        let all = || built_in.iter().chain(users);
        let known = unique(all(), &mut faults);
        let is_known = |name: &str| known.contains_key(name);
        let nearest = |name: &str| nearest(name, known.keys().copied(), 1).pop();
        let callbacks = CALLBACK.pairs(all(), is_known, nearest, &mut faults);
        let failure_callbacks = ON_FAILURE.pairs(all(), is_known, nearest, &mut faults);
        check_former_names(&known, &mut faults);
        check_needs(all(), resources, &mut faults);
        if !faults.is_empty() {
            faults.sort_by_cached_key(ToString::to_string);
            return Err(Faults(faults));
        }
        let mut by_name =
            HashMap::with_capacity_and_hasher(known.len(), foldhash::fast::RandomState::default());
        let mut by_former_name = HashMap::default();
        let mut by_place = HashMap::default();
        let mut handlers = Vec::with_capacity(known.len());
        for (index, registration) in all().enumerate() {
            let name = registration.name();
            // A registry that is only read needs no handlers, and cannot have them while resources are promised.
            if !resources.has_promises() {
                handlers.push(registration.build(resources).map_err(|missing| {
                    Faults(vec![Fault::MissingResource {
                        type_name: missing.type_name.to_owned(),
                        wanted_by: vec![(name, registration.origin(), "a field")],
                    }])
                })?);
            }
            let entry = Entry {
                name: ServiceName::linked(name),
                callback: callbacks.get(name).copied().map(ServiceName::linked),
                on_failure: failure_callbacks.get(name).copied().map(ServiceName::linked),
                registration: *registration,
                is_built_in: index < built_in.len(),
                number: u32::try_from(index).unwrap_or(u32::MAX),
            };
            let entry = Arc::new(entry);
            by_place.insert(entry.name.place(), entry.clone());
            let former = registration.settings().formerly;
            by_former_name.extend(former.iter().map(|former| (*former, entry.clone())));
            by_name.insert(name, entry);
        }
        Ok(Self { by_name, by_former_name, by_place, handlers: handlers.into(), is_chosen: !must_have_users })
    }

    /// The service that has this name, or had it before.
    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).or_else(|| self.by_former_name.get(name)).map(|entry| &**entry)
    }

    /// The same for a name that has been looked up before, as all do that are on their way.
    pub(crate) fn of(&self, name: &ServiceName) -> Option<&Entry> {
        self.by_place.get(&name.place()).map(|entry| &**entry).or_else(|| self.get(name))
    }

    /// The services themselves, in the order of their numbers.
    pub(crate) fn handlers(&self) -> Arc<[Handler]> {
        self.handlers.clone()
    }

    /// All services, in the order of their names.
    pub(crate) fn sorted(&self) -> Vec<&Entry> {
        let mut all: Vec<_> = self.by_name.values().map(|entry| &**entry).collect();
        all.sort_unstable_by_key(|entry| entry.name.as_str());
        all
    }

    /// The error for a name that no service has, which was asked for as `role`.
    pub(crate) fn unknown(&self, role: &'static str, name: &str) -> UnknownService {
        let users: Vec<_> = self.sorted().into_iter().filter(|entry| !entry.is_built_in).collect();
        let listed = if users.len() > LISTED { &[] } else { &users[..] };
        let listed = listed.iter().map(|entry| entry.name.to_string()).collect();
        let nearest = nearest(name, self.by_name.keys().copied(), SUGGESTED);
        UnknownService::new(role, name, &nearest, listed, users.len())
            .left_out(self.is_chosen && Registration::linked().any(|linked| linked.name() == name))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({} services)", self.by_name.len())
    }
}

type Known<'a> = HashMap<&'static str, &'a Registration, foldhash::fast::RandomState>;

fn unique<'a>(all: impl Iterator<Item = &'a Registration>, faults: &mut Vec<Fault>) -> Known<'a> {
    let mut known = Known::default();
    for registration in all {
        if let Some(first) = known.insert(registration.name(), registration) {
            let (first, second) = (first.origin(), registration.origin());
            // Link order differs from build to build, the message does not.
            let (first, second) = if (first.module(), first.line()) <= (second.module(), second.line()) {
                (first, second)
            } else {
                (second, first)
            };
            faults.push(Fault::Duplicate { name: registration.name(), first, second });
        }
    }
    known
}

fn check_former_names(known: &Known<'_>, faults: &mut Vec<Fault>) {
    let mut former: HashMap<&str, &'static str> = HashMap::new();
    let mut all: Vec<_> = known.values().collect();
    // The same one is blamed at every start.
    all.sort_unstable_by_key(|registration| registration.name());
    for registration in all {
        for &name in registration.settings().formerly {
            let owner = known.get(name).map(|owner| owner.name());
            if let Some(owner) = owner.or_else(|| former.insert(name, registration.name())) {
                faults.push(Fault::FormerNameTaken { name, service: registration.name(), owner });
            }
        }
    }
}

fn check_needs<'a>(
    all: impl Iterator<Item = &'a Registration>,
    resources: &Resources,
    faults: &mut Vec<Fault>,
) {
    let mut missing = BTreeMap::<String, Vec<_>>::new();
    for registration in all {
        for need in registration.needs().iter().filter(|need| !resources.has(need)) {
            let wants = (registration.name(), registration.origin(), need.field());
            missing.entry(need.type_name()).or_default().push(wants);
        }
    }
    let doubled =
        resources.doubled().map(|type_name| Fault::DoubledResource { type_name: type_name.to_owned() });
    faults.extend(doubled);
    for (type_name, mut wanted_by) in missing {
        wanted_by.sort_unstable_by_key(|(service, _, field)| (*service, *field));
        faults.push(Fault::MissingResource { type_name, wanted_by });
    }
}
