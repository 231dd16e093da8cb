//! What comes to pass by the state, as it waits and as a worker has it in hand.

use std::collections::VecDeque;
use std::sync::Arc;
use std::vec;

use zato_core::{Cid, Invocation, ServiceName, Slot};

use crate::engine::express::{PlainCall, PlainMember};

/// One that nobody has begun, with its place in the order in which they came.
pub(super) type One = (u64, Came);

/// What has come. A call stands in as few lines of the cache as it can, since they are written by one core and read by
/// another; who runs it makes its invocation.
pub(super) enum Came {
    Call(PlainCall),
    /// What follows from something that was taken before.
    Made(Arc<Invocation>),
    /// One that room is not kept for, with how many bytes of payload it has.
    Beside(Arc<Invocation>, usize),
    /// All of a group that nobody has taken, which are of one service. They are taken one by one.
    Members(Box<Untaken>),
}

/// Members of a group, with the slot of the first.
pub(super) struct Untaken {
    all: vec::IntoIter<PlainMember>,
    slot: Slot,
}

impl Untaken {
    pub(super) fn new(group: Cid, all: Vec<PlainMember>) -> Self {
        Self { all: all.into_iter(), slot: Slot { group, index: 0 } }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.all.len() == 0
    }

    #[inline]
    pub(super) fn next(&mut self, order: u64) -> Option<OneMember> {
        let (member, slot) = (self.all.next()?, self.slot);
        self.slot.index += 1;
        Some(OneMember { order, member, slot })
    }
}

/// One of them that was taken. Who runs it makes its invocation, and frees it.
pub(super) struct OneMember {
    pub(super) order: u64,
    pub(super) member: PlainMember,
    pub(super) slot: Slot,
}

impl OneMember {
    /// The invocation that it becomes, of this service.
    #[inline]
    pub(super) fn invocation(self, service: ServiceName) -> Arc<Invocation> {
        Arc::new(self.member.invocation(service, self.slot))
    }

    /// The same as one that stands by itself.
    pub(super) fn one(self, service: ServiceName) -> (u32, One) {
        let (number, order) = (self.member.service, self.order);
        (number, (order, Came::beside(self.invocation(service))))
    }
}

impl Came {
    pub(super) fn beside(invocation: Arc<Invocation>) -> Self {
        let bytes = invocation.payload.len();
        Self::Beside(invocation, bytes)
    }

    /// The group of which it is a member.
    pub(super) fn group(&self) -> Option<Cid> {
        match self {
            Self::Beside(invocation, _) => invocation.slot.map(|slot| slot.group),
            Self::Call(_) | Self::Made(_) | Self::Members(_) => None,
        }
    }

    /// The invocation of this service that one has become which was taken.
    #[inline]
    pub(super) fn invocation(self, service: ServiceName) -> Option<Arc<Invocation>> {
        match self {
            Self::Call(call) => Some(Arc::new(call.invocation(service))),
            Self::Made(invocation) | Self::Beside(invocation, _) => Some(invocation),
            Self::Members(_) => None,
        }
    }

    /// How many there are that room is not kept for, and how many bytes of payload they have.
    #[inline]
    pub(super) fn beside_of(&self) -> (usize, usize) {
        match self {
            Self::Call(_) | Self::Made(_) => (0, 0),
            Self::Beside(_, bytes) => (1, *bytes),
            Self::Members(members) => {
                let all = members.all.as_slice();
                (all.len(), all.iter().map(|member| member.payload.len()).sum())
            }
        }
    }
}

/// What was taken of what waits, and nobody has begun.
#[derive(Default)]
pub(super) struct InHand {
    /// Each with the number of its service.
    ones: VecDeque<(u32, One)>,
    /// Members of groups that were taken together.
    members: VecDeque<OneMember>,
}

impl InHand {
    /// How many are in hand.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.ones.len() + self.members.len()
    }

    #[inline]
    pub(super) fn push(&mut self, service: u32, one: One) {
        self.ones.push_back((service, one));
    }

    #[inline]
    pub(super) fn push_member(&mut self, member: OneMember) {
        self.members.push_back(member);
    }

    /// The next in hand, and the number of its service.
    #[inline]
    pub(super) fn next(&mut self, names: &[ServiceName]) -> Option<(u32, Arc<Invocation>)> {
        if !self.members.is_empty() && self.is_member_next() {
            let member = self.members.pop_front()?;
            let service = member.member.service;
            return Some((service, member.invocation(names[service as usize])));
        }
        let (service, (_, came)) = self.ones.pop_front()?;
        Some((service, came.invocation(names[service as usize])?))
    }

    /// Of those in hand that which came first is next.
    fn is_member_next(&self) -> bool {
        let of_members = self.members.front().map(|member| member.order);
        let of_others = self.ones.front().map(|(_, (order, _))| *order);
        of_members.is_some_and(|order| of_others.is_none_or(|other| order < other))
    }

    /// The group of which the next in hand is a member.
    pub(super) fn next_group(&self) -> Option<Cid> {
        if self.is_member_next() {
            return self.members.front().map(|member| member.slot.group);
        }
        self.ones.front().and_then(|(_, (_, came))| came.group())
    }

    /// Takes all out of the hand, in any order.
    pub(super) fn drain<'a>(&'a mut self, names: &'a [ServiceName]) -> impl Iterator<Item = (u32, One)> + 'a {
        let members = self.members.drain(..);
        let members = members.map(|member| {
            let name = names[member.member.service as usize];
            member.one(name)
        });
        self.ones.drain(..).chain(members)
    }
}
