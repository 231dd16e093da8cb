//! One invocation in words: how it stands and why, and the causal tree around it.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::time::SystemTime;

use zato_core::{Channel, Cid, Kind, Outcome};

use crate::found::{Filter, Found, Stage, Status, Waits};
use crate::record::Tried;
use crate::shared::Shared;
use crate::words::{after, count, date_and_time, grouped, length, quoted, time_of_day};

/// How many invocations right below another the page shows; the rest are counted.
const MAX_BELOW: usize = 12;

/// How many invocations the page shows in all.
const MAX_SHOWN: usize = 120;

/// How many of those that use up a service's places are named.
const MAX_NAMED: usize = 3;

/// One invocation in words; [`Display`](fmt::Display) is the page.
///
/// It begins with the invocation that was asked for and goes on with its whole causal tree. Payloads are not shown.
#[derive(Debug, Clone)]
pub struct Explanation {
    page: String,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.page)
    }
}

/// Explains an invocation; `None` if it is not held.
pub(crate) async fn explain(shared: &Shared, cid: Cid) -> Option<Explanation> {
    let asked = find(shared, cid).await?;
    let tree = shared.engine.tree(asked.invocation.root).await;
    shared.config.clock.look();
    let mut page = Page {
        shared,
        now: shared.config.clock.now(),
        asked: cid,
        users: HashMap::new(),
        text: String::new(),
        left: MAX_SHOWN,
    };
    for found in tree.iter().chain([&asked]) {
        page.learn(found).await;
    }
    page.head(&asked);
    page.tree(&tree, &asked);
    Some(Explanation { page: page.text })
}

async fn find(shared: &Shared, cid: Cid) -> Option<Found> {
    shared.engine.find([cid].into_iter().collect()).await.pop().flatten()
}

/// A page that is being written.
struct Page<'a> {
    shared: &'a Shared,
    now: SystemTime,
    asked: Cid,
    /// By service, the invocations that use up its places.
    users: HashMap<String, Vec<Cid>>,
    text: String,
    /// How many invocations may still be shown.
    left: usize,
}

