//! The status of one invocation in words: why it is not running, what its attempts returned, what can be done.

use std::collections::HashMap;
use std::time::SystemTime;

use zato_core::{Channel, Cid};

use crate::attempt::limits::max_attempts;
use crate::base::format::{Zone, count, duration, elapsed, grouped, one_line};
use crate::config::Config;
use crate::engine::{LookUps, StoreFault};
use crate::record::lookup::{Filter, InvocationInfo, Status, StatusFilter, WaitReason};
use crate::record::{Tried, is_recorded_at_end};
use crate::registry::Registry;

/// The number of running invocations that are named where a service's `concurrency` is used up.
const MAX_NAMED: usize = 3;

/// The store that is read, with what the reader knows about its services.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) held: &'a dyn LookUps,
    pub(crate) registry: &'a Registry,
    pub(crate) config: &'a Config,
    /// `true` where a process runs what the store holds.
    pub(crate) is_run: bool,
    pub(crate) door: Audience,
    /// The time zone of the times that are shown.
    pub(crate) zone: Zone,
}

/// The door through which a reader looks; it decides which cures a page names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// A program, which has a [`Runtime`](crate::Runtime).
    Program,
    /// The command line.
    #[cfg(feature = "cli")]
    CommandLine,
}

impl Source<'_> {
    /// Finds an invocation; `None` if the engine does not hold it.
    pub(crate) async fn find(&self, cid: Cid) -> Result<Option<InvocationInfo>, StoreFault> {
        Ok(self.held.find([cid].into_iter().collect()).await?.pop().flatten())
    }
}

/// Writes the status of invocations as of now.
pub(crate) struct StatusWriter<'a> {
    view: Source<'a>,
    pub(crate) now: SystemTime,
    /// The invocations that use up a service's `concurrency`, by service.
    users: HashMap<String, Vec<Cid>>,
}

impl<'a> StatusWriter<'a> {
    pub(crate) fn new(view: Source<'a>) -> Self {
        view.config.clock.look();
        Self { view, now: view.config.clock.system_time(), users: HashMap::new() }
    }

    /// Reads what the status of this invocation needs to name: who uses up its service's `concurrency`.
    pub(crate) async fn learn(&mut self, found: &InvocationInfo) -> Result<(), StoreFault> {
        if let Status::Waiting(WaitReason::Concurrency(_)) = found.status
            && !self.users.contains_key(found.service())
        {
            let running =
                Filter::new().stage(StatusFilter::Running).service(found.service()).limit(MAX_NAMED + 1);
            let running = self.view.held.list(&running).await?;
            self.users.insert(found.service().to_owned(), running.iter().map(InvocationInfo::cid).collect());
        }
        Ok(())
    }

    pub(crate) fn door(&self) -> Audience {
        self.view.door
    }

    /// The attempts that count, of how many, and those that were interrupted: `4 of 4, and 2 interrupted`.
    pub(crate) fn attempts(&self, found: &InvocationInfo) -> String {
        let most = max_attempts(self.view.registry, &found.invocation);
        attempts(found, &most.map(|most| format!(" of {}", grouped(most as usize))).unwrap_or_default())
    }

    pub(crate) fn zone(&self) -> Zone {
        self.view.zone
    }

    fn time_of_day(&self, time: impl Into<SystemTime>) -> String {
        self.view.zone.time_of_day(time, self.now)
    }

    /// A time of day and its distance from now: `14:03:12.120, in 5 s`.
    pub(crate) fn moment(&self, time: SystemTime) -> String {
        let text = self.time_of_day(time);
        match time.duration_since(self.now) {
            Ok(to_come) => format!("{text}, in {}", duration(to_come)),
            Err(passed) => format!("{text}, {} ago", duration(passed.duration())),
        }
    }

    /// The status in one line.
    #[cfg(feature = "cli")]
    pub(crate) fn stands(&self, found: &InvocationInfo) -> String {
        self.status(found, "").swap_remove(0)
    }

