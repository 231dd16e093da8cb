//! The engine that keeps what it holds in one file, with the same state as every engine in front of it.
//!
//! Every verb changes the state under its lock, in memory, and answers when the changes are on disk: what waits for that
//! is written together, in one transaction. What a worker waits for is started in the step that makes it so, and handed
//! out after the same sync. What cannot be written stays in memory and is written later: nothing is said of it before.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;
use zato_core::bus::Step;
use zato_core::{Cid, ServiceName};

use super::batch::Granted;
use super::database::{Beginning, Database};
use super::file::begun::Begun;
use super::file::connect;
use super::file::disk_space::DiskSpace;
use super::file::error::StoreError;
use super::file::location::locate;
use super::read::queries;
use super::read::reader::{Reader, Reads};
use super::rows::kept::Counted;
use super::store::SqliteStore;
use super::thread::{Standstill, Thread, Threads};
use crate::base::clock::Clock;
use crate::config::Config;
use crate::engine::backpressure::Waiters;
use crate::engine::contract::{OnEnds, StoreFault};
use crate::engine::state::{State, Store as _};
use crate::record::{Batch, Delivery, Task};

/// How many are started at the most before a worker waits for them.
const MOST_AHEAD: usize = 1_024;

/// So many that end while the disk is busy once are many.
const MANY: usize = 8;

/// The engine: a handle to what it holds.
pub(crate) struct Sqlite(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) url: String,
    guarded: Mutex<Locked>,
    /// Which handlers have begun of what has lost its process.
    pub(super) begun: Begun,
    /// Locked before what is guarded, by whoever writes.
    pub(super) file: Mutex<Database>,
    /// For look-ups that read much.
    pub(super) reader: Reader,
    /// For reading what waits on disk alone.
    pub(super) pager: Reader,
    /// Moves the log into the file.
    pub(super) mover: Reader,
    pub(super) beginning: Arc<Beginning>,
    /// Whether somebody writes, or is about to; changed under the lock of what is guarded.
    pub(super) is_writing: AtomicBool,
    /// Whether something held the file locked for who read it, and nobody has seen to it.
    pub(super) is_locked_out: Arc<AtomicBool>,
    pub(super) reads: Arc<Reads>,
    /// The number of the read that was freed last, from 1, until who writes has seen to that.
    pub(super) freed_read: AtomicU64,
    /// Why nothing can be written at present, if so.
    pub(super) fault: watch::Sender<Option<StoreFault>>,
    /// Whether changes are not written in time: look-ups do not wait for them then.
    pub(super) is_behind: watch::Sender<bool>,
    /// How many times something was written, and whether somebody looks whether that goes on.
    pub(super) written: AtomicU64,
    pub(super) is_watched: AtomicBool,
    /// Whether the last try to write has failed.
    pub(super) is_failing: AtomicBool,
    /// What is wrong where it will not pass.
    pub(super) damage: watch::Sender<Option<StoreFault>>,
    /// Set when the engine is closed: what cannot be written now never will be.
    pub(super) is_closing: AtomicBool,
    /// Whether receipts are given before they are true: for the test of the test.
    pub(super) is_hasty: bool,
    pub(super) space: DiskSpace,
    /// What had ended when the file was opened, once it is counted and until the one that writes knows.
    pub(super) counted: Mutex<Option<Counted>>,
    /// When somebody looks what has become too old, at the latest.
    pub(super) due: watch::Sender<Option<SystemTime>>,
    /// What was accepted under numbers up to this one is left alone.
    pub(super) not_ours: u64,
    pub(super) leaves_alone: bool,
    /// Whether somebody moves the log into the file, and whether somebody has since the writer last looked.
    pub(super) is_moving: AtomicBool,
    pub(super) has_moved: AtomicBool,
    /// Whether somebody looks when there is room on the disk again.
    pub(super) is_watching_space: AtomicBool,
    /// Woken once for everything that can be handed out, or started.
    pub(super) startable: Notify,
    pub(super) line: Waiters,
    /// The names of the services that processes have ever announced, former names among them, each with the name of today.
    /// Written once, when this process has announced its own.
    pub(super) announced: OnceLock<HashMap<ServiceName, ServiceName>>,
    /// Receives the time of the next timer; none before the runtime has said who does.
    pub(super) on_ends: OnceLock<OnEnds>,
    /// Woken when nothing runs.
    pub(super) idle: Notify,
    /// For timers, and for a test's clock. Nothing that reads or writes runs on its threads.
    pub(super) tokio: Handle,
    pub(super) clock: Clock,
    pub(super) threads: Threads,
}

