//! The interface between a context and its runtime: the calls, and answers that may be ready at once.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::SystemTime;

use crate::{
    CallError, Cancellation, Channel, Cid, Context, Labels, OptionError, Options, Payload, WriteError,
};

/// The way from a context or a runtime's handle into the bus. Implemented by the runtime.
pub trait Bus: Send + Sync {
    /// Accepts an asynchronous call and returns its CID; never waits for the target.
    fn accept<'a>(&'a self, from: Option<&'a Context>, call: Call<'a>) -> Step<'a, Result<Cid, CallError>>;

    /// Accepts asynchronous calls that belong together and returns the CID of their group.
    fn group<'a>(
        &'a self,
        from: Option<&'a Context>,
        call: GroupCall<'a>,
    ) -> Step<'a, Result<Cid, CallError>>;

    /// Runs services at once and returns their responses, in the order of the calls.
    fn invoke_all<'a>(
        &'a self,
        from: Option<&'a Context>,
        calls: Vec<Call<'a>>,
    ) -> Step<'a, Vec<Result<Payload, CallError>>>;

    /// Runs a service and returns its response.
    fn invoke<'a>(
        &'a self,
        from: Option<&'a Context>,
        call: Call<'a>,
    ) -> Step<'a, Result<Payload, CallError>>;

    /// Cancels an invocation.
    fn cancel<'a>(
        &'a self,
        from: Option<&'a Context>,
        cid: Cid,
        with_tree: bool,
    ) -> Step<'a, Result<Cancellation, CallError>>;

    /// The time of day, or a test's own where it has paused tokio's clock.
    fn now(&self) -> SystemTime;

    /// Resolves when the attempt of this context is asked to stop.
    fn cancelled<'a>(&'a self, context: &'a Context) -> Step<'a, ()>;

    /// Resolves when the runtime begins to shut down.
    fn shutting_down<'a>(&'a self, context: &'a Context) -> Step<'a, ()>;
}

/// A call on its way into the bus. Rare options are boxed, because calls are moved several times.
#[derive(Debug)]
#[non_exhaustive]
pub struct Call<'a> {
    /// The target's name.
    pub target: Cow<'a, str>,
    /// The request, or why it cannot be written.
    pub payload: Result<Payload, WriteError>,
    /// The callbacks of the response.
    pub callbacks: Chosen<'a>,
    /// The callbacks of a failure.
    pub on_failure: Chosen<'a>,
    /// The options of the call; `None` if it has none.
    pub options: Option<Box<Options>>,
    /// The options that the engine does not receive; `None` if there are none.
    pub admission: Option<Box<Admission>>,
}

/// The options of a call that are used up when it is accepted.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Admission {
    /// `true` if the call starts a new tree.
    pub new_root: bool,
    /// The CID to run under; `None` for a new one.
    pub cid: Option<Cid>,
    /// The labels of the call, without those that it inherits.
    pub labels: Labels,
    /// The first option that is not valid.
    pub refused: Option<OptionError>,
}

/// Calls that belong together, on their way into the bus.
#[derive(Debug)]
#[non_exhaustive]
pub struct GroupCall<'a> {
    /// The kind of group: `Parallel`, `FanOut` or `Chain`.
    pub channel: Channel,
    /// The calls, in the order of their rows; for a chain only the first.
    pub calls: Vec<Call<'a>>,
    /// For a chain: the services after the first.
    pub then: Vec<Cow<'a, str>>,
    /// The callbacks of each outcome.
    pub on_target: Vec<Cow<'a, str>>,
    /// The callbacks of the group's outcome.
    pub callbacks: Chosen<'a>,
    /// The callbacks of a group that ends in any outcome but `Completed`.
    pub on_failure: Chosen<'a>,
    /// The labels of the group and of all its members, beside those that they inherit.
    pub labels: Labels,
    /// The first option that is not valid.
    pub refused: Option<OptionError>,
}

