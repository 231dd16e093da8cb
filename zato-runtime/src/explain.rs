//! One invocation in words: how it stands and why, and the causal tree around it.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use zato_core::{Channel, Cid, Kind, Outcome};

use crate::engine::StoreFault;
use crate::found::{Found, Status, Tree};
use crate::standing::{Teller, View, advice, is_group, role};
use crate::words::{count, date_and_time, grouped, quoted};

/// How many invocations right below another the page shows; the rest are counted.
const MAX_BELOW: usize = 12;

/// How many invocations the page shows in all.
const MAX_SHOWN: usize = 120;

/// How many above the one that was asked for it shows.
const MAX_ABOVE: usize = 12;

/// How many levels it shows below the first.
const MAX_DEPTH: usize = 24;

/// How many of those that completed it shows where there are more than that.
const MAX_COMPLETED: usize = 3;

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
pub(crate) async fn explain(view: View<'_>, cid: Cid) -> Result<Option<Explanation>, StoreFault> {
    let Some(asked) = view.find(cid).await? else { return Ok(None) };
    let tree = view.held.tree(asked.invocation.root).await?;
    let mut teller = Teller::new(view);
    for found in tree.found.iter().chain([&asked]) {
        teller.learn(found).await?;
    }
    let mut page = Page { teller, asked: cid, text: String::new(), left: MAX_SHOWN };
    page.head(&asked);
    page.tree(&tree, &asked);
    Ok(Some(Explanation { page: page.text }))
}

/// A page that is being written.
struct Page<'a> {
    teller: Teller<'a>,
    asked: Cid,
    text: String,
    /// How many invocations may still be shown.
    left: usize,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// The invocation that was asked for.
    fn head(&mut self, found: &Found) {
        let invocation = &found.invocation;
        self.line(&format!("{} {}", found.service(), found.cid()));
        for line in self.teller.status(found, "") {
            self.line(&line);
        }
        self.line("");
        let by = match (&invocation.caller, invocation.parent) {
            (Some(caller), Some(parent)) => format!("by {caller} ({parent})"),
            _ => "from outside".to_owned(),
        };
        self.line(&format!("called      {}, {by}", date_and_time(invocation.called_at)));
        self.line(&format!("as          {}", role(found)));
        let size = count(invocation.payload.len(), "byte");
        let request = match invocation.payload.kind() {
            Kind::Empty => "empty".to_owned(),
            Kind::Text => format!("{size} of text"),
            Kind::Json => format!("{size} of JSON"),
            Kind::Bytes => size,
        };
        if invocation.channel == Channel::Chain || !is_group(invocation.channel) {
            self.line(&format!("request     {request}"));
        }
        if !is_group(invocation.channel) {
            self.line(&format!("attempts    {}", self.teller.attempts(found)));
        }
        if let Some(deadline) = invocation.deadline {
            self.line(&format!("deadline    {}", self.teller.moment(deadline.into())));
        }
        let options = invocation.options.as_deref();
        if let Some(expires) = options.and_then(|options| options.expires) {
            self.line(&format!("expires     {}", self.teller.moment(expires.from(self.teller.now))));
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
            let never_fails = matches!(invocation.channel, Channel::FanOut | Channel::Parallel);
            if reply == failure || never_fails {
                self.line(&format!("tells       {reply}"));
            } else {
                self.line(&format!("tells       {reply}; of a failure {failure}"));
            }
        }
        if let Some(advice) = advice(found, self.teller.door()) {
            self.line(&format!("to do       {advice}"));
        }
    }

    /// The causal tree, each invocation below the one that it comes from: from the root, or from so many above the one
    /// that was asked for.
    fn tree(&mut self, tree: &Tree, asked: &Found) {
        if tree.found.len() < 2 && tree.swept == 0 {
            return;
        }
        let by_cid: HashMap<Cid, &Found> = tree.found.iter().map(|found| (found.cid(), found)).collect();
        let mut below: HashMap<Option<Cid>, Vec<&Found>> = HashMap::new();
        for found in &tree.found {
            let above = above(found).filter(|above| by_cid.contains_key(above));
            below.entry(above).or_default().push(found);
        }
        let all: Vec<_> = tree.found.iter().collect();
        let swept = match tree.swept {
            0 => String::new(),
            swept => format!(", and {} that are swept: held no longer", grouped(swept)),
        };
        self.line("");
        self.line(&format!("The tree, {}: {}{swept}", count(tree.found.len(), "invocation"), tally(&all)));
        let path = path(asked, &by_cid);
        match path.get(MAX_ABOVE) {
            None => self.below(None, &below, &path, "", 0),
            Some(top) => {
                let above = path.len() - MAX_ABOVE - 1;
                self.line(&format!("({} above are not shown)", count(above, "invocation")));
                if let Some(top) = by_cid.get(top) {
                    self.branch(top, "", ("", ""), &below, &path, 0);
                }
            }
        }
    }

    /// Everything right below one, with what is below that.
    fn below(
        &mut self,
        above: Option<Cid>,
        all: &HashMap<Option<Cid>, Vec<&Found>>,
        path: &[Cid],
        indent: &str,
        depth: usize,
    ) {
        let Some(children) = all.get(&above) else { return };
        let shown = if depth > MAX_DEPTH { Vec::new() } else { self.choose(children, path) };
        let hidden: Vec<_> = children.iter().filter(|child| !shown.contains(&child.cid())).copied().collect();
        let shown: Vec<_> = children.iter().filter(|child| shown.contains(&child.cid())).collect();
        for (index, child) in shown.iter().enumerate() {
            let is_last = index + 1 == shown.len() && hidden.is_empty();
            let glyphs = match (above, is_last) {
                (None, _) => ("", ""),
                (_, true) => ("└─ ", "   "),
                (_, false) => ("├─ ", "│  "),
            };
            self.branch(child, indent, glyphs, all, path, depth);
        }
        if !hidden.is_empty() {
            self.line(&format!("{indent}└─ and {} more: {}", grouped(hidden.len()), tally(&hidden)));
        }
    }

    /// One invocation, with what is below it.
    fn branch(
        &mut self,
        found: &Found,
        indent: &str,
        (branch, trunk): (&str, &str),
        all: &HashMap<Option<Cid>, Vec<&Found>>,
        path: &[Cid],
        depth: usize,
    ) {
        let mark = if found.cid() == self.asked { "  <== this one" } else { "" };
        let is_plain =
            found.invocation.channel == Channel::InvokeAsync && found.invocation.again_of().is_none();
        let role = if is_plain { String::new() } else { format!(" ({})", role(found)) };
        self.line(&format!("{indent}{branch}{}{role} {}{mark}", found.service(), found.cid()));
        let deeper = format!("{indent}{trunk}");
        let stem = if all.contains_key(&Some(found.cid())) { "│ " } else { "  " };
        for line in self.teller.status(found, &format!("{deeper}{stem}")) {
            self.line(&line);
        }
        self.below(Some(found.cid()), all, path, &deeper, depth + 1);
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
        if ranked.len() > MAX_BELOW {
            let others = ranked.partition_point(|(rank, _)| *rank < 3);
            ranked.truncate(others + MAX_COMPLETED);
        }
        let on_path = ranked.partition_point(|(rank, _)| *rank == 0);
        ranked.truncate(MAX_BELOW.min(self.left.max(on_path)));
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

/// How many stand how: `8,990 Completed, 10 run`.
fn tally(all: &[&Found]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for found in all {
        let stands = match &found.status {
            Status::Waiting(_) => "waiting",
            Status::Running { .. } => "running",
            Status::Open(_) => "open",
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
