//! The rules, by what they are about.

mod starts;
mod attempts;
mod callbacks;
mod cancels;
mod groups;
mod letters;
mod again;
mod shutdown;
mod check;

pub(crate) use check::check;
