//! How one invocation stands, in words: why it is not running, what its attempts brought, what can be done.

use std::collections::HashMap;
use std::time::SystemTime;

use zato_core::{Channel, Cid};

use crate::config::Config;
use crate::engine::{LookUps, StoreFault};
use crate::found::{Filter, Found, Stage, Status, Waits};
use crate::limits::max_attempts;
use crate::record::Tried;
use crate::registry::Registry;
use crate::shared::Shared;
use crate::words::{between, count, grouped, length, quoted, time_of_day};

/// How many of those that use up a service's places are named.
const MAX_NAMED: usize = 3;

/// What somebody looks at, and knows beside it: in the process that runs it, or in another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) held: &'a dyn LookUps,
    pub(crate) registry: &'a Registry,
    pub(crate) config: &'a Config,
    /// Whether a process runs what is held.
    pub(crate) is_run: bool,
    pub(crate) door: Door,
}

/// Where somebody looks from, and so what there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// A program, which has a [`Runtime`](crate::Runtime).
    Program,
    /// The command line.
    #[cfg(feature = "cli")]
    CommandLine,
}

impl View<'_> {
    /// Where an invocation stands; `None` if it is not held.
    pub(crate) async fn find(&self, cid: Cid) -> Result<Option<Found>, StoreFault> {
        Ok(self.held.find([cid].into_iter().collect()).await?.pop().flatten())
    }
}

impl Shared {
    /// What this bus holds, as a program looks at it.
    pub(crate) fn view(&self) -> View<'_> {
        let Self { engine, registry, config, .. } = self;
        View { held: &**engine, registry, config, is_run: true, door: Door::Program }
    }
}

/// Tells how invocations stand now.
pub(crate) struct Teller<'a> {
    view: View<'a>,
    pub(crate) now: SystemTime,
    /// By service, the invocations that use up its places.
    users: HashMap<String, Vec<Cid>>,
}

impl<'a> Teller<'a> {
    pub(crate) fn new(view: View<'a>) -> Self {
        view.config.clock.look();
        Self { view, now: view.config.clock.now(), users: HashMap::new() }
    }

    /// Looks up what has to be said about what holds an invocation up.
    pub(crate) async fn learn(&mut self, found: &Found) -> Result<(), StoreFault> {
        if let Status::Waiting(Waits::Concurrency(_)) = found.status
            && !self.users.contains_key(found.service())
        {
            let running = Filter::new().stage(Stage::Running).service(found.service()).limit(MAX_NAMED + 1);
            let running = self.view.held.list(&running).await?;
            self.users.insert(found.service().to_owned(), running.iter().map(Found::cid).collect());
        }
        Ok(())
    }

    pub(crate) fn door(&self) -> Door {
        self.view.door
    }

    pub(crate) fn attempts(&self, found: &Found) -> String {
        let most = max_attempts(self.view.registry, &found.invocation);
        let most = most.map(|most| format!(" of {}", grouped(most as usize))).unwrap_or_default();
        let interrupted = found.before.as_ref().map_or(0, |before| before.attempts - before.failed);
        match interrupted {
            0 => format!("{}{most}", found.attempts),
            not_counted => format!("{}{most}, {not_counted} of them not counted", found.attempts),
        }
    }

    /// A time to come or one that has passed.
    pub(crate) fn moment(&self, time: SystemTime) -> String {
        let text = time_of_day(time, self.now);
        match time.duration_since(self.now) {
            Ok(to_come) => format!("{text}, in {}", length(to_come)),
            Err(passed) => format!("{text}, {} ago", length(passed.duration())),
        }
    }

    /// How it stands, in one line.
    #[cfg(feature = "cli")]
    pub(crate) fn stands(&self, found: &Found) -> String {
        self.status(found, "").swap_remove(0)
    }

