//! The rules, by what they are about.

mod attempts;
mod callbacks;
mod cancels;
mod groups;
mod check;

pub(crate) use check::check;