/// What one lock guards.
pub(super) struct Locked {
    pub(super) state: State<SqliteStore>,
    /// What has been started, is on disk and waits for a worker.
    pub(super) ready: VecDeque<Delivery>,
    /// How many have been started and are on their way to the disk.
    starting: usize,
    /// Those of them of which nothing is written: synchronous calls from outside, behind what was started before them.
    behind: HashSet<Cid>,
    /// How many workers wait for.
    wanted: usize,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sqlite").field(&self.0.url).finish()
    }
}

impl Sqlite {
    /// Opens the file, or makes it. Where the path is relative, it is so to the working directory of this moment.
    pub(crate) fn open(given: &Path, config: &Config, tokio: Handle) -> Result<Self, StoreError> {
        let path = &*locate(given)?;
        let file = Database::open(path, config)?;
        let threads = Threads::start(path)?;
        let mut not_ours = 0;
        if config.only_new {
            let reader = connect::open_reader(path)?;
            not_ours = queries::last_number(&reader).map_err(|error| StoreError::of(path, error))?;
        }
        let (is_locked_out, reads, inode) = (Arc::default(), Arc::default(), file.inode());
        let disk = SqliteStore::new(
            Reader::new(path, inode, &is_locked_out, &reads),
            config.keep_keys,
            config.clock.clone(),
            not_ours,
            file.callers(),
        );
        let state = State::new(config, config.max_waiting(true), disk);
        let inner = Arc::new(Inner {
            url: format!("sqlite:{}", given.display()),
            guarded: Mutex::new(Locked {
                state,
                ready: VecDeque::new(),
                starting: 0,
                behind: HashSet::new(),
                wanted: 0,
            }),
            reader: Reader::new(path, inode, &is_locked_out, &reads),
            pager: Reader::new(path, inode, &is_locked_out, &reads),
            mover: Reader::mover(path, inode, &is_locked_out),
            beginning: file.beginning(),
            is_writing: AtomicBool::new(false),
            begun: Begun::open(path),
            file: Mutex::new(file),
            is_locked_out,
            reads,
            freed_read: AtomicU64::new(0),
            fault: watch::Sender::new(None),
            is_behind: watch::Sender::new(false),
            written: AtomicU64::new(0),
            is_watched: AtomicBool::new(false),
            is_failing: AtomicBool::new(false),
            damage: watch::Sender::new(None),
            is_closing: AtomicBool::new(false),
            is_hasty: config.acknowledges_before_commit,
            space: DiskSpace::new(path, config.disk_reserve),
            counted: Mutex::new(None),
            due: watch::Sender::new(None),
            not_ours,
            leaves_alone: config.only_new,
            is_moving: AtomicBool::new(false),
            has_moved: AtomicBool::new(false),
            is_watching_space: AtomicBool::new(false),
            startable: Notify::new(),
            line: Waiters::default(),
            announced: OnceLock::new(),
            on_ends: OnceLock::new(),
            idle: Notify::new(),
            tokio,
            clock: config.clock.clone(),
            threads,
        });
        inner.open_mover();
        inner.sweep_in_time(config.clock.clone());
        Ok(Self(inner))
    }
}

