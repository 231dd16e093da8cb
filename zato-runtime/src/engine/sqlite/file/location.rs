//! The location of a store: an absolute path, found once.

use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::open_error::Unopened;
use super::paths::directory;

/// The absolute path, without symbolic links, of the store that `given` names. It stays the same when the process changes
/// its working directory. The file need not exist; its directory must.
///
/// # Errors
///
/// [`StoreError::Open`] if there can be no store: the directory is missing, or the name leads to a directory, a device, a
/// pipe, a socket, or through a symbolic link to nothing.
pub(in crate::engine::sqlite) fn locate(given: &Path) -> Result<PathBuf, StoreError> {
    let refused = |reason, source: io::Error| StoreError::unopened(given, reason, source);
    if given.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(refused(Unopened::Directory, io::ErrorKind::IsADirectory.into()));
    }
    match fs::metadata(given) {
        Ok(found) if found.is_dir() => Err(refused(Unopened::Directory, io::ErrorKind::IsADirectory.into())),
        Ok(found) if !found.is_file() => {
            let kind = kind(found.file_type());
            Err(refused(Unopened::NotAFile(kind), io::ErrorKind::InvalidInput.into()))
        }
        Ok(_) => given.canonicalize().map_err(|error| StoreError::of_io(given, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(given) {
            Ok(_) => Err(refused(Unopened::DanglingLink, error)),
            Err(_) => absent(given),
        },
        Err(error) => Err(StoreError::of_io(given, error)),
    }
}

/// The same for a store that is only read, and so must exist.
pub(in crate::engine::sqlite) fn locate_existing(given: &Path) -> Result<PathBuf, StoreError> {
    let path = locate(given)?;
    match fs::metadata(&path) {
        Ok(found) if found.len() == 0 => {
            let empty = io::Error::from(io::ErrorKind::UnexpectedEof);
            Err(StoreError::unopened(given, Unopened::Empty, empty))
        }
        Ok(_) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(StoreError::unopened(given, Unopened::NoFile, error))
        }
        Err(error) => Err(StoreError::of_io(given, error)),
    }
}

/// The path of a file that does not exist.
fn absent(given: &Path) -> Result<PathBuf, StoreError> {
    let Some(name) = given.file_name() else {
        return Err(StoreError::unopened(given, Unopened::Directory, io::ErrorKind::IsADirectory.into()));
    };
    let directory = directory(given).canonicalize().map_err(|error| StoreError::of_io(given, error))?;
    Ok(directory.join(name))
}

/// The name of a kind of file that cannot be a store.
#[cfg(unix)]
fn kind(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;

    if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "not a regular file"
    }
}

#[cfg(not(unix))]
fn kind(_kind: FileType) -> &'static str {
    "not a regular file"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(located: Result<PathBuf, StoreError>) -> Unopened {
        match located.expect_err("there can be no store") {
            StoreError::Open { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_and_a_name_that_is_free_have_absolute_paths() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let whole = directory.path().canonicalize().expect("it is there").join("zato.db");
        let given = directory.path().join("./zato.db");
        assert_eq!(locate(&given).expect("it is free"), whole);
        fs::write(&given, "x").expect("it can be written");
        assert_eq!(locate(&given).expect("it is a file"), whole);
        let relative = locate(Path::new("zato.db")).expect("it is free");
        assert_eq!(relative, std::env::current_dir().expect("there is one").join("zato.db"));
    }

    #[test]
    fn what_cannot_be_a_store_is_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        assert_eq!(reason(locate(directory.path())), Unopened::Directory);
        assert_eq!(reason(locate(&at("zato.db/"))), Unopened::Directory);
        assert_eq!(reason(locate(&at("no/zato.db"))), Unopened::NoDirectory);
        assert_eq!(reason(locate(&at("no/.."))), Unopened::Directory);
        assert_eq!(reason(locate_existing(&at("zato.db"))), Unopened::NoFile);
        fs::write(at("empty.db"), "").expect("it can be written");
        locate(&at("empty.db")).expect("it can become one");
        assert_eq!(reason(locate_existing(&at("empty.db"))), Unopened::Empty);
    }

    #[cfg(unix)]
    #[test]
    fn devices_pipes_sockets_and_dangling_links_are_refused() {
        use std::os::unix::fs::symlink;
        use std::os::unix::net::UnixListener;

        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        assert_eq!(reason(locate(Path::new("/dev/null"))), Unopened::NotAFile("a device"));
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRUSR).expect("a pipe can be made");
        assert_eq!(reason(locate(&at("pipe"))), Unopened::NotAFile("a pipe"));
        let _listener = UnixListener::bind(at("socket")).expect("a socket can be made");
        assert_eq!(reason(locate(&at("socket"))), Unopened::NotAFile("a socket"));
        symlink(at("nothing"), at("link")).expect("it can be linked");
        assert_eq!(reason(locate(&at("link"))), Unopened::DanglingLink);
        fs::write(at("nothing"), "x").expect("it can be written");
        let whole = directory.path().canonicalize().expect("it is there").join("nothing");
        assert_eq!(locate(&at("link")).expect("it is a file"), whole);
        symlink(at("round"), at("round")).expect("it can be linked");
        let round = locate(&at("round")).expect_err("it leads to itself").to_string();
        assert!(round.contains("os error"), "{round}");
    }
}
