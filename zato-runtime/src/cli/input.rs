//! Where requests come from: an argument, a file, or standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use zato_core::Payload;

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

/// Reads one request. Blocks until it has been read.
pub(super) fn request(argument: Option<&str>, file: Option<&Path>) -> Result<Payload, InputError> {
    let path = match (argument, file) {
        (Some("-"), _) => Path::new("-"),
        (Some(text), _) => return Ok(Payload::from_outside(text.to_owned())),
        (None, Some(path)) => path,
        (None, None) => return Ok(Payload::empty()),
    };
    if is_stdin(path) && io::stdin().is_terminal() {
        say("reading the request from the terminal; ctrl-D ends it");
    }
    whole(path)
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
    /// The request; the length of the line in bytes if it is too large to be one.
    pub(super) request: Result<Payload, usize>,
    /// The number of bytes that have been read so far, with this line.
    pub(super) read: u64,
}

/// The number of lines that are read ahead.
const AHEAD: usize = 64;

/// A file of requests that has been opened and not read.
pub(super) struct Unread {
    reader: Box<dyn BufRead + Send>,
    path: PathBuf,
    length: Option<u64>,
    most: usize,
}

impl Unread {
    /// Opens the file. Blocks until then: a named pipe opens when somebody writes to it. Lines of more than `most` bytes are
    /// counted and not kept.
    pub(super) fn open(path: &Path, most: usize) -> Result<Self, InputError> {
        let reader = open(path).map_err(|source| InputError { path: path.to_owned(), source })?;
        let metadata = std::fs::metadata(path).ok().filter(|metadata| metadata.is_file() && !is_stdin(path));
        let length = metadata.map(|metadata| metadata.len());
        if is_stdin(path) && io::stdin().is_terminal() {
            say("reading requests from the terminal, one a line; ctrl-D ends them");
        }
        Ok(Self { reader, path: path.to_owned(), length, most })
    }

    /// Starts a thread that reads all lines.
    ///
    /// # Errors
    ///
    /// The thread could not be started.
    pub(super) fn read(self) -> io::Result<Lines> {
        let Self { mut reader, path, length, most } = self;
        let (send, lines) = mpsc::channel(AHEAD);
        let read_all = move || {
            let mut read = 0;
            // Ends when the file does, or when nobody wants more.
            while let Some(line) = next(&mut reader, &mut read, most).transpose() {
                let line = line.map_err(|source| InputError { path: path.clone(), source });
                if send.blocking_send(line).is_err() {
                    break;
                }
            }
        };
        std::thread::Builder::new().name("zato-input".to_owned()).spawn(read_all)?;
        Ok(Lines { lines, length })
    }
}

impl Lines {
    /// Returns the next line; `None` after the last.
    pub(super) async fn next(&mut self) -> Option<Result<Line, InputError>> {
        self.lines.recv().await
    }
}

fn next(reader: &mut impl BufRead, read: &mut u64, most: usize) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    // Room for what is not a part of the request, and for one byte that is too many.
    let room = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(MARK.len() as u64 + 3);
    let length = reader.take(room).read_until(b'\n', &mut line)?;
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
    if length as u64 == room && !line.ends_with(b"\n") {
        let rest = rest_of_line(reader)?;
        *read += rest.read;
        let bytes = line.len() as u64 + rest.read - rest.end;
        return Ok(Some(Line { request: Err(usize::try_from(bytes).unwrap_or(usize::MAX)), read: *read }));
    }
    line.truncate(without_line_end(&line).len());
    Ok(Some(Line { request: Ok(Payload::from_outside(line)), read: *read }))
}

/// The rest of a line that is not kept, in bytes.
#[derive(Default)]
struct Rest {
    /// With the line end.
    read: u64,
    /// The line end.
    end: u64,
}

fn rest_of_line(reader: &mut impl BufRead) -> io::Result<Rest> {
    /// The most that is read at once.
    const PART: u64 = 1 << 16;
    let (mut rest, mut part) = (Rest::default(), Vec::new());
    loop {
        part.clear();
        let length = reader.take(PART).read_until(b'\n', &mut part)?;
        rest.read += length as u64;
        rest.end = (length - without_line_end(&part).len()) as u64;
        if length == 0 || rest.end > 0 {
            return Ok(rest);
        }
    }
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
        while let Some(line) = next(&mut file, &mut read, 100).expect("memory can be read") {
            lines.push(line.request.expect("it is short").to_string());
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
    fn a_line_that_is_too_large_is_counted_and_the_next_is_read() {
        let (large, half) = ("a".repeat(200_000), "b".repeat(101));
        let file = format!("{large}\r\n{half}\n{half}{large}\nlast\n{large}");
        let (mut left, mut read) = (file.as_bytes(), 0);
        let mut lines = Vec::new();
        while let Some(line) = next(&mut left, &mut read, 100).expect("memory can be read") {
            lines.push(line.request.map(|request| request.to_string()));
        }
        assert_eq!(lines, [Err(200_000), Ok(half), Err(200_101), Ok("last".to_owned()), Err(200_000)]);
        assert_eq!(read, file.len() as u64);
    }

    #[test]
    fn lines_in_utf_16_are_refused() {
        for mut file in [&b"\xff\xfea\0\n\0b\0"[..], b"\xfe\xff\0a\0\n\0b"] {
            let error = next(&mut file, &mut 0, 100).err().expect("it is not UTF-8");
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
