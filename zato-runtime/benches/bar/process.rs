//! Processes of their own, where memory or a start is measured, and what `/proc` says of this one. Linux alone.

use std::fs;
use std::process::Command;

/// Names the child that a process is to be.
const CHILD: &str = "ZATO_BENCH_CHILD";

/// Which child this process is to be.
pub(crate) fn asked() -> Option<String> {
    std::env::var(CHILD).ok()
}

/// Runs this program as a child, and returns the numbers that it prints.
pub(crate) fn child(name: &str, arguments: &[String]) -> Result<Vec<f64>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let ran = Command::new(program).args(arguments).env(CHILD, name).output();
    let ran = ran.map_err(|error| error.to_string())?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        return Err(said.lines().find(|line| !line.is_empty()).unwrap_or("it failed").to_owned());
    }
    let said = String::from_utf8_lossy(&ran.stdout);
    let last = said.lines().last().unwrap_or_default();
    last.split_whitespace().map(|number| number.parse().map_err(|_| said.to_string())).collect()
}

/// What a child tells, which ends it: what still waits is not worth ending.
pub(crate) fn tell(numbers: &[f64]) -> ! {
    let numbers: Vec<_> = numbers.iter().map(f64::to_string).collect();
    println!("{}", numbers.join(" "));
    std::process::exit(0)
}

/// The resident memory of this process, in bytes.
pub(crate) fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    resident.unwrap_or_default() * 4096
}

/// How often the threads of this process have been switched to.
pub(crate) fn switches() -> usize {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let status = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    let count = |status: String| {
        let of = |line: &str| line.split_once("ctxt_switches:")?.1.trim().parse::<usize>().ok();
        status.lines().filter_map(of).sum::<usize>()
    };
    status.map(count).sum()
}

/// The CPU time of this process, in hundredths of a second.
pub(crate) fn ticks() -> usize {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<usize>().ok()).sum()
}
