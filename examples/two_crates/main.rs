//! Services from a library crate, run from the command line that comes with the runtime.
//!
//! ```console
//! $ cargo run -p zato-examples --bin two_crates -- services
//! $ cargo run -p zato-examples --bin two_crates -- invoke greetings.hello '{"name": "Ada", "language": "pl"}'
//! Dzień dobry, Ada!
//! $ cargo run -p zato-examples --bin two_crates -- invoke --help
//! ```

// Links the crate, and with it its services. Rust leaves out a crate that nothing names.
use greetings as _;

fn main() -> std::process::ExitCode {
    zato_runtime::main()
}
