//! A system that has hardly a thread to give: a command says so, and does not panic or hang.

use std::os::unix::process::CommandExt as _;

use crate::program::{command, ran};
use crate::two_crates::PROGRAM;

/// A user who has no other processes. The limit does not hold for the superuser.
const USER: u32 = 61_234;

/// As many as tokio starts, as on a machine with several cores.
const WORKERS: u32 = 4;

#[test]
fn a_command_without_threads_is_refused() {
    let mut refused = 0;
    for threads in 1..WORKERS + 8 {
        for arguments in ["invoke zato.ping", "run zato.ping --lines /dev/null"] {
            let script = format!(
                "ulimit -u {threads} 2> /dev/null || ulimit -p {threads} ; exec {PROGRAM} {arguments}"
            );
            let spawned = command("timeout")
                .args(["-s", "KILL", "60", "sh", "-c", &script])
                .env("ZATO_ENGINE", "memory:")
                .env("TOKIO_WORKER_THREADS", WORKERS.to_string())
                .current_dir("/")
                .uid(USER)
                .spawn();
            let Ok(child) = spawned else {
                println!("not tried: this user may not become another");
                return;
            };
            let ran = ran(child);
            if ran.code == Some(126) {
                println!("not tried: another user may not run the program");
                return;
            }
            if ran.code != Some(0) {
                let error = ran.refused(1);
                assert!(error.starts_with("error: no thread can be started: "), "{threads}: {error}");
                assert!(
                    error.contains("`ulimit -u`") && !ran.stderr.contains("panicked"),
                    "{threads}: {ran:?}"
                );
                refused += 1;
            }
        }
    }
    // As many as the workers are not enough, whatever else the commands need.
    assert!(refused >= 2 * (WORKERS - 1), "{refused}");
}
