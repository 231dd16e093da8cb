//! Real input: every file below a directory is hashed, and `sha256sum --check` accepts what comes out.
//!
//! ```console
//! $ cargo run --release -p zato-examples --bin digest -- zato-core
//! hashed: 33, unreadable: 0; check with: sha256sum --check SHA256SUMS
//! $ sha256sum --check --quiet SHA256SUMS
//! ```
//!
//! Memory stays flat for a million files, since the walk waits where too many invocations do, and for one of 10 GiB,
//! since a file is read in chunks. Symbolic links to files are followed, those to directories are not. The exit code is
//! 1 if anything could not be read. Paths are bytes here, so this program is for Unix.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;
use walkdir::WalkDir;
use zato_core::{Context, Failure, FailureReport, Result, Service, service};
use zato_runtime::{Payload, Runtime};

/// How many invocations may wait before the walk does.
const WAITING: usize = 1_000;

/// How many run at once, and so how many files are open at once.
const RUNNING: usize = 16;

/// How many bytes of a file are in memory at once.
const CHUNK: usize = 64 * 1024;

/// Takes the path of a file, has the file hashed in the background, and does not wait for it.
#[service(name = "digest.add")]
struct Add;

impl Service for Add {
    // Raw bytes: a path need not be UTF-8.
    type Request = Payload;
    type Response = ();

    async fn handle(&self, ctx: &Context, path: Payload) -> Result<()> {
        ctx.invoke_async(Hash::service(), path).await?;
        Ok(())
    }
}

/// The callback of `Add` by convention: appends to the manifest.
#[service]
struct AddAsyncCallback {
    manifest: Manifest,
}

impl Service for AddAsyncCallback {
    type Request = Payload;
    type Response = ();

    async fn handle(&self, _: &Context, line: Payload) -> Result<()> {
        Ok(self.manifest.append(line.as_bytes())?)
    }
}

/// The failure callback of `Add` by convention: counts what cannot be read.
#[service]
struct AddAsyncFailure {
    manifest: Manifest,
}

impl Service for AddAsyncFailure {
    type Request = FailureReport;
    type Response = ();

    async fn handle(&self, _: &Context, report: FailureReport) -> Result<()> {
        self.manifest.unreadable(&report.error);
        Ok(())
    }
}

/// Takes the path of a file and returns its line of the manifest, both as raw bytes.
#[service(name = "digest.hash")]
struct Hash;

impl Service for Hash {
    type Request = Payload;
    type Response = Payload;

    async fn handle(&self, _: &Context, path: Payload) -> Result<Payload> {
        let path = PathBuf::from(OsStr::from_bytes(path.as_bytes()));
        // Reading a file blocks the thread, so it is done where that does not hold up anybody.
        let line = spawn_blocking(move || {
            let hash = hash(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(manifest_line(&hash, &path))
        });
        line.await?.map(Payload::bytes).map_err(|error: String| Failure::permanent(error))
    }
}

fn hash(path: &Path) -> io::Result<String> {
    // A named pipe, for one, would be waited for for ever.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let (file, mut sha256, mut chunk) = (File::open(path)?, Sha256::new(), Vec::with_capacity(CHUNK));
    while (&file).take(CHUNK as u64).read_to_end(&mut chunk)? > 0 {
        sha256.update(&chunk);
        chunk.clear();
    }
    Ok(sha256.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

/// A line as `sha256sum` writes it: it begins with a backslash where the path had to be escaped.
fn manifest_line(hash: &str, path: &Path) -> Vec<u8> {
    let path = path.as_os_str().as_bytes();
    let mut line = format!("{hash}  ").into_bytes();
    for &byte in path {
        match byte {
            b'\\' => line.extend(b"\\\\"),
            b'\n' => line.extend(b"\\n"),
            b'\r' => line.extend(b"\\r"),
            byte => line.push(byte),
        }
    }
    if line.len() > hash.len() + 2 + path.len() {
        line.insert(0, b'\\');
    }
    line.push(b'\n');
    line
}

/// What comes out: the file, and how much of the directory is in it.
#[derive(Clone)]
struct Manifest {
    file: Arc<Mutex<File>>,
    hashed: Arc<AtomicU64>,
    unreadable: Arc<AtomicU64>,
}

impl Manifest {
    fn create(path: &Path) -> io::Result<Self> {
        let file = Arc::new(Mutex::new(File::create(path)?));
        Ok(Self { file, hashed: Arc::default(), unreadable: Arc::default() })
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line)?;
        self.hashed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) {
        eprintln!("digest: {error}");
        self.unreadable.fetch_add(1, Ordering::Relaxed);
    }
}

/// Hashes every file below a directory, and writes a manifest that `sha256sum --check` accepts
#[derive(Parser)]
struct Arguments {
    /// The directory
    dir: PathBuf,

    /// The file to write; it is not hashed itself
    #[arg(default_value = "SHA256SUMS")]
    manifest: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers whether everything could be read.
async fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let Arguments { dir, manifest: path } = arguments;
    let cannot = |what: &str, path: &Path, error| format!("cannot {what} `{}`: {error}", path.display());
    fs::read_dir(dir).map_err(|error| cannot("read", dir, error))?;
    let manifest = Manifest::create(path).map_err(|error| cannot("write", path, error))?;
    let runtime = Runtime::builder()
        .provide(manifest.clone())
        .max_waiting(WAITING)
        .max_running(RUNNING)
        // The walk is over long before a large file is hashed.
        .drain_limit(Duration::MAX)
        .start()
        .await?;
    let found = walk(&runtime, arguments, &manifest).await?;
    runtime.shutdown().await?;

    let [hashed, unreadable] =
        [&manifest.hashed, &manifest.unreadable].map(|count| count.load(Ordering::Relaxed));
    println!("hashed: {hashed}, unreadable: {unreadable}; check with: sha256sum --check {}", path.display());
    if found != hashed + unreadable {
        return Err(format!("{found} were found: the others could not be written to the manifest").into());
    }
    Ok(unreadable == 0)
}

/// Adds every file; returns how many things there are that are no directories, or that the walk cannot read.
async fn walk(runtime: &Runtime, arguments: &Arguments, manifest: &Manifest) -> Result<u64, Box<dyn Error>> {
    let itself = inside(&arguments.dir, &arguments.manifest)?;
    let mut found = 0;
    for entry in WalkDir::new(&arguments.dir) {
        match entry {
            Ok(entry) if entry.path().is_dir() || itself.as_deref() == Some(entry.path()) => continue,
            Ok(entry) => {
                let path = Payload::bytes(entry.path().as_os_str().as_bytes().to_vec());
                // Waits for room, and so the walk does.
                runtime.invoke_async(Add::service(), path).await?;
            }
            Err(error) => manifest.unreadable(&error),
        }
        found += 1;
    }
    Ok(found)
}

/// How a walk through `dir` would call the file, if it came by.
fn inside(dir: &Path, file: &Path) -> io::Result<Option<PathBuf>> {
    let (real_dir, real_file) = (dir.canonicalize()?, file.canonicalize()?);
    Ok(real_file.strip_prefix(real_dir).ok().map(|below| dir.join(below)))
}
