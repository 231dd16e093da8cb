//! Queues of invocations that may start, one for each service. Services take turns.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use zato_core::{Invocation, Rate, ServiceName};

use super::lanes::Lanes;
use super::place::Ticket;
use crate::engine::rate::Limiter;
use crate::record::Hosted;

/// How many places are kept for a queue that is empty.
const MOST_SPARE: usize = 64;

/// The queues of all services. They may hold tickets that are void.
#[derive(Debug)]
pub(in crate::engine) struct Queues {
    /// The number of each service.
    index: HashMap<ServiceName, u32, foldhash::fast::RandomState>,
    /// The same by where the name stands, which is told without reading it.
    by_place: HashMap<(usize, usize), u32, foldhash::fast::RandomState>,
    pub(super) services: Vec<Queue>,
    /// Their names.
    pub(super) names: Vec<ServiceName>,
    /// Those beyond which something stands that is not known to be written down.
    pub(super) unwritten: Vec<u32>,
    /// The services that something can be started of, in the order of their turns.
    turns: VecDeque<u32>,
    /// Those that have used up their rate, and until when.
    limited: BinaryHeap<Reverse<(Instant, u32)>>,
    /// Those that something stands beyond whose queue of which is short, so that it is to be read.
    pub(super) to_read: VecDeque<u32>,
    /// Those that something stands beyond of which the first is not due yet, and when it is.
    pub(super) dues: BinaryHeap<Reverse<(SystemTime, u32)>>,
    /// How many a queue holds, where what stands behind them is written down.
    pub(super) window: usize,
    /// How many tickets there are, void ones too.
    pub(super) len: usize,
    /// How many wait of services that are paused or not hosted.
    stuck: usize,
}

/// What waits for one service.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says another thing, and all can be at once")]
pub(in crate::engine) struct Queue {
    /// By priority, the higher first; within one, in the order in which they came to be due. None is empty.
    pub(super) due: BTreeMap<Reverse<i8>, VecDeque<Ticket>>,
    /// One that has become empty, for the next that comes: a queue is empty again and again where workers keep up.
    spare: VecDeque<Ticket>,
    pub(in crate::engine) lanes: Lanes,
    /// How many wait, due or not.
    waiting: usize,
    running: usize,
    pub(in crate::engine) concurrency: Option<u32>,
    /// Of what names none.
    priority: i8,
    limiter: Option<Limiter>,
    pub(in crate::engine) rate: Option<Rate>,
    /// Whether its rate is used up for now.
    pub(in crate::engine) is_limited: bool,
    pub(in crate::engine) is_hosted: bool,
    pub(in crate::engine) is_paused: bool,
    /// How many deaths of its process end an invocation of it as `Lost`, where its call does not say; none where no
    /// process that hosts it has said.
    max_losses: Option<u32>,
    has_turn: bool,
    pub(super) spill: Spill,
}

/// What stands behind all that a queue holds.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says another thing, and all can be at once")]
pub(super) struct Spill {
    /// Whether there may be something that is due.
    pub(super) is_some: bool,
    /// The highest priority that something of it may have, where `is_some`; but for what has come to be due in the file,
    /// which stands behind what the queue holds. Until the file is read for the first time it may be any.
    pub(super) highest: i8,
    /// When the first is due of what is not.
    pub(super) due: Option<SystemTime>,
    /// What is not known to be written down.
    pub(super) unwritten: VecDeque<Unwritten>,
    /// What is held in memory alone and stands behind what the queue holds, in the order in which it starts.
    pub(super) in_memory: BTreeMap<Position, Ticket>,
    /// Whether nothing of it is read any more, since a shutdown has begun.
    pub(super) is_closed: bool,
    /// Whether the service is in [`Queues::unwritten`], where it stays until that is next looked through.
    pub(super) is_listed: bool,
    /// Whether it is being read.
    pub(super) is_read: bool,
    /// How many stood in the way of others when that was last done: they are held, and something else holds them up.
    pub(super) in_the_way: usize,
    /// The highest priority of what has been written down since that began, and may not be seen.
    pub(super) missed: Option<i8>,
    /// When the first is due of what is not and has been written down since that began.
    pub(super) missed_due: Option<SystemTime>,
}

/// Where an invocation stands among those of its service, in the order in which they start: its priority, when it came to
/// be due, and a number that grows with each acceptance.
pub(super) type Position = (Reverse<i8>, SystemTime, u64);

/// One that is not known to be written down where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unwritten {
    /// It is written when all is that was numbered up to this.
    pub(super) number: u64,
    pub(super) priority: i8,
    pub(super) ticket: Ticket,
}

impl Queue {
    pub(in crate::engine) fn has_place(&self) -> bool {
        self.concurrency.is_none_or(|most| self.running < most as usize)
    }

    /// Whether anything of this service may start at all.
    pub(super) fn is_open(&self) -> bool {
        self.is_hosted && !self.is_paused
    }

