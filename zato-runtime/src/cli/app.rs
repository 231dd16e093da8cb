//! The program itself: arguments in, exit code out.

use std::process::ExitCode;

use zato_core::{InvokeAsync, Registration, Resource};

use super::args::{Arguments, Callbacks, Command, Dead};
use super::error::CliError;
use super::logging;
use super::output::Output;
use super::{cancel, dead, explain, invocations, invoke, run, serve, services, stop, store};
use crate::builder::Builder;
use crate::runtime::Runtime;

/// The whole command line, for programs whose services need no resources.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     zato_runtime::main()
/// }
/// ```
///
/// Reads the program's arguments, runs the command and returns its exit code: 0 if all went well, 1 if not, 2
/// if the command line is faulty. [`App`] is the same with resources provided.
#[must_use = "return it from `main`, or the program ends well whatever happened: \
              `fn main() -> std::process::ExitCode { zato_runtime::main() }`"]
pub fn main() -> ExitCode {
    App::new().main()
}

/// The command line of a program whose services need resources.
///
/// ```no_run
/// use zato_runtime::App;
///
/// #[derive(Clone)]
/// struct Rates;
///
/// fn main() -> std::process::ExitCode {
///     App::new().provide(Rates).main()
/// }
/// ```
#[derive(Debug)]
#[must_use = "an app does nothing until `main` is called"]
pub struct App {
    builder: Builder,
}

impl App {
    /// The command line on all services that are linked, without resources.
    pub fn new() -> Self {
        Self { builder: Runtime::builder() }
    }

    /// A resource for the fields of services, by its type.
    pub fn provide<T: Resource>(self, resource: T) -> Self {
        Self { builder: self.builder.provide(resource) }
    }

    /// Runs just these services, beside the built-in ones, instead of all that are linked.
    pub fn services(self, services: impl IntoIterator<Item = Registration>) -> Self {
        Self { builder: self.builder.services(services) }
    }

    /// Reads the program's arguments, runs the command and returns its exit code.
    #[must_use = "return it from `main`, or the program ends well whatever happened"]
    pub fn main(self) -> ExitCode {
        let arguments = Arguments::from_command_line();
        let ended = self.run(arguments);
        if let Some(error) = Output::fault() {
            eprintln!("error: cannot write to standard output: {error}");
            return ExitCode::FAILURE;
        }
        match ended {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn run(self, arguments: Arguments) -> Result<bool, CliError> {
        let global = arguments.global;
        logging::install(&global.log)?;
        let output = Output { json: global.json };
        let url = global.engine;
        let builder = self.builder.engine(&url);
        match arguments.command {
            Command::Services => {
                services::services(&builder.registry()?, output);
                Ok(true)
            }
            Command::Check => {
                check(&builder, output)?;
                Ok(true)
            }
            Command::Serve => in_tokio(&url, serve::serve(builder)),
            Command::Invoke(arguments) => {
                in_tokio(&url, and_tell_left(&url, invoke::invoke(builder, arguments, output)))
            }
            Command::Run(arguments) => {
                in_tokio(&url, and_tell_left(&url, run::run(builder, arguments, output)))
            }
            Command::Explain(args) => look(explain::explain(builder, args, output)),
            Command::Invocations { state, page } => {
                look(invocations::invocations(builder, state, page, output))
            }
            Command::Dead(Dead::List(page)) => look(dead::list(builder, page, output)),
            Command::Dead(Dead::Retry(which)) => {
                in_tokio(&url, and_tell_left(&url, dead::retry(builder, which, output)))
            }
            Command::Dead(Dead::Discard(which)) => in_tokio(&url, dead::discard(builder, which, output)),
            Command::Cancel { cids, with_tree } => {
                in_tokio(&url, and_tell_left(&url, cancel::cancel(builder, cids, with_tree, output)))
            }
        }
    }
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

fn check(builder: &Builder, output: Output) -> Result<(), CliError> {
    let registry = builder.registry()?;
    let built_in = registry.sorted().into_iter().filter(|entry| entry.is_built_in).count();
    let users = registry.sorted().len() - built_in;
    if output.json {
        Output::value(&serde_json::json!({ "services": users, "built_in": built_in, "faults": [] }));
    } else {
        Output::line(&format!("{users} services of yours, {built_in} built in, no faults"));
    }
    Ok(())
}

/// Runs a command that runs its own trees alone; then says how much else waits.
async fn and_tell_left(
    url: &str,
    command: impl Future<Output = Result<bool, CliError>>,
) -> Result<bool, CliError> {
    let ended = command.await?;
    store::tell_left(url).await;
    Ok(ended)
}

/// Runs a command that only looks: the first request to stop ends it, as it ends any program.
fn look(command: impl Future<Output = Result<bool, CliError>>) -> Result<bool, CliError> {
    let tokio =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Tokio)?;
    tokio.block_on(command)
}

/// Asks the system for a thread. Tokio panics where it receives none for its first worker.
fn has_threads() -> Result<(), CliError> {
    let probe = std::thread::Builder::new().spawn(|| {}).map_err(CliError::NoThread)?;
    // It does nothing that could panic.
    let _ = probe.join();
    Ok(())
}

/// Runs a command; a second request to stop ends the program at once.
fn in_tokio(url: &str, command: impl Future<Output = Result<bool, CliError>>) -> Result<bool, CliError> {
    has_threads()?;
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::Tokio)?;
    let ended = tokio.block_on(async {
        stop::listen();
        tokio::select! {
            ended = command => ended,
            () = stop::asked_again() => Err(CliError::Stopped(stop::lost(url))),
        }
    });
    // A thread that still reads standard input is not waited for.
    tokio.shutdown_background();
    ended
}

impl Callbacks {
    pub(super) fn is_empty(&self) -> bool {
        self.callback.is_empty() && self.on_failure.is_empty()
    }

    /// Adds them to a call.
    pub(super) fn apply<'a>(
        &'a self,
        call: InvokeAsync<'a, zato_core::target::AnyResponse>,
    ) -> InvokeAsync<'a, zato_core::target::AnyResponse> {
        let call = self.callback.iter().fold(call, InvokeAsync::callback);
        self.on_failure.iter().fold(call, InvokeAsync::on_failure)
    }
}
