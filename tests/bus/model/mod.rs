//! The model test: random scripts, run on a paused clock, and what came of them held against the rules.
//!
//! `ZATO_TEST_SEEDS` says how many seeds are tried, `ZATO_TEST_SEED` tries one alone.

mod script;
mod maker;
mod log;
mod door;
mod services;
mod facts;
mod rules;
mod run;
mod seeds;
mod doctored;
