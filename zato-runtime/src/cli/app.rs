//! The program itself: arguments in, exit code out.

use std::error::Error as StdError;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use serde_json::json;
use zato_core::{InvokeAsync, Registration, Resource};

use super::args::{About, Arguments, Callbacks, Command, Dead, Global};
use super::error::CliError;
use super::given::Given;
use super::logging::Quiet;
use super::output::Output;
use super::resources::Setup;
use super::terminal::{self, say_error};
use super::{
    cancel, check, dead, explain, invocations, invoke, logging, run, serve, services, signals, store,
};
use crate::base::format::escaped;
use crate::engine;
use crate::runtime::builder::Builder;
use crate::runtime::handle::Runtime;

/// Runs the whole command line, for programs whose services need no resources and no settings.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     zato_runtime::main()
/// }
/// ```
///
/// Reads the program's arguments, runs the command and returns its exit code: 0 if all went well, 1 if not, 2 if the
/// command line or the environment is faulty, 130 or 143 if ctrl-C or SIGTERM stopped it. [`App`] is the same with
/// settings and resources.
///
/// It starts a tokio runtime of its own, so `fn main` must not be `#[tokio::main]`.
#[must_use = "return it from `main`, or the program succeeds whatever happened: \
              `fn main() -> std::process::ExitCode { zato_runtime::main() }`"]
pub fn main() -> ExitCode {
    App::new().main()
}

/// The command line of a program, with settings and resources.
///
/// ```standalone_crate
/// use zato_core::{Context, Result, service};
/// use zato_runtime::App;
///
/// #[derive(Clone)]
/// struct Currency(&'static str);
///
/// #[derive(Clone)]
/// struct Rates(Vec<f64>);
///
/// async fn load(path: String) -> std::io::Result<Rates> {
///     // A program reads `path` here, or connects to a database.
/// #   let _ = path;
///     Ok(Rates(vec![1.08]))
/// }
///
/// #[service(name = "docs.price")]
/// async fn price(_: &Context, amount: f64, currency: &Currency, rates: &Rates) -> Result<String> {
///     Ok(format!("{:.2} {}", amount * rates.0[0], currency.0))
/// }
///
/// fn main() -> std::process::ExitCode {
///     let path = "rates.json".to_owned();
///     App::new()
///         .version(env!("CARGO_PKG_VERSION"))
///         .configure(|builder| builder.max_running(256))
///         .provide(Currency("USD"))
///         .provide_with(async || load(path).await)
///         .main()
/// # ; std::process::ExitCode::SUCCESS
/// }
/// ```
///
/// Of settings that are made more than once, the last counts, in this order: the default, [`configure`](Self::configure),
/// the environment (`ZATO_ENGINE`, `ZATO_LOG`), the command line (`--engine`, `--log`).
#[derive(Debug)]
#[must_use = "an app does nothing until `main` is called"]
pub struct App {
    setup: Setup,
    version: Option<String>,
}

impl App {
    /// Returns the command line for all services that are linked, with default settings and without resources.
    pub fn new() -> Self {
        Self { setup: Setup::new(Runtime::builder()), version: None }
    }

    /// Sets the version that `--version` prints, usually `env!("CARGO_PKG_VERSION")`.
    pub fn version(self, version: impl Into<String>) -> Self {
        Self { version: Some(version.into()), ..self }
    }

    /// Changes the settings of the runtime that the commands start. Every method of [`Builder`] can be used.
    ///
    /// An engine that is set here is the program's default: `ZATO_ENGINE` overrides it, and `--engine` overrides both.
    pub fn configure(self, change: impl FnOnce(Builder) -> Builder) -> Self {
        Self { setup: self.setup.map(change), ..self }
    }

    /// Provides a resource for the fields of services, by its type.
    pub fn provide<T: Resource>(self, resource: T) -> Self {
        self.configure(|builder| builder.provide(resource))
    }

    /// Provides a resource that is made asynchronously, for example a pool of connections.
    ///
    /// `make` runs on the tokio runtime of the command line, once the store is this process's own and before any service
    /// runs, after the resources that were provided before it. Commands that only look (`services`, `check`,
    /// `invocations`, `explain`, `dead list`) do not run it. If it fails, the command ends with that error and exit
    /// code 1; the error may be of any type that converts into `Box<dyn Error + Send + Sync>`.
    pub fn provide_with<T, E>(self, make: impl AsyncFnOnce() -> Result<T, E> + 'static) -> Self
    where
        T: Resource,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        Self { setup: self.setup.provide_with(make), ..self }
    }

    /// Runs only these services, and the built-in ones, instead of all that are linked.
    pub fn services(self, services: impl IntoIterator<Item = Registration>) -> Self {
        self.configure(|builder| builder.services(services))
    }