    /// The status: one line, then one for each attempt where there are several. Each begins with `indent`.
    pub(crate) fn status(&self, found: &InvocationInfo, indent: &str) -> Vec<String> {
        let called_at = found.invocation.called_at.into();
        let mut lines = vec![match &found.status {
            Status::Waiting(waits) => self.waits(found, waits),
            Status::Running { since, .. } if !self.view.is_run && is_recorded_at_end(&found.invocation) => {
                format!(
                    "was running when its process died: attempt {}, started at {}; its caller waited in that process, so the next \
                 process that opens the store ends it as Lost",
                    self.attempts(found),
                    self.time_of_day(*since),
                )
            }
            Status::Running { since, .. } if !self.view.is_run => format!(
                "was running when its process died: attempt {}, started at {}; the next process that opens the store runs it again",
                self.attempts(found),
                self.time_of_day(*since),
            ),
            Status::Running { since, is_cancelled } => {
                let attempt = self.attempts(found);
                let comma = if attempt.contains(',') { "," } else { "" };
                let text = format!(
                    "running: attempt {attempt}{comma} since {} ({})",
                    self.time_of_day(*since),
                    elapsed(*since, self.now)
                );
                if *is_cancelled {
                    let grace = duration(self.view.config.cancel_grace);
                    format!("{text}; a cancel was requested, and its handler has {grace} to return")
                } else {
                    text
                }
            }
            Status::Open(_) if found.invocation.channel == Channel::Chain => {
                "open: its steps have not all ended".to_owned()
            }
            Status::Open(left) => format!("open: {} not ended", have(*left as usize, "member")),
            Status::Ended { ended, .. } => {
                let at = self.time_of_day(ended.ended_at);
                let text = format!(
                    "{} at {at}, {} after its call",
                    ended.outcome.name(),
                    elapsed(called_at, ended.ended_at.into())
                );
                match ended.outcome.error() {
                    Some(error) => format!("{text}: {}", one_line(error)),
                    None => text,
                }
            }
        }];
        if found.overruns {
            lines.push(
                "over time, still running: its handler blocks a thread, or others block all of them; it keeps its slot until its future has been dropped"
                    .to_owned(),
            );
        }
        let tried = found.before.as_ref().map_or(&[][..], |before| &before.tried[..]);
        if let Some(first) = tried.first().filter(|first| first.number > 1) {
            let earlier = count(first.number as usize - 1, "earlier attempt");
            lines.push(format!("  {earlier}: only the last {} are kept one by one", tried.len()));
        }
        let mut number = found.before.as_ref().map_or(0, |before| before.failed);
        number = number.saturating_sub(
            u32::try_from(tried.iter().filter(|tried| tried.counts).count()).unwrap_or(number),
        );
        for tried in tried {
            number += u32::from(tried.counts);
            lines.push(self.tried(tried, number));
        }
        if let Status::Ended { ended, again } = &found.status {
            if let (Some(started_at), false) = (ended.started_at, tried.is_empty())
                && ended.attempts > tried.last().map_or(0, |last| last.number)
            {
                lines.push(format!(
                    "  attempt {} at {} took {}",
                    found.counted_attempts(),
                    self.time_of_day(started_at),
                    elapsed(started_at.into(), ended.ended_at.into())
                ));
            }
            if let Some(again) = again {
                lines.push(format!("run again as {again}"));
            }
        }
        lines.into_iter().map(|line| format!("{indent}{line}")).collect()
    }

    /// One attempt that is over; `number` counts those that count.
    fn tried(&self, tried: &Tried, number: u32) -> String {
        let name = if tried.counts { format!("attempt {number}") } else { "interrupted attempt".to_owned() };
        let code = tried.code.as_deref().map(|code| format!(" [{}]", one_line(code))).unwrap_or_default();
        format!(
            "  {name} at {} took {}: {}{code}",
            self.time_of_day(tried.started_at),
            elapsed(tried.started_at, tried.ended_at),
            one_line(&tried.error)
        )
    }

