//! The page of `explain`: one invocation in words, and its causal tree.

use std::fmt;

use zato_core::{Channel, Cid, Kind, Outcome, Payload, ServiceName};

use super::outline::{Extent, Outline, tally};
use super::status::{Source, StatusWriter, advice, is_group, role};
use crate::base::format::{count, escaped, grouped, one_line};
use crate::engine::StoreFault;
use crate::record::lookup::{InvocationInfo, Tree};

/// A page that explains one invocation; [`Display`](fmt::Display) prints it.
///
/// The page begins with the status of the invocation and its reason, the results of its attempts, and what can be done.
/// Below that it shows the path from the root of the causal tree to the invocation, and what the invocation has caused.
#[derive(Debug, Clone)]
pub struct Explanation {
    page: String,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.page)
    }
}

/// What a page shows beside the status.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Detail {
    /// How much of the tree it shows.
    pub(crate) extent: Extent,
    /// Whether it shows the request and the response.
    pub(crate) payloads: bool,
}

/// Explains an invocation; `None` if it is not held.
pub(crate) async fn explain(
    view: Source<'_>,
    cid: Cid,
    detail: Detail,
) -> Result<Option<Explanation>, StoreFault> {
    let Some(asked) = view.find(cid).await? else { return Ok(None) };
    let tree = view.held.tree(asked.invocation.root).await?;
    let mut teller = StatusWriter::new(view);
    for found in tree.found.iter().chain([&asked]) {
        teller.learn(found).await?;
    }
    let mut page = Page { teller, text: String::new() };
    page.head(&asked);
    if detail.payloads {
        page.payloads(&asked);
    }
    page.tree(&tree, &asked, detail.extent);
    Ok(Some(Explanation { page: page.text }))
}

/// A page that is being written.
struct Page<'a> {
    teller: StatusWriter<'a>,
    text: String,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// A line of the list under the status.
    fn entry(&mut self, name: &str, text: &str) {
        self.line(&format!("{name:<11} {text}"));
    }

    /// The invocation that was asked for.
    fn head(&mut self, found: &InvocationInfo) {
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
        self.entry("called", &format!("{}, {by}", self.teller.zone().date_and_time(invocation.called_at)));
        self.entry("as", &role(found));
        if has_request(found) {
            self.entry("request", &size(&invocation.payload));
        }
        if let Some(response) = response(found) {
            self.entry("response", &size(response));
        }
        if !is_group(invocation.channel) {
            self.entry("attempts", &self.teller.attempts(found));
        }
        if let Some(deadline) = invocation.deadline {
            self.entry("deadline", &self.teller.moment(deadline.into()));
        }
        let options = invocation.options.as_deref();
        if let Some(expires) = options.and_then(|options| options.expires) {
            self.entry("expires", &self.teller.moment(expires.from(self.teller.now)));
        }
        if let Some(key) = options.and_then(|options| options.concurrency_key.as_deref()) {
            self.entry("key", &format!("`{}`, one at a time", one_line(key)));
        }
        if let Some(code) = found.outcome().and_then(Outcome::code) {
            self.entry("code", &one_line(code));
        }
        if !invocation.labels.is_empty() {
            let labels = invocation.labels.iter().map(|(name, value)| format!("{name}={}", one_line(value)));
            self.entry("labels", &labels.collect::<Vec<_>>().join(", "));
        }
        self.callbacks(found);
        if let Some(advice) = advice(found, self.teller.door()) {
            self.entry("to do", &advice);
        }
    }

    /// The services that receive the outcome.
    fn callbacks(&mut self, found: &InvocationInfo) {
        let invocation = &found.invocation;
        let names = |names: &[ServiceName]| match names {
            [] => "none".to_owned(),
            names => names.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", "),
        };
        match invocation.channel {
            Channel::Invoke => {}
            Channel::ChainStep => self.entry("next steps", &names(&invocation.callbacks)),
            Channel::FanOut | Channel::Parallel => self.entry("callback", &names(&invocation.callbacks)),
            _ => {
                let (reply, failure) = (names(&invocation.callbacks), names(&invocation.on_failure));
                if reply == failure {
                    self.entry("callback", &reply);
                } else {
                    self.entry("callback", &format!("{reply}; on failure {failure}"));
                }
            }
        }
    }

    /// The request, and the response of what has completed.
    fn payloads(&mut self, found: &InvocationInfo) {
        if has_request(found) {
            self.payload("request", &found.invocation.payload);
        }
        if let Some(response) = response(found) {
            self.payload("response", response);
        }
    }

    fn payload(&mut self, name: &str, payload: &Payload) {
        self.line("");
        if payload.is_empty() {
            self.line(&format!("The {name} is empty."));
            return;
        }
        let encoding =
            if payload.kind() == Kind::Bytes && payload.as_str().is_none() { ", in base64" } else { "" };
        self.line(&format!("The {name}, {}{encoding}:", size(payload)));
        self.line(&escaped(&payload.to_string()));
    }

    /// The causal tree.
    fn tree(&mut self, tree: &Tree, asked: &InvocationInfo, extent: Extent) {
        if tree.found.len() < 2 && tree.swept == 0 {
            return;
        }
        let swept = match tree.swept {
            0 => String::new(),
            swept => format!(", and {} swept: no longer kept", grouped(swept)),
        };
        self.line("");
        let invocations = count(tree.found.len(), "invocation");
        self.line(&format!("The tree, {invocations}: {}{swept}", tally(tree.found.iter())));
        if let Some(root) = missing_root(tree, asked) {
            self.line(&format!(
                "Its root {root} is not held: it was swept, or it was a synchronous call whose process ended before it did"
            ));
        }
        Outline::new(tree, asked, extent, &self.teller).write(&mut self.text);
    }
}

/// The root of a tree, where it is not held although what its handler called is. A synchronous call from outside is recorded
/// when it ends.
fn missing_root(tree: &Tree, asked: &InvocationInfo) -> Option<Cid> {
    let root = asked.invocation.root;
    let is_called_by_it = |found: &InvocationInfo| {
        found.invocation.parent == Some(root) && found.invocation.channel != Channel::InvokeAsyncCallback
    };
    let is_held = tree.found.iter().any(|found| found.cid() == root);
    (!is_held && tree.found.iter().any(is_called_by_it)).then_some(root)
}

/// Returns `true` where the payload is a request of the user's: what the bus writes of a group is not shown.
pub(crate) fn has_request(found: &InvocationInfo) -> bool {
    let channel = found.invocation.channel;
    channel == Channel::Chain || !is_group(channel)
}

/// The response of an invocation that has completed.
pub(crate) fn response(found: &InvocationInfo) -> Option<&Payload> {
    found.outcome()?.payload()
}

/// The size and the kind of a payload: `52 bytes of JSON`.
fn size(payload: &Payload) -> String {
    let size = count(payload.len(), "byte");
    match payload.kind() {
        Kind::Empty => "empty".to_owned(),
        Kind::Text => format!("{size} of text"),
        Kind::Json => format!("{size} of JSON"),
        Kind::Bytes => size,
    }
}
