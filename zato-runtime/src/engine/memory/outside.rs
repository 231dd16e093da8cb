//! What a worker has begun, and goes on by itself since it waits for something.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::engine::express::{Begun, OnEntered};
use crate::record::Delivery;

/// Room for more is given up when the last has ended.
const MANY: usize = 1_024;

/// One of them.
pub(super) enum Outside {
    /// It has not been entered. Who enters it says so to this.
    Passes(Begun, Arc<dyn Any + Send + Sync>),
    Entered(Delivery),
}

/// Those that one worker has begun, each under a number until it has ended.
#[derive(Default)]
pub(super) struct Outsiders {
    all: Vec<Option<Outside>>,
    free: Vec<u32>,
}

impl Outsiders {
    /// Keeps one; answers under which number.
    pub(super) fn insert(&mut self, outside: Outside) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.all.push(None);
            u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
        });
        self.all[number as usize] = Some(outside);
        number
    }

    /// One that has not been entered.
    pub(super) fn passing(&self, number: u32) -> Option<&Begun> {
        match self.all.get(number as usize)? {
            Some(Outside::Passes(begun, _)) => Some(begun),
            _ => None,
        }
    }

    /// Takes one: it has ended.
    pub(super) fn take(&mut self, number: u32) -> Option<Outside> {
        let outside = self.all.get_mut(number as usize)?.take()?;
        self.free.push(number);
        if self.free.len() == self.all.len() && self.all.len() > MANY {
            *self = Self::default();
        }
        Some(outside)
    }

    /// Enters each that has not been; answers how many there were.
    pub(super) fn enter(&mut self, mut enter: impl FnMut(&Begun) -> Delivery, told: &OnEntered) -> usize {
        let mut count = 0;
        for outside in self.all.iter_mut().flatten() {
            if let Outside::Passes(begun, whom) = outside {
                let delivery = enter(begun);
                told(delivery.id(), whom.clone());
                *outside = Outside::Entered(delivery);
                count += 1;
            }
        }
        count
    }
}

/// How many go on by themselves, and how many may.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) count: AtomicUsize,
    pub(super) most: AtomicUsize,
}