    fn may_start(&self) -> bool {
        self.is_open() && !self.is_limited && self.has_place() && !self.is_outranked()
    }

    /// Whether something beyond may have a higher priority than all that the queue holds: it is read first.
    pub(super) fn is_outranked(&self) -> bool {
        let first = self.due.first_key_value().map(|(Reverse(priority), _)| *priority);
        self.spill.is_some && !self.spill.is_closed && first.is_some_and(|first| self.spill.highest > first)
    }

    pub(super) fn len(&self) -> usize {
        self.due.values().map(VecDeque::len).sum()
    }

    fn first(&self) -> Option<&Ticket> {
        self.due.first_key_value()?.1.front()
    }

    fn pop(&mut self) -> Option<Ticket> {
        let mut first = self.due.first_entry()?;
        let ticket = first.get_mut().pop_front();
        if first.get().is_empty() {
            let empty = first.remove();
            if empty.capacity() <= MOST_SPARE {
                self.spare = empty;
            }
        }
        ticket
    }
}

impl Queues {
    /// None yet.
    pub(in crate::engine) fn new(window: usize) -> Self {
        Self {
            index: HashMap::default(),
            by_place: HashMap::default(),
            services: Vec::new(),
            names: Vec::new(),
            unwritten: Vec::new(),
            turns: VecDeque::new(),
            limited: BinaryHeap::new(),
            to_read: VecDeque::new(),
            dues: BinaryHeap::new(),
            window: window.max(2),
            len: 0,
            stuck: 0,
        }
    }

    /// What is known of the services before anything is accepted.
    pub(in crate::engine) fn announce(&mut self, services: &[Hosted]) {
        for service in services {
            let number = self.number(&service.name);
            let queue = self.of_mut(number);
            queue.is_hosted = true;
            queue.concurrency = service.concurrency;
            queue.priority = service.priority;
            queue.rate = service.rate;
            queue.max_losses = Some(service.max_losses);
            queue.limiter = service.rate.and_then(Limiter::new);
        }
    }

    /// A service's number; it is given one when it is first asked for.
    pub(in crate::engine) fn number(&mut self, service: &ServiceName) -> u32 {
        if let Some(number) = self.by_place.get(&service.place()) {
            return *number;
        }
        let number = self.number_by_name(service);
        self.by_place.insert(service.place(), number);
        number
    }

    fn number_by_name(&mut self, service: &ServiceName) -> u32 {
        if let Some(number) = self.index.get(service) {
            return *number;
        }
        self.services.push(Queue::default());
        self.names.push(*service);
        // So many services no program has.
        let number = u32::try_from(self.services.len() - 1).unwrap_or(u32::MAX);
        self.index.insert(*service, number);
        number
    }

    pub(in crate::engine) fn of(&self, service: u32) -> &Queue {
        &self.services[service as usize]
    }

    pub(in crate::engine) fn of_mut(&mut self, service: u32) -> &mut Queue {
        &mut self.services[service as usize]
    }

    /// Gives a service its turn, if something can be started of it and it has none.
    pub(super) fn give_turn(&mut self, service: u32) {
        let queue = self.of_mut(service);
        if !queue.has_turn && !queue.due.is_empty() && queue.may_start() {
            queue.has_turn = true;
            self.turns.push_back(service);
        }
    }

    /// One more of this service waits.
    pub(in crate::engine) fn entered(&mut self, service: u32) {
        let queue = self.of_mut(service);
        queue.waiting += 1;
        self.stuck += usize::from(!queue.is_open());
    }

    /// One of this service waits no longer.
    pub(in crate::engine) fn left(&mut self, service: u32) {
        let queue = self.of_mut(service);
        queue.waiting -= 1;
        self.stuck -= usize::from(!queue.is_open());
    }

    /// A service's number, if it has one.
    pub(in crate::engine) fn known(&self, service: &ServiceName) -> Option<u32> {
        self.index.get(service).copied()
    }

    /// What a process that hosts a service said of it, where this one does not.
    pub(in crate::engine) fn is_known(&mut self, service: u32, priority: i8, max_losses: u32) {
        let queue = self.of_mut(service);
        if !queue.is_hosted {
            (queue.priority, queue.max_losses) = (priority, Some(max_losses));
        }
    }

    /// How many deaths of its process end an invocation as `Lost`: what its call says, or its service; none where that is
    /// not known here.
    pub(in crate::engine) fn max_losses(&self, service: u32, invocation: &Invocation) -> Option<u32> {
        let options = invocation.options.as_deref();
        options.and_then(|options| options.max_losses).or(self.of(service).max_losses)
    }

    /// A process before this one started an invocation of this service so long ago, and none later.
    pub(in crate::engine) fn last_started(&mut self, service: u32, ago: Duration) {
        if let Some(limiter) = &mut self.of_mut(service).limiter {
            limiter.last_started(Instant::now(), ago);
        }
    }

