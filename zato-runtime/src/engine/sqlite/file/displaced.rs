//! The ways in which the files of a store can be taken away or replaced while they are open.

use std::fmt;
use std::io;
use std::path::Path;

use super::inode;
use super::inode::Inode;
use super::paths::LEAST_PAGE;

/// What happened to the files of a store while they were open, with the cure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Displaced {
    /// The store has no name any more.
    Deleted,
    /// The store has another name.
    Renamed,
    /// Its name leads to another file.
    Replaced,
    /// It has so many names.
    Links(u64),
    /// It was truncated to less than a page.
    Emptied,
    /// Another log was put beside it.
    Log,
    /// Its lock was removed, and another process has taken it since.
    Lock(Option<u32>),
}

impl Displaced {
    /// What happened to the store that had this path; none if its name still leads to it, and no other does.
    pub(in crate::engine::sqlite) fn from(path: &Path, inode: Inode) -> io::Result<Option<Self>> {
        Ok(match inode::found(path)? {
            Some(found) if Inode::of(&found) != inode => Some(Self::Replaced),
            Some(found) if inode::links(&found) > 1 => Some(Self::Links(inode::links(&found))),
            Some(found) if found.len() < LEAST_PAGE => Some(Self::Emptied),
            Some(_) => None,
            None => Some(Self::Renamed),
        })
    }
}

impl fmt::Display for Displaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = std::process::id();
        match self {
            Self::Deleted => write!(
                f,
                "it was deleted: stop process {own} and restore a backup; until that ends, what it holds can be copied from \
                 the descriptors in `/proc/{own}/fd`, with its `-wal` file"
            ),
            Self::Renamed => write!(
                f,
                "it was moved away: give it its name back, with its `-wal` file, and it goes on by itself"
            ),
            Self::Replaced => write!(
                f,
                "another file was put in its place: put the first one back, and it goes on by itself, or restart process \
                 {own} to use the new one"
            ),
            Self::Links(links) => write!(
                f,
                "it has {links} names, and a program that opens it by another name damages it: remove the other hard links, \
                 and it goes on by itself"
            ),
            Self::Emptied => write!(
                f,
                "it was emptied: stop process {own}, remove its `-wal`, `-shm` and `.lock` files, and restore a backup"
            ),
            Self::Log => {
                write!(f, "another `-wal` file was put beside it: move that away, and it goes on by itself")
            }
            Self::Lock(pid) => {
                let owner = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
                write!(f, "its `.lock` file was removed, and {owner} has taken it since: stop one of the two")
            }
        }
    }
}