impl Page<'_> {
    /// Looks up what has to be said about what holds an invocation up.
    async fn learn(&mut self, found: &Found) {
        if let Status::Waiting(Waits::Concurrency(_)) = found.status
            && !self.users.contains_key(found.service())
        {
            let running = Filter::new().stage(Stage::Running).service(found.service()).limit(MAX_NAMED + 1);
            let running = self.shared.engine.list(&running).await;
            self.users.insert(found.service().to_owned(), running.iter().map(Found::cid).collect());
        }
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// The invocation that was asked for.
    fn head(&mut self, found: &Found) {
        let invocation = &found.invocation;
        self.line(&format!("{} {}", found.service(), found.cid()));
        for line in self.status(found, "") {
            self.line(&line);
        }
        self.line("");
        let by = match (&invocation.caller, invocation.parent) {
            (Some(caller), Some(parent)) => format!("by {caller} ({parent})"),
            _ => "from outside".to_owned(),
        };
        self.line(&format!("called      {}, {by}", date_and_time(invocation.called_at.into())));
        self.line(&format!("as          {}", role(found)));
        let size = count(invocation.payload.len(), "byte");
        let request = match invocation.payload.kind() {
            Kind::Empty => "empty".to_owned(),
            Kind::Text => format!("{size} of text"),
            Kind::Json => format!("{size} of JSON"),
            Kind::Bytes => size,
        };
        self.line(&format!("request     {request}"));
        if !is_group(invocation.channel) {
            self.line(&format!("attempts    {}", self.attempts(found)));
        }
        if let Some(deadline) = invocation.deadline {
            self.line(&format!("deadline    {}", self.moment(deadline.into())));
        }
        let options = invocation.options.as_deref();
        if let Some(expires) = options.and_then(|options| options.expires) {
            self.line(&format!("expires     {}", self.moment(expires.from(self.now))));
        }
        if let Some(key) = options.and_then(|options| options.concurrency_key.as_deref()) {
            self.line(&format!("key         `{}`, one at a time", quoted(key)));
        }
        let names = |names: &[zato_core::ServiceName]| match names {
            [] => "nobody".to_owned(),
            names => names.iter().map(zato_core::ServiceName::as_str).collect::<Vec<_>>().join(", "),
        };
        if invocation.channel == Channel::ChainStep {
            self.line(&format!("then        {}", names(&invocation.callbacks)));
        } else if invocation.channel != Channel::Invoke {
            let (reply, failure) = (names(&invocation.callbacks), names(&invocation.on_failure));
            self.line(&format!("tells       {reply}; of a failure {failure}"));
        }
        if let Some(advice) = Self::advice(found) {
            self.line(&format!("to do       {advice}"));
        }
    }

    fn attempts(&self, found: &Found) -> String {
        let most = self.shared.policy(&found.invocation).max_attempts;
        let most = most.map(|most| format!(" of {}", grouped(most as usize))).unwrap_or_default();
        let interrupted = found.before.as_ref().map_or(0, |before| before.attempts - before.failed);
        match interrupted {
            0 => format!("{}{most}", found.attempts),
            not_counted => format!("{}{most}, {not_counted} of them not counted", found.attempts),
        }
    }

    /// A time to come or one that has passed.
    fn moment(&self, time: SystemTime) -> String {
        let text = time_of_day(time, self.now);
        match time.duration_since(self.now) {
            Ok(to_come) => format!("{text}, in {}", length(to_come)),
            Err(passed) => format!("{text}, {} ago", length(passed.duration())),
        }
    }

    /// How it stands: one line, and one for each attempt where there are several. Each begins with `indent`.
    fn status(&self, found: &Found, indent: &str) -> Vec<String> {
        let called_at = found.invocation.called_at.into();
        let mut lines = vec![match &found.status {
            Status::Waiting(waits) => self.waits(found, waits),
            Status::Running { since, is_cancelled } => {
                let number = found.attempts;
                let text = format!(
                    "runs: attempt {number} since {} ({})",
                    time_of_day(*since, self.now),
                    after(self.now, *since)
                );
                if *is_cancelled {
                    let grace = length(self.shared.config.cancel_grace);
                    format!("{text}; it has been cancelled, and its handler has {grace} to end")
                } else {
                    text
                }
            }
            Status::Open(left) => format!("goes on: {} not ended", have(*left as usize, "member")),
            Status::Ended { ended, .. } => {
                let at = time_of_day(ended.ended_at, self.now);
                let text = format!(
                    "{} at {at}, {} after its call",
                    ended.outcome.name(),
                    after(ended.ended_at, called_at)
                );
                match ended.outcome.error() {
                    Some(error) => format!("{text}: {}", quoted(error)),
                    None => text,
                }
            }
        }];
        if found.lingers {
            lines.push("over time, still running: its handler blocks its thread, and keeps its place until it returns".to_owned());
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
                    after(ended.ended_at, started_at)
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
            after(tried.ended_at, tried.started_at),
            quoted(&tried.error)
        );
        if tried.counts { text } else { format!("{text} (interrupted by a shutdown, not counted)") }
    }

    /// Why it is not running now.
    fn waits(&self, found: &Found, waits: &Waits) -> String {
        let service = found.service();
        let last = found.before.as_ref().and_then(|before| before.tried.last());
        match waits {
            Waits::Turn => "waits for its turn: nothing holds it up but what stands before it".to_owned(),
            Waits::Until(at) => match last {
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
                let per = if per == "1s" { "s".to_owned() } else { per };
                format!("waits for its rate: \"{}/{per}\" of {service} is used up for now", rate.starts)
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

    /// What somebody may do about it.
    fn advice(found: &Found) -> Option<String> {
        let service = found.service();
        Some(match &found.status {
            _ if found.is_dead() && found.invocation.channel == Channel::ChainStep => {
                let chain = found.invocation.slot.map(|slot| slot.group.to_string()).unwrap_or_default();
                format!("run its chain again ({chain}), or discard it")
            }
            Status::Ended { ended, again: None } if found.is_dead() => {
                let is_permanent = ended.outcome.ending().is_some_and(|ending| ending.permanent);
                let cure = if is_permanent { "mend the cause, then run it again" } else { "run it again" };
                format!("a dead letter: {cure} (`run_again`), or forget it (`discard`)")
            }
            Status::Waiting(Waits::Resume) => format!("`resume(\"{service}\")` lets it start"),
            Status::Waiting(Waits::Host) => format!("start a program that has {service}"),
            Status::Waiting(_) | Status::Open(_) => "`cancel` ends it now".to_owned(),
            Status::Running { is_cancelled: false, .. } => "`cancel` asks it to stop".to_owned(),
            _ => return None,
        })
    }

    /// The causal tree, each invocation below the one that it comes from.
    fn tree(&mut self, tree: &[Found], asked: &Found) {
        if tree.len() < 2 {
            return;
        }
        let by_cid: HashMap<Cid, &Found> = tree.iter().map(|found| (found.cid(), found)).collect();
        let mut below: HashMap<Option<Cid>, Vec<&Found>> = HashMap::new();
        for found in tree {
            let above = above(found).filter(|above| by_cid.contains_key(above));
            below.entry(above).or_default().push(found);
        }
        let root = asked.invocation.root;
        self.line("");
        self.line(&format!("The tree, {}:", count(tree.len(), "invocation")));
        if !by_cid.contains_key(&root) {
            self.line(&format!("(its root {root} is no longer held)"));
        }
        let path = path(asked, &by_cid);
        self.below(None, &below, &path, "");
    }

    /// Everything right below one, with what is below that.
    fn below(
        &mut self,
        above: Option<Cid>,
        all: &HashMap<Option<Cid>, Vec<&Found>>,
        path: &[Cid],
        indent: &str,
    ) {
        let Some(children) = all.get(&above) else { return };
        let shown = self.choose(children, path);
        let hidden: Vec<_> = children.iter().filter(|child| !shown.contains(&child.cid())).collect();
        let shown: Vec<_> = children.iter().filter(|child| shown.contains(&child.cid())).collect();
        for (index, child) in shown.iter().enumerate() {
            let is_last = index + 1 == shown.len() && hidden.is_empty();
            let (branch, trunk) = match (above, is_last) {
                (None, _) => ("", ""),
                (_, true) => ("└─ ", "   "),
                (_, false) => ("├─ ", "│  "),
            };
            let mark = if child.cid() == self.asked { "  <== this one" } else { "" };
            let role = if child.invocation.channel == Channel::InvokeAsync
                && child.invocation.again_of().is_none()
            {
                String::new()
            } else {
                format!(" ({})", role(child))
            };
            self.line(&format!("{indent}{branch}{}{role} {}{mark}", child.service(), child.cid()));
            let deeper = format!("{indent}{trunk}");
            let stem = if all.contains_key(&Some(child.cid())) { "│ " } else { "  " };
            for line in self.status(child, &format!("{deeper}{stem}")) {
                self.line(&line);
            }
            self.below(Some(child.cid()), all, path, &deeper);
        }
        if !hidden.is_empty() {
            self.line(&format!("{indent}└─ and {} more: {}", grouped(hidden.len()), tally(&hidden)));
        }
    }

    /// Which of several to show: what leads to the one that was asked for, what has not ended, what has failed, and
    /// then the first.
    fn choose(&mut self, children: &[&Found], path: &[Cid]) -> Vec<Cid> {
        let rank = |found: &Found| match &found.status {
            _ if path.contains(&found.cid()) => 0,
            Status::Ended { ended, .. } if ended.outcome.is_completed() => 3,
            Status::Ended { .. } => 2,
            _ => 1,
        };
        let mut ranked: Vec<_> = children.iter().map(|child| (rank(child), child.cid())).collect();
        ranked.sort_unstable();
        let most = MAX_BELOW.min(self.left.max(1));
        ranked.truncate(most);
        self.left = self.left.saturating_sub(ranked.len());
        ranked.into_iter().map(|(_, cid)| cid).collect()
    }
}

/// What an invocation comes from: its group, the dead letter that it runs again, or its parent.
fn above(found: &Found) -> Option<Cid> {
    let invocation = &found.invocation;
    invocation.slot.map(|slot| slot.group).or(invocation.again_of()).or(invocation.parent)
}

/// The CIDs from an invocation up to the top.
fn path(from: &Found, by_cid: &HashMap<Cid, &Found>) -> Vec<Cid> {
    let mut path = vec![from.cid()];
    let mut next = above(from);
    while let Some(found) = next.and_then(|cid| by_cid.get(&cid)) {
        path.push(found.cid());
        next = above(found);
    }
    path
}

fn is_group(channel: Channel) -> bool {
    matches!(channel, Channel::Parallel | Channel::FanOut | Channel::Chain)
}

/// What it is in its tree.
fn role(found: &Found) -> String {
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
        other => other.to_string(),
    };
    match invocation.again_of() {
        Some(first) => format!("{role}, runs {first} again"),
        None => role,
    }
}

fn have(number: usize, one: &str) -> String {
    format!("{} {}", count(number, one), if number == 1 { "has" } else { "have" })
}

/// How many stand how: `8,990 Completed, 10 run`.
fn tally(all: &[&&Found]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for found in all {
        let stands = match &found.status {
            Status::Waiting(_) => "waiting",
            Status::Running { .. } | Status::Open(_) => "running",
            Status::Ended { ended, .. } => Outcome::name(&ended.outcome),
        };
        match counts.iter_mut().find(|(name, _)| *name == stands) {
            Some((_, count)) => *count += 1,
            None => counts.push((stands, 1)),
        }
    }
    let mut text = String::new();
    for (index, (name, number)) in counts.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{} {name}", grouped(number));
    }
    text
}