    /// Reads the program's arguments, runs the command and returns its exit code, as [`main`] does.
    #[must_use = "return it from `main`, or the program succeeds whatever happened"]
    pub fn main(self) -> ExitCode {
        let Self { setup, version } = self;
        let about = About { version: version.as_deref(), engine: setup.builder.configured_engine() };
        let arguments = match Arguments::read(&about) {
            Ok(arguments) => arguments,
            Err(code) => return code,
        };
        let (output, serves) = (Output::new(&arguments.global), matches!(arguments.command, Command::Serve));
        let ended = run_command(setup, arguments, output);
        terminal::clear();
        let code = match ended {
            // A drain that was asked for is how `serve` ends; everything else was to do more than it did.
            Ok(_) if let (Some(signal), false) = (signals::signal_so_far(), serves) => signal.code(),
            Ok(went_well) => u8::from(!went_well),
            Err(error) => {
                if output.json {
                    Output::value(&json!({ "error": error.to_string() }));
                }
                say_error(&error.to_string());
                error.code()
            }
        };
        if let Some(fault) = Output::fault() {
            say_error(&format!("cannot write to standard output: {fault}"));
            return ExitCode::FAILURE;
        }
        ExitCode::from(code)
    }
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs a command; returns whether all went well.
fn run_command(setup: Setup, arguments: Arguments, output: Output) -> Result<bool, CliError> {
    let Arguments { command, global, has_engine } = arguments;
    let Global { log, log_format, engine: url, .. } = global;
    let log = Given::find(log, "--log", "ZATO_LOG")?;
    let engine = Given::find(has_engine.then(|| url.clone()), "--engine", "ZATO_ENGINE")?;
    let engine = engine.unwrap_or(Given::program(url));
    let quiet = match command {
        Command::Serve => Quiet::No,
        Command::Invoke(ref invoke) if invoke.no_wait => Quiet::Shutdowns,
        // They print how each invocation has ended.
        Command::Run(_) | Command::Invoke(_) | Command::Dead(_) | Command::Cancel { .. } => Quiet::Failures,
        _ => Quiet::Shutdowns,
    };
    logging::install(log.filter(|log| !log.is_empty_variable()).as_ref(), log_format, quiet)?;
    if engine.is_empty() {
        return Err(CliError::EmptyEngine { source_name: engine.source() });
    }
    let url = engine.value.clone();
    engine::check(&url).map_err(|error| CliError::Engine { given: engine, error })?;
    if tokio::runtime::Handle::try_current().is_ok() {
        return Err(CliError::InsideTokio);
    }
    let setup = setup.map(|builder| builder.engine(&url));
    match command {
        Command::Services => {
            services::services(&setup.builder.registry()?, output);
            Ok(true)
        }
        Command::Check => check::check(&setup.builder, output),
        Command::Serve => in_tokio(&url, serve::serve(setup)),
        Command::Invoke(arguments) => {
            in_tokio(&url, and_tell_left(&url, invoke::invoke(setup, arguments, output)))
        }
        Command::Run(arguments) => in_tokio(&url, and_tell_left(&url, run::run(setup, arguments, output))),
        Command::Explain(args) => look(explain::explain(setup.builder, args, output)),
        Command::Invocations { state, page } => {
            look(invocations::invocations(setup.builder, state, page, output))
        }
        Command::Dead(Dead::List(page)) => look(dead::list(setup.builder, page, output)),
        Command::Dead(Dead::Retry(which)) => {
            in_tokio(&url, and_tell_left(&url, dead::retry(setup, which, output)))
        }
        Command::Dead(Dead::Discard { which, yes }) => {
            in_tokio(&url, dead::discard(setup, which, yes, output))
        }
        Command::Cancel { cids, with_tree } => {
            in_tokio(&url, and_tell_left(&url, cancel::cancel(setup, cids, with_tree, output)))
        }
    }
}

/// Runs a command that runs only its own trees; then says how much other work waits.
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
    has_files()?;
    let tokio =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Tokio)?;
    tokio.block_on(command)
}

/// The number of workers that `TOKIO_WORKER_THREADS` sets. Tokio reads it too, and panics where it is no such number.
fn workers() -> Result<Option<usize>, CliError> {
    let Some(value) = std::env::var_os("TOKIO_WORKER_THREADS") else { return Ok(None) };
    let workers = value.to_str().and_then(|text| text.parse().ok()).filter(|workers| *workers > 0);
    let faulty = || CliError::Workers { value: escaped(&value.to_string_lossy()) };
    workers.ok_or_else(faulty).map(Some)
}

/// Asks the system for as many threads as tokio starts, and one more, since a thread that has ended may count for a moment
/// longer. Tokio panics where it receives none for its first worker, and hangs where it receives too few for the others.
fn has_threads() -> Result<(), CliError> {
    let workers = workers()?.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock();
    let mut probes = Vec::new();
    let started = (0..=workers).try_for_each(|_| {
        let gate = gate.clone();
        probes.push(std::thread::Builder::new().spawn(move || drop(gate.lock()))?);
        Ok(())
    });
    drop(closed);
    for probe in probes {
        // It does nothing that could panic.
        let _ = probe.join();
    }
    started.map_err(CliError::NoThread)
}

/// Asks the system for as many files as tokio opens at its start. Tokio panics where it receives none for signals.
fn has_files() -> Result<(), CliError> {
    #[cfg(unix)]
    {
        let two = || std::os::unix::net::UnixStream::pair().map_err(CliError::Tokio);
        let _six = [two()?, two()?, two()?];
    }
    Ok(())
}

/// Runs a command; a second request to stop ends the program at once.
fn in_tokio(url: &str, command: impl Future<Output = Result<bool, CliError>>) -> Result<bool, CliError> {
    has_threads()?;
    has_files()?;
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::Tokio)?;
    let ended = tokio.block_on(async {
        signals::listen();
        tokio::select! {
            ended = command => ended,
            signal = signals::asked_again() => Err(signals::at_once(signal, url)),
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