impl Locked {
    /// Starts as many as workers wait for. Where many end while the disk is busy once, as many are to be in hand and as
    /// many on their way to the disk, so that what is called is started in the step that accepts it: those that a process
    /// which dies had not begun are counted with those that it had, so they are no more than twice those.
    /// What has no row before it ends is ready at once where nothing is on its way; answers with the rest.
    fn start(&mut self) -> Vec<Delivery> {
        let mut started = Vec::new();
        let recent = self.state.store.recent_ends();
        // Of a crowd half may be started before it is known how many end.
        let crowd = Some(self.state.startable() / 2).filter(|crowd| *crowd >= MANY).unwrap_or_default();
        let ahead = match self.wanted {
            0 if recent < MANY => 0,
            0 => (2 * recent).min(MOST_AHEAD),
            wanted => wanted.max((2 * recent).max(crowd).min(MOST_AHEAD)),
        };
        let now = self.state.clock.now();
        while self.ready.len() + self.starting < ahead {
            let Some(delivery) = self.state.deliver_next(now) else { break };
            if self.state.store.is_in_memory(&delivery.invocation) {
                // Nothing of it is written before it runs; but what was started before it begins before it.
                if self.starting == 0 {
                    self.ready.push_back(delivery);
                    continue;
                }
                self.behind.insert(delivery.invocation.cid);
            }
            self.starting += 1;
            started.push(delivery);
        }
        started
    }
}

impl Inner {
    /// Runs a job on one of the engine's threads, in the context of the tokio runtime: a paused clock is known only there.
    /// Such a clock stands still until the job is done.
    pub(super) fn run(&self, thread: &Thread, job: impl FnOnce() + Send + 'static) {
        let standstill = self.clock.is_paused_time().then(|| Standstill::begin(&self.tokio));
        let tokio = self.tokio.clone();
        thread.run(move || {
            let _standstill = standstill;
            let _entered = tokio.enter();
            job();
        });
    }

