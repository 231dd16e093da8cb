//! Where requests come from: an argument, a file, or standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use tokio::sync::{mpsc, oneshot};
use zato_core::Payload;

use super::error::CliError;
use super::stop;
use super::terminal::say;

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}{}", name(path), cure(source))]
pub(super) struct InputError {
    path: PathBuf,
    source: io::Error,
}

/// The cure for a path that is not that of a file.
fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
            "; give the path of a file, or `-` for standard input"
        }
        _ => "",
    }
}

/// The name of a file in messages.
pub(super) fn name(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { format!("`{}`", path.display()) }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Reads one request.
///
/// # Errors
///
/// [`InputError`] if it cannot be read, [`CliError::Stopped`] if the program is asked to stop before it has been read.
pub(super) async fn request(argument: Option<&str>, file: Option<&Path>) -> Result<Payload, CliError> {
    let path = match (argument, file) {
        (Some("-"), _) => Path::new("-"),
        (Some(text), _) => return Ok(Payload::from_outside(text.to_owned())),
        (None, Some(path)) => path,
        (None, None) => return Ok(Payload::empty()),
    };
    if is_stdin(path) && io::stdin().is_terminal() {
        say("reading the request from the terminal; ctrl-D ends it");
    }
    let path = path.to_owned();
    Ok(on_thread(move || whole(&path)).await??)
}

/// Runs a function that may wait for input on a thread of its own, so that the first request to stop ends the wait.
async fn on_thread<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T, CliError> {
    let (send, done) = oneshot::channel();
    let run = move || {
        // Fails only where the program ends.
        let _ = send.send(read());
    };
    std::thread::Builder::new().name("zato-input".to_owned()).spawn(run).map_err(CliError::NoThread)?;
    tokio::select! {
        biased;
        Ok(done) = done => Ok(done),
        signal = stop::asked() => Err(stop::before_anything(signal)),
    }
}

fn whole(path: &Path) -> Result<Payload, InputError> {
    let mut bytes = Vec::new();
    open(path)
        .and_then(|mut reader| reader.read_to_end(&mut bytes))
        .map_err(|source| InputError { path: path.to_owned(), source })?;
    without_mark(&mut bytes);
    if is_stdin(path) {
        // The line break that `echo` adds is not meant.
        bytes.truncate(without_line_end(&bytes).len());
    }
    Ok(Payload::from_outside(bytes))
}

/// The byte order mark of UTF-8, with which some editors begin a file. It is not a part of the text.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The byte order marks of UTF-16, whose lines do not end where those of UTF-8 do.
const OTHER_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Why lines in UTF-16 are not read.
const UTF_16: &str = "it begins with the byte order mark of UTF-16, and lines are read as UTF-8: convert it, as with \
                      `iconv -f UTF-16 -t UTF-8`";

/// Removes a byte order mark from a text. Bytes that are not a text stay as they are.
fn without_mark(bytes: &mut Vec<u8>) {
    if bytes.starts_with(MARK) && std::str::from_utf8(bytes).is_ok() {
        bytes.drain(..MARK.len());
    }
}

fn without_line_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Requests, one a line. A thread of its own reads them, so that a read that waits holds up nothing else.
pub(super) struct Lines {
    lines: mpsc::Receiver<Result<Line, InputError>>,
    /// The length of the file in bytes, if it is known.
    pub(super) length: Option<u64>,
}

/// A line that has been read.
pub(super) struct Line {
    pub(super) request: Payload,
    /// The number of bytes that have been read so far, with this line.
    pub(super) read: u64,
}

/// The number of lines that are read ahead.
const AHEAD: usize = 64;

impl Lines {
    /// # Errors
    ///
    /// [`InputError`] if the file cannot be opened, [`CliError::Stopped`] if the program is asked to stop before that.
    pub(super) async fn open(path: &Path) -> Result<Self, CliError> {
        let of = |source| InputError { path: path.to_owned(), source };
        let named = path.to_owned();
        // A named pipe opens when somebody writes to it.
        let mut reader = on_thread(move || open(&named)).await?.map_err(of)?;
        let metadata = std::fs::metadata(path).ok().filter(|metadata| metadata.is_file() && !is_stdin(path));
        let length = metadata.map(|metadata| metadata.len());
        if is_stdin(path) && io::stdin().is_terminal() {
            say("reading requests from the terminal, one a line; ctrl-D ends them");
        }
        let (send, lines) = mpsc::channel(AHEAD);
        let path = path.to_owned();
        let read_all = move || {
            let mut read = 0;
            // Ends when the file does, or when nobody wants more.
            while let Some(line) = next(&mut reader, &mut read).transpose() {
                let line = line.map_err(|source| InputError { path: path.clone(), source });
                if send.blocking_send(line).is_err() {
                    break;
                }
            }
        };
        let spawned = std::thread::Builder::new().name("zato-input".to_owned()).spawn(read_all);
        spawned.map_err(CliError::NoThread)?;
        Ok(Self { lines, length })
    }

    /// Returns the next line; `None` after the last.
    pub(super) async fn next(&mut self) -> Option<Result<Line, InputError>> {
        self.lines.recv().await
    }
}

fn next(reader: &mut impl BufRead, read: &mut u64) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let length = reader.read_until(b'\n', &mut line)?;
    if length == 0 {
        return Ok(None);
    }
    if *read == 0 {
        if OTHER_MARKS.iter().any(|mark| line.starts_with(mark)) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, UTF_16));
        }
        without_mark(&mut line);
        if line.is_empty() {
            // A file with a mark and nothing else has no lines.
            return Ok(None);
        }
    }
    *read += length as u64;
    line.truncate(without_line_end(&line).len());
    Ok(Some(Line { request: Payload::from_outside(line), read: *read }))
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    if is_stdin(path) {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    Ok(Box::new(BufReader::new(File::open(path)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut file: &[u8]) -> Vec<String> {
        let mut read = 0;
        let mut lines = Vec::new();
        while let Some(line) = next(&mut file, &mut read).expect("memory can be read") {
            lines.push(line.request.to_string());
        }
        lines
    }

    #[test]
    fn a_byte_order_mark_and_line_ends_are_not_part_of_a_line() {
        assert_eq!(lines(b"\xef\xbb\xbf{\"a\": 1}\r\n{}\n\r\nlast"), ["{\"a\": 1}", "{}", "", "last"]);
        assert_eq!(lines(b"\xef\xbb\xbf"), [""; 0]);
        assert_eq!(lines(b"\xef\xbb\xbf\n"), [""]);
        assert_eq!(lines(b"a\n\xef\xbb\xbfb"), ["a", "\u{feff}b"], "later it is a character");
    }

    #[test]
    fn lines_in_utf_16_are_refused() {
        for mut file in [&b"\xff\xfea\0\n\0b\0"[..], b"\xfe\xff\0a\0\n\0b"] {
            let error = next(&mut file, &mut 0).err().expect("it is not UTF-8");
            assert!(error.to_string().contains("UTF-16"), "{error}");
        }
        assert_eq!(lines(b"a\n\xff\xfeb").len(), 2, "later it is a line of raw bytes");
    }

    #[test]
    fn bytes_that_are_not_text_keep_what_looks_like_a_mark() {
        let mut bytes = b"\xef\xbb\xbf\xff\xfe".to_vec();
        without_mark(&mut bytes);
        assert_eq!(bytes.len(), 5);
    }
}
