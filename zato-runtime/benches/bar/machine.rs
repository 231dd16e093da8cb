//! What was measured on.

use std::fs;
use std::process::Command;

use crate::peers;

/// What a reader must know of the machine and the versions, a line for each.
pub(crate) fn lines() -> Vec<(String, String)> {
    let processor = said("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = said("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut lines = vec![
        ("processor".to_owned(), format!("{processor}, {cores} cores, 2 workers in every run")),
        ("memory".to_owned(), memory),
        (
            "system".to_owned(),
            format!("Linux {}", of("uname", &["-r"]).split('-').next().unwrap_or_default()),
        ),
        ("compiler".to_owned(), of("rustc", &["--version"])),
        ("commit".to_owned(), of("git", &["rev-parse", "--short", "HEAD"])),
        ("date".to_owned(), of("date", &["-u", "+%Y-%m-%d"])),
    ];
    lines.extend(peers::versions());
    lines
}

/// Returns the date and the commit of a measurement, and the load of the machine where that is not its own.
pub(crate) fn taken() -> String {
    let (date, commit) = (of("date", &["-u", "+%Y-%m-%d"]), of("git", &["rev-parse", "--short", "HEAD"]));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    // An earlier section leaves a load of about one for each core.
    let is_busy = load > 1.25 * cores;
    let busy = if is_busy {
        format!(", **on a busy machine** (load {load} before it began)")
    } else {
        String::new()
    };
    format!("{date}, commit {commit}{busy}")
}

fn said(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn of(program: &str, arguments: &[&str]) -> String {
    let ran = Command::new(program).args(arguments).output();
    ran.map(|ran| String::from_utf8_lossy(&ran.stdout).trim().to_owned()).unwrap_or_default()
}