    /// Nothing that panics is done under the lock.
    pub(super) fn guarded(&self) -> MutexGuard<'_, Locked> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, starts what may be started then, and answers when all of it is on disk; or, if `hears_faults`,
    /// when it is not known whether it ever will be.
    pub(super) fn change<T: Send + 'static>(
        self: &Arc<Self>,
        hears_faults: bool,
        change: impl FnOnce(&mut State<SqliteStore>) -> T,
    ) -> Step<'static, Result<T, StoreFault>> {
        let mut answered = None;
        let then = || {
            let (answer, answers) = oneshot::channel();
            answered = Some(answers);
            move |changed: Option<T>| {
                // Who no longer listens needs no answer.
                let _ = changed.map(|changed| answer.send(changed));
                Batch::new()
            }
        };
        match self.change_and(change, then) {
            Err(fault) => return Step::now(Err(fault)),
            Ok(Some(changed)) => return Step::now(Ok(changed)),
            Ok(None) => {}
        }
        let Some(answered) = answered else { return Step::now(Err(self.unwritten())) };
        let inner = self.clone();
        Step::later(async move {
            if hears_faults {
                let mut faults = inner.fault.subscribe();
                tokio::select! {
                    biased;
                    answer = answered => answer.map_err(|_| inner.unwritten()),
                    Ok(fault) = faults.wait_for(Option::is_some) => Err(fault.clone().unwrap_or_else(|| inner.unwritten())),
                }
            } else {
                answered.await.map_err(|_| inner.unwritten())
            }
        })
    }

    /// Changes the state, starts what may be started then, and answers at once if all of it is on disk. Otherwise what
    /// `then` makes is called when it is, or with nothing when it never will be; workers get what that answers.
    pub(super) fn change_and<T: Send + 'static, R: FnOnce(Option<T>) -> Batch<Delivery> + Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut State<SqliteStore>) -> T,
        then: impl FnOnce() -> R,
    ) -> Result<Option<T>, StoreFault> {
        self.watch();
        let mut guarded = self.guarded();
        if guarded.state.store.is_closed() {
            return Err(self.closed().before_any_change());
        }
        guarded.state.run_due_timers();
        let rang = guarded.state.next_ring();
        let changed = change(&mut guarded.state);
        // Before anything of it is taken for a worker that may not come to it.
        self.tell_of_timer(&mut guarded);
        let were_ready = guarded.ready.len();
        let started = guarded.start();
        let is_ready = self.tell_of_ready(&guarded, were_ready);
        if !guarded.behind.is_empty() {
            self.tell_of_fault();
        }
        if guarded.state.next_ring() != rang {
            // What rings earlier than before is for who waits.
            self.startable.notify_one();
        }
        let (deferred, is_idle) = (guarded.state.take_deferred(), guarded.state.is_idle());
        let has_read_request = guarded.state.has_read_request();
        if self.is_locked_out.load(Ordering::Relaxed) {
            let inner = self.clone();
            self.run(&self.threads.writer, move || {
                inner.look_at_locks();
            });
        }
        if guarded.state.store.is_clean() && started.is_empty() {
            drop(guarded);
            if is_ready {
                self.line.wake();
            }
            deferred.finish();
            if is_idle {
                self.idle.notify_waiters();
            }
            if has_read_request {
                self.feed();
            }
            return Ok(Some(changed));
        }
        let inner = self.clone();
        let (early, late) =
            if self.is_hasty { (Some(changed), None) } else { (None, Some((changed, then()))) };
        guarded.state.store.after(Box::new(move |handed| {
            let Some(handed) = handed else {
                late.map(|(_, then)| then(None));
                return;
            };
            deferred.finish();
            handed.all.extend(late.map(|(changed, then)| then(Some(changed))).unwrap_or_default());
            if is_idle {
                inner.idle.notify_waiters();
            }
            handed.started += started.len();
            handed.all.extend(started);
        }));
        self.kick(guarded);
        if is_ready {
            self.line.wake();
        }
        if has_read_request {
            self.feed();
        }
        Ok(early)
    }

    /// Has who waits for a synchronous call from outside look whether it is held up by a fault, if there is one.
    pub(super) fn tell_of_fault(&self) {
        if self.fault.borrow().is_some() {
            self.fault.send_modify(|_| {});
        }
    }

    /// Whether a synchronous call from outside waits for the writer: it is not begun, or its end is not written.
    pub(super) fn is_held_up(&self, cid: Cid) -> bool {
        let guarded = self.guarded();
        guarded.behind.contains(&cid) || guarded.state.has_ended_in_memory(cid)
    }

    /// Wakes a worker where more is ready than was. Answers whether that is so.
    fn tell_of_ready(&self, guarded: &Locked, before: usize) -> bool {
        let mut new = guarded.ready.iter().skip(before).peekable();
        if new.peek().is_none() {
            return false;
        }
        if let Some(tell) = self.on_ends.get()
            && new.any(|delivery| delivery.task != Task::Run)
        {
            tell(Instant::now());
        }
        self.startable.notify_one();
        true
    }

    /// Tells when the next timer rings.
    fn tell_of_timer(&self, guarded: &mut Locked) {
        if let Some(tell) = self.on_ends.get()
            && let Some(at) = guarded.state.timer_to_tell()
        {
            tell(at);
        }
    }

    /// Hands out what is to be ended now without being run, also where it was to be handed to a worker, and wakes a worker if
    /// something may start; says when the next timer rings.
    pub(super) fn hand_out_ends(self: &Arc<Self>, most: usize) -> (Batch<Delivery>, Option<Instant>) {
        let mut guarded = self.guarded();
        guarded.state.run_due_timers();
        let (mut ends, next) = guarded.state.deliver_ends(most);
        if guarded.ready.iter().any(|delivery| delivery.task != Task::Run) {
            let ready = std::mem::take(&mut guarded.ready);
            let (ready, unrun): (VecDeque<_>, VecDeque<_>) =
                ready.into_iter().partition(|delivery| delivery.task == Task::Run);
            guarded.ready = ready;
            ends.extend(unrun);
        }
        let (has_read_request, startable) = (guarded.state.has_read_request(), guarded.state.can_deliver());
        drop(guarded);
        if !ends.is_empty() {
            self.line.wake();
        }
        if startable {
            // The worker that waited for this timer may be blocked by now.
            self.startable.notify_one();
        }
        if has_read_request {
            self.feed();
        }
        (ends, next)
    }

    /// Why a change that has been made is not recorded.
    fn unwritten(&self) -> StoreFault {
        StoreFault::new(&format!("`{}` was closed before it could be written", self.url))
    }

    /// Why nothing can be changed or looked up any more.
    pub(super) fn closed(&self) -> StoreFault {
        StoreFault::new(&format!("`{}` is closed: its runtime was shut down, or has ended", self.url))
    }

    /// What has been started is on disk: workers may have it.
    pub(super) fn hand_out(self: &Arc<Self>, handed: Granted) {
        if handed.all.is_empty() {
            return;
        }
        let mut guarded = self.guarded();
        guarded.starting -= handed.started;
        if !guarded.behind.is_empty() {
            for delivery in &handed.all {
                guarded.behind.remove(&delivery.invocation.cid);
            }
        }
        if let Some(tell) = self.on_ends.get()
            && handed.all.iter().any(|delivery| delivery.task != Task::Run)
        {
            tell(Instant::now());
        }
        guarded.ready.extend(handed.all);
        let is_late = guarded.state.starts_nothing;
        drop(guarded);
        if is_late {
            self.put_back_unbegun();
        }
        self.startable.notify_one();
        self.line.wake();
    }

    /// A shutdown has begun: what has not been begun is left to the next process, but for what ends with this one.
    pub(super) fn put_back_unbegun(self: &Arc<Self>) {
        let mut guarded = self.guarded();
        let ready = std::mem::take(&mut guarded.ready);
        let is_left = |delivery: &Delivery| {
            delivery.task == Task::Run && !guarded.state.store.is_in_memory(&delivery.invocation)
        };
        let (unbegun, rest): (VecDeque<_>, _) = ready.into_iter().partition(is_left);
        guarded.ready = rest;
        drop(guarded);
        drop(self.change(false, move |state| unbegun.iter().for_each(|delivery| state.put_back(delivery))));
    }

    /// Takes up to `most` of what is ready.
    pub(super) fn take_ready(&self, most: usize) -> Batch<Delivery> {
        let mut guarded = self.guarded();
        let most = most.min(guarded.ready.len());
        let taken: Batch<_> = guarded.ready.drain(..most).collect();
        let more = !guarded.ready.is_empty();
        drop(guarded);
        if more {
            self.startable.notify_one();
        }
        taken
    }

    /// Waits for something to run.
    pub(super) async fn deliver(self: &Arc<Self>, most: usize) -> Batch<Delivery> {
        loop {
            let startable = self.startable.notified();
            let taken = self.take_ready(most);
            if !taken.is_empty() {
                return taken;
            }
            let _wanting = Wanting::new(self, most);
            // What waits is started for this worker.
            let _ = self.change_and(|_| (), || |_| Batch::new());
            let rings = self.guarded().state.next_ring();
            match rings {
                Some(rings) => drop(tokio::time::timeout_at(rings, startable).await),
                None => startable.await,
            }
        }
    }
}

/// A worker that waits for so many.
struct Wanting<'a> {
    inner: &'a Inner,
    most: usize,
}

impl<'a> Wanting<'a> {
    fn new(inner: &'a Inner, most: usize) -> Self {
        inner.guarded().wanted += most;
        Self { inner, most }
    }
}

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        self.inner.guarded().wanted -= self.most;
    }
}
