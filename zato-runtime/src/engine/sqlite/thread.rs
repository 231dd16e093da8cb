//! The engine's own threads: each runs the jobs that it receives, one after the other.
//!
//! Whatever reads or writes the file runs here. The blocking threads of the user's tokio runtime are limited in number, and
//! handlers may hold all of them while they wait for a receipt: a writer that needed one of them would wait for ever.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tokio::runtime::Handle;

use super::file::error::StoreError;

type Job = Box<dyn FnOnce() + Send>;

enum Message {
    Run(Job),
    RunAt(Instant, Job),
    End,
}

/// A thread that sleeps while it has no job. It ends when it is told to, or when this is dropped; a job that panics ends
/// alone.
pub(super) struct Thread {
    messages: Sender<Message>,
    /// Taken by who waits for its end.
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Thread {
    /// Starts a thread for the store at `path`.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoThread`] if the system has none to give.
    pub(super) fn start(name: &'static str, path: &Path) -> Result<Self, StoreError> {
        let (messages, received) = channel();
        let spawned = spawn(name, move || run_all(&received));
        let handle =
            spawned.map_err(|source| StoreError::NoThread { path: path.to_owned(), name, source })?;
        Ok(Self { messages, handle: Mutex::new(Some(handle)) })
    }

    /// Runs a job after those that it has received before. A job that comes after the end is dropped.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let _ = self.messages.send(Message::Run(Box::new(job)));
    }

    /// Runs a job at some time, unless it is dropped or told to end before.
    pub(super) fn run_at(&self, at: Instant, job: impl FnOnce() + Send + 'static) {
        let _ = self.messages.send(Message::RunAt(at, Box::new(job)));
    }

    /// Ends after the jobs that it has received before.
    fn end(&self) {
        let _ = self.messages.send(Message::End);
    }

    /// Waits until it has ended; does not where it is the thread that asks.
    fn join(&self) {
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle.filter(|handle| handle.thread().id() != thread::current().id()) {
            // Every panic has been caught.
            let _ = handle.join();
        }
    }
}

/// The threads of an engine that is open. An idle one costs a stack that is hardly used, and no time.
pub(super) struct Threads {
    /// Writes changes and sweeps what is too old.
    pub(super) writer: Thread,
    /// Answers look-ups that read much.
    pub(super) reader: Thread,
    /// Reads what waits in the file alone and may start soon: it does not wait for a look-up that takes long.
    pub(super) pager: Thread,
    /// Counts what an earlier process has left, moves the log into the file, and looks whether there is room again and
    /// whether the writer gets on.
    pub(super) checkpointer: Thread,
}

impl Threads {
    /// Starts all of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoThread`] if the system has none to give; those that were started end.
    pub(super) fn start(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            writer: Thread::start("zato-sqlite-writer", path)?,
            reader: Thread::start("zato-sqlite-reader", path)?,
            pager: Thread::start("zato-sqlite-pager", path)?,
            checkpointer: Thread::start("zato-sqlite-checkpointer", path)?,
        })
    }

    /// Ends all of them, and waits for that.
    pub(super) fn end(&self) {
        let all = [&self.writer, &self.reader, &self.pager, &self.checkpointer];
        for thread in all {
            thread.end();
        }
        for thread in all {
            thread.join();
        }
    }
}

fn spawn(name: &'static str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    #[cfg(test)]
    if tests::NO_THREAD.get() == Some(name) {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

fn run_all(messages: &Receiver<Message>) {
    let mut later: BTreeMap<(Instant, usize), Job> = BTreeMap::new();
    let mut number = 0;
    loop {
        let message = match later.first_key_value() {
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(((at, _), _)) => messages.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        let job = match message {
            Ok(Message::Run(job)) => Some(job),
            Ok(Message::RunAt(at, job)) => {
                number += 1;
                later.insert((at, number), job);
                None
            }
            Err(RecvTimeoutError::Timeout) => later.pop_first().map(|(_, job)| job),
            Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return,
        };
        let Some(job) = job else { continue };
        quietly(job);
    }
}

/// Runs something.
///
/// # Errors
///
/// The message of its panic, if it panics.
pub(super) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = text(&*panic);
        // What a panic leaves may itself panic when it is dropped.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            mem::forget(second);
        }
        text
    })
}

/// Runs what may panic, as a subscriber to the log may, where the rest must go on. The panic is logged.
pub(super) fn quietly(run: impl FnOnce()) {
    if let Err(panic) = caught(run) {
        let _ = caught(|| {
            tracing::error!(
                thread = thread::current().name(),
                panic,
                "a job of the engine, or a log subscriber, panicked; the engine keeps running"
            );
        });
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

/// Keeps tokio's paused clock from advancing until it is dropped. Tokio advances a paused clock as soon as its own tasks
/// only wait, and does not see what other threads do for them; so one of its tasks waits for them.
pub(super) struct Standstill(#[expect(dead_code, reason = "it is dropped")] Sender<()>);

impl Standstill {
    /// Begins now, whether the task has a thread to run on or not.
    pub(super) fn begin(tokio: &Handle) -> Self {
        let (end, ends) = channel();
        tokio.spawn_blocking(move || ends.recv());
        Self(end)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    thread_local! {
        /// The thread that this test's system does not give.
        pub(super) static NO_THREAD: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    #[test]
    fn a_thread_goes_on_after_a_panic() {
        let thread = Thread::start("zato-test", Path::new("zato.db")).expect("there are threads");
        let (say, said) = channel();
        thread.run(|| panic!("a job panics"));
        thread.run(move || say.send(thread::current().name().map(str::to_owned)).expect("somebody listens"));
        assert_eq!(said.recv().expect("it goes on").as_deref(), Some("zato-test"));
    }

    #[test]
    fn a_thread_ends_after_its_jobs_and_takes_no_more() {
        let thread = Thread::start("zato-test", Path::new("zato.db")).expect("there are threads");
        let (say, said) = channel();
        for number in [1, 2] {
            let say = say.clone();
            thread.run(move || say.send(number).expect("somebody listens"));
        }
        thread.end();
        thread.join();
        assert_eq!(said.try_iter().collect::<Vec<_>>(), [1, 2]);
        thread.run(move || say.send(3).expect("somebody listens"));
        assert!(said.recv().is_err(), "the job was dropped");
    }

    #[test]
    fn what_is_for_later_runs_in_the_order_of_its_time() {
        let thread = Thread::start("zato-test", Path::new("zato.db")).expect("there are threads");
        let (say, said) = channel();
        let now = Instant::now();
        for number in [3_u8, 1, 2] {
            let say = say.clone();
            let at = now + Duration::from_millis(20) * u32::from(number);
            thread.run_at(at, move || say.send((number, at <= Instant::now())).expect("somebody listens"));
        }
        let order: Vec<_> = said.iter().take(3).collect();
        assert_eq!(order, [(1, true), (2, true), (3, true)]);
    }

    #[test]
    fn a_start_without_a_thread_says_which_and_why() {
        for name in ["zato-sqlite-writer", "zato-sqlite-checkpointer"] {
            NO_THREAD.set(Some(name));
            let refused = Threads::start(Path::new("zato.db")).map(drop).expect_err("there is none");
            let system = io::Error::from(io::ErrorKind::WouldBlock).to_string();
            let text = refused.to_string();
            assert!(text.contains(name) && text.contains(&system) && text.contains("zato.db"), "{text}");
        }
        NO_THREAD.set(None);
    }
}
