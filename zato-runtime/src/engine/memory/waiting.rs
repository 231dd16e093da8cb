//! What waits on its way past the state, until a worker takes it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};

use super::in_hand::{Came, InHand, One};
use crate::apart::Apart;

/// Some of the service wait here, or have waited, and nobody has looked since.
pub(super) const WAITS: u8 = 1;

/// The service is paused.
pub(super) const PAUSED: u8 = 2;

/// What is to be known of a service by who does not hold the lock. Who takes the last that waits does not say so: a worker
/// that takes and one that calls would write it in turn, for each.
pub(super) type Sign = Apart<AtomicU8>;

/// Whoever holds the lock is the only one who writes.
#[inline]
pub(super) fn set(sign: &Sign, what: u8, is_so: bool) {
    let said = sign.load(Ordering::Relaxed);
    let says = if is_so { said | what } else { said & !what };
    if says != said {
        sign.store(says, Ordering::Relaxed);
    }
}

/// What no worker has taken.
pub(super) struct Waiting {
    pub(super) is_open: bool,
    services: Box<[VecDeque<One>]>,
    /// The services of which some wait, in the order of their turns.
    turns: VecDeque<u32>,
    /// How many wait.
    pub(super) len: usize,
    /// How many of them room is not kept for.
    beside: usize,
    beside_bytes: usize,
    /// How many have come, in all.
    order: u64,
}

impl Waiting {
    pub(super) fn new(services: usize) -> Self {
        Self {
            is_open: false,
            services: (0..services).map(|_| VecDeque::new()).collect(),
            turns: VecDeque::new(),
            len: 0,
            beside: 0,
            beside_bytes: 0,
            order: 0,
        }
    }

    /// How many wait that room is not kept for, and how many bytes of payload they have.
    pub(super) fn beside(&self) -> (usize, usize) {
        (self.beside, self.beside_bytes)
    }

    #[inline]
    pub(super) fn push(&mut self, service: u32, came: Came, signs: &[Sign]) {
        let count = self.count_in(&came);
        let queue = &mut self.services[service as usize];
        if queue.is_empty() {
            self.turns.push_back(service);
            set(&signs[service as usize], WAITS, true);
        }
        queue.push_back((self.order, came));
        self.order += count as u64;
    }

    pub(super) fn put_back(&mut self, service: u32, one: One, signs: &[Sign]) {
        self.count_in(&one.1);
        let queue = &mut self.services[service as usize];
        if queue.is_empty() {
            self.turns.push_front(service);
            set(&signs[service as usize], WAITS, true);
        }
        queue.push_front(one);
    }

    /// Gives the next; answers whether there was one.
    #[inline]
    pub(super) fn pop(&mut self, to: &mut InHand) -> bool {
        let Some(service) = self.turns.pop_front() else { return false };
        let queue = &mut self.services[service as usize];
        if let Some((order, Came::Members(members))) = queue.front_mut() {
            let one = members.next(*order);
            *order += 1;
            if members.is_empty() {
                queue.pop_front();
            }
            if let Some(one) = one {
                self.count_out_beside(one.member.payload.len());
                to.push_member(one);
            }
        } else if let Some(one) = queue.pop_front() {
            if let Came::Beside(_, bytes) = one.1 {
                self.count_out_beside(bytes);
            }
            to.push(service, one);
        }
        self.len -= 1;
        if self.has(service) {
            self.turns.push_back(service);
        }
        true
    }

    /// Whether any of a service wait.
    #[inline]
    pub(super) fn has(&self, service: u32) -> bool {
        !self.services[service as usize].is_empty()
    }

    #[inline]
    fn count_out_beside(&mut self, bytes: usize) {
        (self.beside, self.beside_bytes) = (self.beside - 1, self.beside_bytes - bytes);
    }

    /// Answers how many they are.
    #[inline]
    fn count_in(&mut self, came: &Came) -> usize {
        let (count, bytes) = came.beside_of();
        self.len += count.max(1);
        (self.beside, self.beside_bytes) = (self.beside + count, self.beside_bytes + bytes);
        count.max(1)
    }
}