    /// How it stands: one line, and one for each attempt where there are several. Each begins with `indent`.
    pub(crate) fn status(&self, found: &Found, indent: &str) -> Vec<String> {
        let called_at = found.invocation.called_at.into();
        let mut lines = vec![match &found.status {
            Status::Waiting(waits) => self.waits(found, waits),
            Status::Running { since, .. } if !self.view.is_run => format!(
                "ran when its process died: attempt {}, begun at {}; the next process that opens the store goes on with it",
                found.attempts,
                time_of_day(*since, self.now),
            ),
            Status::Running { since, is_cancelled } => {
                let number = found.attempts;
                let text = format!(
                    "runs: attempt {number} since {} ({})",
                    time_of_day(*since, self.now),
                    between(*since, self.now)
                );
                if *is_cancelled {
                    let grace = length(self.view.config.cancel_grace);
                    format!("{text}; it has been cancelled, and its handler has {grace} to end")
                } else {
                    text
                }
            }
            Status::Open(_) if found.invocation.channel == Channel::Chain => {
                "goes on: see its steps".to_owned()
            }
            Status::Open(left) => format!("goes on: {} not ended", have(*left as usize, "member")),
            Status::Ended { ended, .. } => {
                let at = time_of_day(ended.ended_at, self.now);
                let text = format!(
                    "{} at {at}, {} after its call",
                    ended.outcome.name(),
                    between(called_at, ended.ended_at.into())
                );
                match ended.outcome.error() {
                    Some(error) => format!("{text}: {}", quoted(error)),
                    None => text,
                }
            }
        }];
        if found.lingers {
            lines.push("over time, still running: its handler could not be dropped (it blocks its thread, or others block all of them), and keeps its place until it is".to_owned());
        }
        let tried = found.before.as_ref().map_or(&[][..], |before| &before.tried[..]);
        if let Some(first) = tried.first().filter(|first| first.number > 1) {
            lines.push(format!(
                "  {} before are not remembered one by one",
                count(first.number as usize - 1, "attempt")
            ));
        }
        lines.extend(tried.iter().map(|tried| self.tried(tried)));
        if let Status::Ended { ended, again } = &found.status {
            if let (Some(started_at), false) = (ended.started_at, tried.is_empty())
                && ended.attempts > tried.last().map_or(0, |last| last.number)
            {
                lines.push(format!(
                    "  attempt {} at {} took {}",
                    ended.attempts,
                    time_of_day(started_at, self.now),
                    between(started_at.into(), ended.ended_at.into())
                ));
            }
            if let Some(again) = again {
                lines.push(format!("run again as {again}"));
            }
        }
        lines.into_iter().map(|line| format!("{indent}{line}")).collect()
    }

    fn tried(&self, tried: &Tried) -> String {
        let text = format!(
            "  attempt {} at {} took {}: {}",
            tried.number,
            time_of_day(tried.started_at, self.now),
            between(tried.started_at, tried.ended_at),
            quoted(&tried.error)
        );
        if tried.counts { text } else { format!("{text} (interrupted, not counted)") }
    }

    /// Why it is not running now.
    fn waits(&self, found: &Found, waits: &Waits) -> String {
        let service = found.service();
        let last = found.before.as_ref().and_then(|before| before.tried.last());
        match waits {
            Waits::Turn if !self.view.is_run => {
                "waits for a process that opens the store: none runs what it holds".to_owned()
            }
            // The process that runs it may be of another program.
            Waits::Turn if self.view.registry.get(service).is_none() => {
                format!("waits for its turn, or for a program that has {service}: this one does not")
            }
            Waits::Turn => "waits for its turn: nothing holds it up but what stands before it".to_owned(),
            Waits::Until(at) => match last {
                Some(last) if *at <= self.now => {
                    format!("attempt {} is due, after `{}`", last.number + 1, quoted(&last.error))
                }
                Some(last) => format!(
                    "waits for attempt {} at {}, after `{}`",
                    last.number + 1,
                    self.moment(*at),
                    quoted(&last.error)
                ),
                None => format!("not due until {}", self.moment(*at)),
            },
            Waits::Key { key, held_by } => format!(
                "waits for the concurrency key `{}` of {service}, which {held_by} has until it has ended",
                quoted(key)
            ),
            Waits::Concurrency(most) => {
                let users = self.users.get(service).map_or(&[][..], Vec::as_slice);
                let named: Vec<_> = users.iter().take(MAX_NAMED).map(ToString::to_string).collect();
                let more = if users.len() > MAX_NAMED { " and others" } else { "" };
                let by =
                    if named.is_empty() { String::new() } else { format!(" by {}{more}", named.join(", ")) };
                format!("waits for a place: concurrency = {most} of {service} is used up{by}")
            }
            Waits::Running(most) => {
                format!("waits for a place: max_running = {} of this process is used up", grouped(*most))
            }
            Waits::Rate(rate) => {
                let per = humantime::format_duration(rate.per).to_string().replace(' ', "");
                // One of a unit is the unit.
                let unit = per.strip_prefix('1').filter(|unit| unit.starts_with(char::is_alphabetic));
                let per = unit.unwrap_or(&per);
                format!("waits for its rate: \"{}/{per}\" of {service} is used up for now", rate.starts)
            }
            Waits::Suspects => {
                "waits for another one during which the process died: such run one at a time".to_owned()
            }
            Waits::Resume => format!("held back: {service} is paused"),
            Waits::Host => format!("parked: no running process hosts {service}"),
            Waits::Release => {
                let number = last.map_or(1, |last| last.number);
                format!("waits for attempt {}: attempt {number} has not let go of its thread", number + 1)
            }
            Waits::Restart => {
                let number = last.map_or(1, |last| last.number);
                format!("waits for the next start of the program: a shutdown interrupted attempt {number}")
            }
            Waits::End => "is being ended".to_owned(),
        }
    }
}

