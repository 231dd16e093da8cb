//! `check`: what is wrong with the services that are linked.

use serde_json::json;

use super::error::CliError;
use super::output::Output;
use super::terminal::{Tone, say_error, say_warning};
use crate::attempt::dispatch::UNCAUGHT;
use crate::base::format::{count, grouped};
use crate::runtime::builder::Builder;
use crate::runtime::error::Error;

/// Prints the faults; returns whether there are none.
pub(super) fn check(builder: &Builder, output: Output) -> Result<bool, CliError> {
    let (users, built_in) = builder.service_counts();
    // It does not make the check fail: whoever builds so may mean it.
    let warnings: Vec<&str> = UNCAUGHT.into_iter().collect();
    if !output.json {
        for warning in &warnings {
            say_warning(warning);
        }
    }
    let faults = match builder.registry() {
        Ok(_) => Vec::new(),
        Err(Error::Services(faults)) if output.json => faults.iter().map(ToString::to_string).collect(),
        Err(error @ Error::Services(_)) => {
            say_error(&error.to_string());
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    };
    if output.json {
        Output::value(
            &json!({ "services": users, "built_in": built_in, "faults": faults, "warnings": warnings }),
        );
    } else {
        let services = format!("{} of yours, {} built in", count(users, "service"), grouped(built_in));
        Output::line(&format!("{services}, {}", Tone::Good.on_stdout("no faults")));
    }
    Ok(faults.is_empty())
}
