//! What services cost to compile, and how large they are: crates that are written, checked and built here.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::interleave::{Contender, interleave};
use crate::place;
use crate::results::Row;
use crate::scale::Scale;

const SERVICES: usize = 1_000;

/// How services are written.
#[derive(Clone, Copy)]
enum Written {
    /// With the attribute.
    Attribute,
    /// As what the attribute stands for, and no macro.
    ByHand,
}

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    let hand = made("by_hand", Written::ByHand, SERVICES);
    let attribute = made("attribute", Written::Attribute, SERVICES);
    let contenders = vec![
        Contender::fallible("cargo check, 1,000 services by hand", || checked(&hand)),
        Contender::fallible("cargo check, 1,000 services with `#[service]`", || checked(&attribute)),
    ];
    let mut rows = interleave(2 * scale.repeats, "ms", Some("by hand"), contenders);
    let one = made("hello", Written::Attribute, 1);
    match size(&one) {
        Ok(bytes) => {
            rows.push(Row::once("hello world, release, stripped, memory engine", "KiB", bytes / 1024.0));
        }
        Err(why) => rows.push(Row::missing("hello world, release", why)),
    }
    if let (Ok(one), Ok(many)) = (size(&one), size(&attribute)) {
        let each = (many - one) / (SERVICES - 1) as f64;
        rows.push(Row::once("release binary, each further service", "bytes", each));
    }
    rows
}

/// A crate with so many services.
fn made(name: &str, written: Written, services: usize) -> PathBuf {
    let folder = place::scratch().join("compiled").join(name);
    let root = place::root().display();
    fs::create_dir_all(folder.join("src")).expect("the folder is made");
    let manifest = format!(
        "[workspace]\n[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [dependencies]\nzato-core = {{ path = \"{root}/zato-core\" }}\n\
         zato-runtime = {{ path = \"{root}/zato-runtime\", default-features = false }}\n\
         inventory = \"0.3\"\ntokio = {{ version = \"1\", features = [\"rt-multi-thread\"] }}\n\
         [profile.release]\nstrip = true\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).expect("the manifest is written");
    // The versions that are measured everywhere else.
    fs::copy(place::root().join("Cargo.lock"), folder.join("Cargo.lock")).expect("the lock is copied");
    let mut text = String::from("use zato_core::{Context, Result};\n");
    for number in 0..services {
        let _ = match written {
            Written::Attribute => write!(text, "#[zato_core::service]\nstruct S{number:04};\n"),
            Written::ByHand => write!(
                text,
                "struct S{number:04};
impl zato_core::Registered for S{number:04} {{
    const ORIGIN: zato_core::Origin =
        zato_core::Origin::new(module_path!(), \"S{number:04}\", file!(), line!());
    const NAMED: zato_core::__private::Named =
        zato_core::__private::Named::derived(&Self::ORIGIN, false);
    fn build(_: &zato_core::Resources) -> Result<Self, zato_core::MissingResource> {{ Ok(Self) }}
}}
inventory::submit! {{ zato_core::Registration::of::<S{number:04}>() }}
"
            ),
        };
        let _ = write!(
            text,
            "impl zato_core::Service for S{number:04} {{
    type Request = String;
    type Response = String;
    async fn handle(&self, _: &Context, text: String) -> Result<String> {{ Ok(text) }}
}}
"
        );
    }
    text.push_str(MAIN);
    fs::write(folder.join("src/main.rs"), text).expect("the program is written");
    folder
}

const MAIN: &str = "
fn main() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let runtime = zato_runtime::Runtime::builder().start().await.unwrap();
        let cid = runtime.invoke_async(\"zato.ping\", ()).await.unwrap();
        println!(\"{}\", runtime.outcome(cid).await.unwrap());
        runtime.shutdown().await.unwrap();
    });
}
";

/// Milliseconds that checking the crate alone takes.
fn checked(folder: &Path) -> Result<f64, String> {
    cargo(folder, &["check"])?;
    let program = folder.join("src/main.rs");
    let text = fs::read(&program).map_err(|error| error.to_string())?;
    fs::write(&program, text).map_err(|error| error.to_string())?;
    let began = Instant::now();
    cargo(folder, &["check"])?;
    Ok(began.elapsed().as_secs_f64() * 1_000.0)
}

/// Bytes of the stripped release program.
fn size(folder: &Path) -> Result<f64, String> {
    cargo(folder, &["build", "--release"])?;
    let name = folder.file_name().unwrap_or_default();
    let program = target().join("release").join(name);
    fs::metadata(program).map(|metadata| metadata.len() as f64).map_err(|error| error.to_string())
}

fn target() -> PathBuf {
    place::scratch().join("compiled").join("target")
}

fn cargo(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(arguments)
        .args(["--quiet", "--offline"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target());
    let ran = cargo.output().map_err(|error| error.to_string())?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    Err(said.lines().find(|line| line.starts_with("error")).unwrap_or("cargo fails").to_owned())
}