    /// What it goes by before others of its service: what its call says, or its service.
    pub(in crate::engine) fn priority(&self, service: u32, invocation: &Invocation) -> i8 {
        let options = invocation.options.as_deref();
        options.and_then(|options| options.priority).unwrap_or(self.of(service).priority)
    }

    /// It is due: it may start when its turn has come.
    pub(in crate::engine) fn push(&mut self, service: u32, invocation: &Invocation, ticket: Ticket) {
        let priority = self.priority(service, invocation);
        let Queue { due, spare, .. } = self.of_mut(service);
        due.entry(Reverse(priority)).or_insert_with(|| std::mem::take(spare)).push_back(ticket);
        self.len += 1;
        self.give_turn(service);
    }

    /// The next one, which is to be [`started`](Self::started): its service then goes to the end of the turns.
    pub(in crate::engine) fn pop(&mut self, is_valid: impl Fn(&Ticket) -> bool) -> Option<Ticket> {
        while let Some(service) = self.turns.pop_front() {
            let queue = &mut self.services[service as usize];
            queue.has_turn = false;
            while queue.first().is_some_and(|first| !is_valid(first)) {
                queue.pop();
                self.len -= 1;
            }
            // What held when it was given its turn may hold no longer.
            let starts = queue.first().is_some() && queue.may_start() && self.takes_rate(service);
            let ticket = if starts { self.of_mut(service).pop() } else { None };
            self.len -= usize::from(ticket.is_some());
            self.request_refill(service);
            if ticket.is_some() {
                return ticket;
            }
        }
        None
    }

    /// Counts one that starts; a service whose rate is used up waits until it is not.
    fn takes_rate(&mut self, service: u32) -> bool {
        let queue = self.of_mut(service);
        match queue.limiter.as_mut().map_or(Ok(()), |limiter| limiter.take(Instant::now())) {
            Ok(()) => true,
            Err(until) => {
                queue.is_limited = true;
                self.limited.push(Reverse((until, service)));
                false
            }
        }
    }

    /// Whether nothing that stands beyond is due later.
    pub(in crate::engine) fn has_no_dues(&self) -> bool {
        self.dues.is_empty()
    }

    /// When the next rate is no longer used up.
    pub(in crate::engine) fn next_ring(&self) -> Option<Instant> {
        self.limited.peek().map(|Reverse((until, _))| *until)
    }

    /// Lets those start again whose rate allows it by now.
    pub(in crate::engine) fn ring(&mut self) {
        if self.limited.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(Reverse((until, service))) = self.limited.peek().copied()
            && until <= now
        {
            self.limited.pop();
            self.of_mut(service).is_limited = false;
            self.give_turn(service);
        }
    }

    /// Lets nothing of this service start, or lets it start again.
    pub(in crate::engine) fn pause(&mut self, service: u32, paused: bool) {
        let queue = self.of_mut(service);
        let was_open = queue.is_open();
        queue.is_paused = paused;
        match (was_open, queue.is_open()) {
            (true, false) => self.stuck += self.services[service as usize].waiting,
            (false, true) => self.stuck -= self.services[service as usize].waiting,
            _ => {}
        }
        self.give_turn(service);
        self.request_refill(service);
    }

    /// How many tickets there are, void ones too.
    pub(in crate::engine) fn len(&self) -> usize {
        self.len
    }

    /// How many wait that cannot start, because their service is paused or not hosted.
    pub(in crate::engine) fn stuck(&self) -> usize {
        self.stuck
    }

    /// Forgets void tickets.
    pub(in crate::engine) fn retain(&mut self, is_valid: impl Fn(&Ticket) -> bool) {
        self.len = 0;
        for queue in &mut self.services {
            queue.due.retain(|_, tickets| {
                tickets.retain(&is_valid);
                self.len += tickets.len();
                !tickets.is_empty()
            });
        }
        for service in 0..u32::try_from(self.services.len()).unwrap_or(u32::MAX) {
            self.request_refill(service);
        }
    }

    /// One of this service has been started: it takes a place.
    pub(in crate::engine) fn started(&mut self, service: u32) {
        self.of_mut(service).running += 1;
        self.give_turn(service);
    }

    /// What was to be started of this service has been set aside: the next may be.
    pub(in crate::engine) fn set_aside(&mut self, service: u32) {
        self.give_turn(service);
    }

    /// One of this service has ended: its place is free.
    pub(in crate::engine) fn ended(&mut self, service: u32) {
        self.of_mut(service).running -= 1;
        self.give_turn(service);
    }

    /// Whether one of this service starts before all that waits, because nothing does and there is a place; it then
    /// counts as one that starts.
    pub(in crate::engine) fn takes_at_once(&mut self, service: u32) -> bool {
        let queue = self.of(service);
        queue.due.is_empty() && !queue.spill.is_some && queue.may_start() && self.takes_rate(service)
    }

    /// Whether nothing can be started.
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }
}
