//! The shapes of work that are measured, as `bar`, its floors, the peers and the guards share them.

#![allow(dead_code, reason = "each program that includes these files uses a part of them")]

pub(crate) mod shapes;
pub(crate) mod rounds;
pub(crate) mod group;
pub(crate) mod services;