    /// The reason why it is not running now.
    fn waits(&self, found: &InvocationInfo, waits: &WaitReason) -> String {
        let service = found.service();
        let last = found.before.as_ref().and_then(|before| before.tried.last());
        let next = found.counted_attempts() + 1;
        match waits {
            WaitReason::Turn if !self.view.is_run => {
                "waiting: no process runs what this store holds".to_owned()
            }
            // The process that runs it may be of another program.
            WaitReason::Turn if self.view.registry.get(service).is_none() => {
                format!("waiting for its turn, or for a program that hosts {service}: this one does not")
            }
            WaitReason::Turn => "waiting for its turn: only what is ahead of it in the queue".to_owned(),
            WaitReason::Until(at) => match last {
                Some(last) if *at <= self.now => {
                    format!("attempt {next} is due, after `{}`", one_line(&last.error))
                }
                Some(last) => {
                    format!(
                        "waiting for attempt {next} at {}, after `{}`",
                        self.moment(*at),
                        one_line(&last.error)
                    )
                }
                None => format!("not due until {}", self.moment(*at)),
            },
            WaitReason::Key { key, held_by } => format!(
                "waiting for the concurrency key `{}` of {service}: {held_by} holds it until it has ended",
                one_line(key)
            ),
            WaitReason::Concurrency(most) => {
                let users = self.users.get(service).map_or(&[][..], Vec::as_slice);
                let named: Vec<_> = users.iter().take(MAX_NAMED).map(ToString::to_string).collect();
                let more = if users.len() > MAX_NAMED { " and others" } else { "" };
                let by =
                    if named.is_empty() { String::new() } else { format!(" by {}{more}", named.join(", ")) };
                format!("waiting for a slot: concurrency = {most} of {service} is used up{by}")
            }
            WaitReason::Running(most) => {
                format!("waiting for a slot: max_running = {} of this process is used up", grouped(*most))
            }
            WaitReason::Rate(rate) => {
                format!("waiting for its rate: \"{rate}\" of {service} is used up for now")
            }
            WaitReason::Suspects => {
                "waiting for another invocation during which the process died: such run one at a time"
                    .to_owned()
            }
            WaitReason::Resume => format!("paused: {service} starts nothing until it is resumed"),
            WaitReason::Host => format!("parked: no running process hosts {service}"),
            WaitReason::Release => {
                format!(
                    "waiting for attempt {next}: the handler of the last one is over time and still running"
                )
            }
            WaitReason::Restart => {
                "waiting for the next start of the program: a shutdown interrupted its last attempt"
                    .to_owned()
            }
            WaitReason::End => "ending: its outcome is being recorded".to_owned(),
        }
    }
}

/// The cure, in the words of the door that the reader looks through.
pub(crate) fn advice(found: &InvocationInfo, door: Audience) -> Option<String> {
    let (service, cid) = (found.service(), found.cid());
    let is_a_program = door == Audience::Program;
    let cancel = if is_a_program { "`cancel`".to_owned() } else { format!("`cancel {cid}`") };
    Some(match &found.status {
        Status::Ended { ended, again: None } if found.is_dead() => {
            let is_permanent = ended.outcome.ending().is_some_and(|ending| ending.permanent);
            let cure = if is_permanent { "fix the cause, then run it again" } else { "run it again" };
            let (again, forget) = if is_a_program {
                ("`run_again`".to_owned(), "`discard`".to_owned())
            } else {
                (format!("`dead retry {cid}`"), format!("`dead discard {cid}`"))
            };
            format!("a dead letter: {cure} ({again}), or discard it ({forget})")
        }
        Status::Waiting(WaitReason::Resume) if is_a_program => {
            format!("`resume(\"{service}\")` lets it start")
        }
        Status::Waiting(WaitReason::Resume) => {
            format!(
                "`Runtime::resume(\"{service}\")`, called in a program that runs on the store, lets it start"
            )
        }
        Status::Waiting(WaitReason::Host) => format!("start a program that hosts {service}"),
        Status::Waiting(_) => format!("{cancel} ends it now"),
        Status::Open(_) => format!("{cancel} ends its members that wait, and asks those that run to stop"),
        Status::Running { is_cancelled: false, .. } => format!("{cancel} asks it to stop"),
        _ => return None,
    })
}

/// The attempts that count, with `most` behind them, and those that were interrupted.
pub(crate) fn attempts(found: &InvocationInfo, most: &str) -> String {
    let counted = grouped(found.counted_attempts() as usize);
    match found.interrupted_attempts() {
        0 => format!("{counted}{most}"),
        interrupted => format!("{counted}{most}, and {} interrupted", grouped(interrupted as usize)),
    }
}

/// Returns `true` for a record of other invocations, which is not run itself.
pub(crate) fn is_group(channel: Channel) -> bool {
    matches!(channel, Channel::Parallel | Channel::FanOut | Channel::Chain)
}

/// The role of an invocation in its tree: callback, member, step, group.
pub(crate) fn role(found: &InvocationInfo) -> String {
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
