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

fn said(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn of(program: &str, arguments: &[&str]) -> String {
    let ran = Command::new(program).args(arguments).output();
    ran.map(|ran| String::from_utf8_lossy(&ran.stdout).trim().to_owned()).unwrap_or_default()
}