impl<'a> GroupCall<'a> {
    /// A group without callbacks.
    pub fn new(channel: Channel, calls: Vec<Call<'a>>) -> Self {
        let (then, on_target) = (Vec::new(), Vec::new());
        let none = || Chosen::These(Box::default());
        let (labels, refused) = (Labels::default(), None);
        Self { channel, calls, then, on_target, callbacks: none(), on_failure: none(), labels, refused }
    }

    /// Attaches a label, or notes that it cannot be.
    pub fn label(&mut self, name: &str, value: String) {
        if let Err(error) = self.labels.set(name, value) {
            self.refused.get_or_insert(error.into());
        }
    }
}

/// The callbacks that a call asks for.
#[derive(Debug, Default)]
pub enum Chosen<'a> {
    /// The one that the caller's name leads to, if there is one.
    #[default]
    Convention,
    /// This, and none by convention.
    One(Cow<'a, str>),
    /// These, and none by convention.
    These(Box<[Cow<'a, str>]>),
}

impl<'a> Call<'a> {
    /// A call with no options.
    #[inline]
    pub fn new(target: Cow<'a, str>, payload: Result<Payload, WriteError>) -> Self {
        Self {
            target,
            payload,
            callbacks: Chosen::Convention,
            on_failure: Chosen::Convention,
            options: None,
            admission: None,
        }
    }

    /// The [`Admission`] of the call, to be changed.
    pub fn admission(&mut self) -> &mut Admission {
        self.admission.get_or_insert_default()
    }

    /// The options, to be changed.
    pub fn options(&mut self) -> &mut Options {
        self.options.get_or_insert_default()
    }

    /// Attaches a label, or notes that it cannot be.
    pub fn label(&mut self, name: &str, value: String) {
        let admission = self.admission();
        if let Err(error) = admission.labels.set(name, value) {
            admission.refused.get_or_insert(error.into());
        }
    }

    /// Sets an option, or notes that it cannot be.
    pub fn set<T>(&mut self, value: Result<T, OptionError>, set: impl FnOnce(&mut Options, T)) {
        match value {
            Ok(value) => set(self.options(), value),
            Err(error) => {
                self.admission().refused.get_or_insert(error);
            }
        }
    }
}

impl<'a> Chosen<'a> {
    /// Removes the callback by convention; callbacks that were named stay.
    pub fn without_convention(&mut self) {
        if matches!(self, Self::Convention) {
            *self = Self::These(Box::default());
        }
    }

    /// One more; the first replaces the convention.
    #[inline]
    pub fn add(&mut self, name: Cow<'a, str>) {
        *self = match std::mem::take(self) {
            Self::Convention => Self::One(name),
            Self::One(first) => Self::These([first, name].into()),
            Self::These(names) => Self::These(names.into_iter().chain([name]).collect()),
        };
    }
}

/// An answer that is usually there at once, and a future where it is not.
#[must_use = "a step does nothing until it is awaited"]
pub enum Step<'a, T> {
    /// The answer; `None` once it has been taken.
    Now(Option<T>),
    /// The answer, when it comes.
    Later(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
}

impl<'a, T> Step<'a, T> {
    /// An answer that is there.
    pub fn now(answer: T) -> Self {
        Self::Now(Some(answer))
    }

    /// An answer that will come.
    pub fn later(answer: impl Future<Output = T> + Send + 'a) -> Self {
        Self::Later(Box::pin(answer))
    }
}

impl<T: Unpin> Future for Step<'_, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<T> {
        match self.get_mut() {
            // A future that has returned is not polled again; one that is stays silent instead of panicking.
            Self::Now(answer) => answer.take().map_or(Poll::Pending, Poll::Ready),
            Self::Later(answer) => answer.as_mut().poll(cx),
        }
    }
}

impl<T> std::fmt::Debug for Step<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Now(_) => "Step::Now",
            Self::Later(_) => "Step::Later",
        })
    }
}
