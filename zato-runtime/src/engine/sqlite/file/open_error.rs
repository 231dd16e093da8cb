//! The reasons for which a store cannot be opened, each with its cure.

use std::fmt;

/// The reason for which a store cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Unopened {
    /// Its directory does not exist.
    NoDirectory,
    /// Its directory exists, and no file can be made in it, as in `/proc`.
    NoFiles,
    /// The file does not exist, and is only to be read.
    NoFile,
    /// The file is empty, and is only to be read.
    Empty,
    /// The file has fewer bytes than a store, and there was one.
    Emptied,
    /// The file does not exist, and its log does.
    LogAlone,
    /// The file has so many names.
    Links(u64),
    /// This user may not write it, or make files beside it.
    Permission,
    /// The file, or the file system that holds it, is read-only.
    ReadOnly,
    /// It is a directory.
    Directory,
    /// It is something else that is not a regular file: its name in words.
    NotAFile(&'static str),
    /// It is a symbolic link to a file that does not exist.
    DanglingLink,
    /// This process, or the machine, has as many files open as it may have.
    Descriptors,
    /// Something else.
    Unknown,
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDirectory => "its directory does not exist; make it, or name a file elsewhere",
            Self::NoFiles => "no file can be made in its directory; name a file elsewhere",
            Self::NoFile => {
                "it does not exist; a process that runs on it makes it, as `serve`, `invoke` and `run` do: name the one \
                 that you mean, from the working directory"
            }
            Self::Empty => {
                "it is empty, and not a store yet; a process that runs on it makes it one, as `serve`, `invoke` and \
                 `run` do: name the one that you mean, from the working directory"
            }
            Self::Emptied => {
                "it is empty, and was a store, as its `-wal` or `.lock` file tells; restore a backup, or remove those with \
                 it to begin anew"
            }
            Self::LogAlone => {
                "it does not exist, and its `-wal` file does, which holds what was acknowledged; put it back, or remove \
                 that file to begin anew"
            }
            Self::Links(links) => {
                return write!(
                    f,
                    "it has {links} names, and a program that opens it by another name damages it; remove the other hard \
                     links"
                );
            }
            Self::Permission => {
                "this user may not write it and make files beside it; change its owner or that of its directory, or \
                 name a file elsewhere"
            }
            Self::ReadOnly => "it, or its file system, is read-only; change that, or name a file elsewhere",
            Self::Directory => "it is a directory; name a file in it",
            Self::NotAFile(kind) => {
                return write!(f, "it is {kind}; name a regular file, or one that does not exist yet");
            }
            Self::DanglingLink => {
                "it is a symbolic link to a file that does not exist; name that file, or remove the link"
            }
            Self::Descriptors => {
                "too many files are open; raise the limit of this process (`ulimit -n`), or have it open fewer"
            }
            Self::Unknown => "check that the file and its directory are what they should be",
        })
    }
}
