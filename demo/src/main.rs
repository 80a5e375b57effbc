//! `bulkhead-demo`, which `bulkhead demo` runs: a world in one folder, in one minute, that goes away without a trace.
//!
//! It is a program of its own, because the product must carry no certificate authority, no example backend and no test client.
//! It looks at Bulkhead only from outside: it writes a configuration, runs `bulkhead up` on it, and sends requests.
//!
//! [`arguments`] → [`folder`], [`certificates`], [`configuration`], [`ports`] → [`backends`] → [`launch`] → [`lines`] with
//! [`curl`], or [`check`]; what is shown and checked is data in [`scenarios`].
#![forbid(unsafe_code)]

mod arguments;
mod backends;
mod certificates;
mod check;
mod configuration;
mod curl;
mod demo;
mod folder;
mod launch;
mod lines;
mod living;
mod output;
mod pattern;
mod ports;
mod scenarios;
mod signals;
mod world;

use std::process::ExitCode;

/// The arguments were wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = match arguments::read(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(complaint) => {
            lines::complain(&format!("{complaint}\n\n{}", arguments::USAGE));
            return ExitCode::from(USAGE);
        }
    };
    if arguments.help {
        lines::say(arguments::USAGE.trim_end());
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(demo::run(&arguments))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            lines::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests;
