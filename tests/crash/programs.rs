//! The programs that take turns on one store. Each hosts a part of the services; the store parks what it does not host.

use serde::{Deserialize, Serialize};
use zato_core::Registration;

use crate::script::{LAST, LINE, POISON, RANKED, REPLY, REPORT, STEP, STURDY, WORKERS};
use crate::services;

/// Hosted by [`Program::Front`] alone. A caller and its callbacks by convention belong to one program.
const FRONT: [&str; 6] =
    [WORKERS[0], "crash.work-async-callback", "crash.work-async-failure", REPLY, STEP, POISON];

/// Hosted by [`Program::Back`] alone.
const BACK: [&str; 5] = [WORKERS[1], WORKERS[2], REPORT, LAST, STURDY];

/// Hosted by both.
const SHARED: [&str; 2] = [LINE, RANKED];

/// A program that runs on the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Program {
    /// Hosts all services.
    Whole,
    Front,
    Back,
}

impl Program {
    /// Returns the services that it hosts.
    pub(crate) fn services(self) -> Vec<Registration> {
        let own: &[&str] = match self {
            Self::Whole => return services::all().into(),
            Self::Front => &FRONT,
            Self::Back => &BACK,
        };
        let hosts =
            |service: &Registration| own.contains(&service.name()) || SHARED.contains(&service.name());
        services::all().into_iter().filter(hosts).collect()
    }
}

#[test]
fn the_two_programs_together_host_all_services() {
    let names = |program: Program| program.services().into_iter().map(|service| service.name());
    let all: Vec<_> = names(Program::Whole).collect();
    let of_two: Vec<_> = names(Program::Front).chain(names(Program::Back)).collect();
    assert!(all.iter().all(|name| of_two.contains(name)), "{all:?} and {of_two:?}");
    assert_eq!(all.len() + SHARED.len(), of_two.len());
}
