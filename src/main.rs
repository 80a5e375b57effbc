//! The front door: one verb, one file. It starts the five processes and asks them; it links none of them, and neither TLS
//! nor HTTP, and never touches a byte of a client.

#![forbid(unsafe_code)]

mod ask;
mod check;
mod command_line;
mod demo;
mod drain;
mod explain;
mod instances;
#[cfg(test)]
mod manual;
mod metrics;
mod notes;
mod plan;
mod reload;
mod renew;
mod rules;
mod sandbox;
mod say;
mod scale;
mod siblings;
mod status;
mod ticket_keys;
mod up;
mod upgrade;
mod usage;

use std::process::ExitCode;

use command_line::Verb;
use common::complain::complain;
use say::say;

/// `EX_USAGE` of sysexits.h.
const MISUSED: u8 = 64;

fn main() -> ExitCode {
    let verb = match command_line::read(std::env::args_os().skip(1)) {
        Ok(verb) => verb,
        Err(complaint) => {
            complain(format_args!("bulkhead: {complaint}\n\n{}", usage::text()));
            return ExitCode::from(MISUSED);
        }
    };
    let outcome = match verb {
        Verb::Up { config } => up::run(&config),
        Verb::Check { config } => check::run(&config),
        Verb::Metrics(order) => metrics::run(&order),
        Verb::Reload { config } => reload::run(&config),
        Verb::Renew { config, stdin } => renew::run(&config, stdin),
        Verb::Status(order) => status::run(&order),
        Verb::Drain(order) => drain::run(&order),
        Verb::Scale(order) => scale::run(&order),
        Verb::Upgrade(order) => upgrade::run(&order),
        Verb::Sandbox { place } => sandbox::run(&place),
        Verb::RotateTicketKeys { file, keep } => ticket_keys::rotate(&file, keep),
        Verb::Demo { words } => demo::run(words),
        Verb::RulesTest { words } => rules::test(words),
        Verb::Explain { key } => explain::key(&key),
        Verb::ExplainRequest(order) => explain::request(*order),
        Verb::Help { about: None } => answer(&usage::text()),
        Verb::Help { about: Some(verb) } => match usage::about(&verb) {
            Some(text) => answer(&text),
            None => Err(format!("error: there is no verb `{verb}`; `bulkhead help` lists them")),
        },
        Verb::Version => answer(concat!("bulkhead ", env!("CARGO_PKG_VERSION"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(say::harmless(&failure.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn answer(text: &str) -> Result<(), String> {
    say(text);
    Ok(())
}
