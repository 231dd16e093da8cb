//! The files that the benchmarks of this project share with the peers.

#![allow(dead_code)]

#[path = "../../../zato-runtime/benches/shape/group.rs"]
pub(crate) mod group;
#[path = "../../../zato-runtime/benches/shape/rounds.rs"]
pub(crate) mod rounds;
#[path = "../../../zato-runtime/benches/shape/shapes.rs"]
pub(crate) mod shapes;