/// What somebody may do about it, who looks from there.
pub(crate) fn advice(found: &Found, door: Door) -> Option<String> {
    let (service, cid) = (found.service(), found.cid());
    let is_a_program = door == Door::Program;
    let cancel = if is_a_program { "`cancel`".to_owned() } else { format!("`cancel {cid}`") };
    Some(match &found.status {
        Status::Ended { ended, again: None } if found.is_dead() => {
            let is_permanent = ended.outcome.ending().is_some_and(|ending| ending.permanent);
            let cure = if is_permanent { "mend the cause, then run it again" } else { "run it again" };
            let (again, forget) = if is_a_program {
                ("`run_again`".to_owned(), "`discard`".to_owned())
            } else {
                (format!("`dead retry {cid}`"), format!("`dead discard {cid}`"))
            };
            format!("a dead letter: {cure} ({again}), or forget it ({forget})")
        }
        Status::Waiting(Waits::Resume) if is_a_program => format!("`resume(\"{service}\")` lets it start"),
        Status::Waiting(Waits::Resume) => {
            format!(
                "`Runtime::resume(\"{service}\")`, called in a program that runs on the store, lets it start"
            )
        }
        Status::Waiting(Waits::Host) => format!("start a program that has {service}"),
        Status::Waiting(_) => format!("{cancel} ends it now"),
        Status::Open(_) => format!("{cancel} ends those of it that wait, and asks those that run to stop"),
        Status::Running { is_cancelled: false, .. } => format!("{cancel} asks it to stop"),
        _ => return None,
    })
}

/// Whether it is a record of others, and not run itself.
pub(crate) fn is_group(channel: Channel) -> bool {
    matches!(channel, Channel::Parallel | Channel::FanOut | Channel::Chain)
}

/// What it is in its tree.
pub(crate) fn role(found: &Found) -> String {
    let invocation = &found.invocation;
    let role = match invocation.channel {
        Channel::Invoke => "called synchronously".to_owned(),
        Channel::InvokeAsync if invocation.slot.is_some() => "member of a group".to_owned(),
        Channel::InvokeAsync => "called asynchronously".to_owned(),
        Channel::InvokeAsyncCallback => match invocation.in_reply_to() {
            Some(cid) => format!("callback of {cid}"),
            None => "callback".to_owned(),
        },
        Channel::ChainStep => {
            let left = invocation.callbacks.len();
            if left == 0 {
                "last step of a chain".to_owned()
            } else {
                format!("step of a chain, {left} to follow")
            }
        }
        Channel::Chain => {
            let steps = invocation.options.as_deref().map_or(0, |options| options.steps.len());
            format!("chain of {}", count(steps, "step"))
        }
        // The number stands first in what the bus writes of a group.
        other => match invocation.payload.as_str().and_then(|text| text.split(' ').next()?.parse().ok()) {
            Some(members) => format!("{other} of {}", grouped(members)),
            None => other.to_string(),
        },
    };
    match invocation.again_of() {
        Some(first) => format!("{role}, runs {first} again"),
        None => role,
    }
}

fn have(number: usize, one: &str) -> String {
    format!("{} {}", count(number, one), if number == 1 { "has" } else { "have" })
}
