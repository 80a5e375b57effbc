//! The command line of the processes, and what they print of themselves. Nobody types it but systemd, `bulkhead up` and tests.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Component, Depth};
use crate::budget::Budget;
use crate::complain::{answer, complain};
use crate::config::Text;
use crate::observe::output;
use crate::sandbox;

/// What the processes say when they were not understood.
pub const USAGE: &str = "usage: PROCESS --config FILE [--instance N]   serve (started by systemd or `bulkhead up`)
       PROCESS --check FILE [--quick]          judge the configuration as this process would
       PROCESS --budget FILE                   print what this process may need under the configuration, at most
       PROCESS --figures | --version           print the table of figures | the release
       PROCESS --syscalls                      print the system calls of its whole life, for SystemCallFilter=
       PROCESS --acts                          try what the sandbox must forbid, without closing it: what the unit holds";

/// How to serve.
pub struct Arguments {
    /// The configuration.
    pub config: PathBuf,
    /// Which instance, from 1.
    pub instance: u32,
    /// Judge the configuration and end; how deeply.
    pub check_only: Option<Depth>,
}

/// What to do.
pub enum Order {
    /// Serve, or judge.
    Serve(Arguments),
    /// Print something and end.
    Print(Printed),
}

/// What to print.
pub enum Printed {
    /// What the process may need under this configuration.
    Budget(PathBuf),
    /// The release.
    Version,
    /// The table of figures.
    Figures,
    /// For `SystemCallFilter=`.
    Syscalls,
    /// What the sandbox must forbid, tried without it.
    Acts,
}

impl Arguments {
    /// Understands the words after the program's name.
    ///
    /// # Errors
    /// The sentence to show above [`USAGE`].
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Order, String> {
        let (mut config, mut instance, mut check_only) = (None, 1, None);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--config" => config = Some(value()?),
                "--check" => (config, check_only) = (Some(value()?), check_only.or(Some(Depth::Whole))),
                "--quick" => check_only = Some(Depth::Quick),
                "--instance" => {
                    let text = value()?;
                    instance = text
                        .parse()
                        .ok()
                        .filter(|number| *number > 0)
                        .ok_or(format!("--instance {text}: expected a number from 1"))?;
                }
                "--budget" => return Ok(Order::Print(Printed::Budget(value()?.into()))),
                "--version" => return Ok(Order::Print(Printed::Version)),
                "--figures" => return Ok(Order::Print(Printed::Figures)),
                "--syscalls" => return Ok(Order::Print(Printed::Syscalls)),
                "--acts" => return Ok(Order::Print(Printed::Acts)),
                _ => return Err(format!("unknown argument '{word}'")),
            }
        }
        let config = config.ok_or("--config FILE is missing")?.into();
        Ok(Order::Serve(Self { config, instance, check_only }))
    }
}

/// Prints it.
pub fn print(component: &Component, what: Printed) -> ExitCode {
    match what {
        // What is wrong with the file, or strange about it, is for `--check` to say.
        Printed::Budget(file) => match Text::read(&file).and_then(|text| text.parse()) {
            Ok((config, _)) => {
                let limit = component.policy.limits.open_files;
                answer(Budget { limit, ..(component.budget)(&config) });
            }
            Err(errors) => {
                complain(errors);
                return ExitCode::FAILURE;
            }
        },
        Printed::Version => answer(format_args!("{} {}", component.process, env!("CARGO_PKG_VERSION"))),
        Printed::Figures => {
            let figures = component.figures.iter().chain(output::TABLE);
            figures.for_each(|(name, help)| answer(format_args!("{name}\t{help}")));
        }
        Printed::Syscalls => sandbox::unit_calls(component.policy).iter().for_each(answer),
        Printed::Acts => {
            for act in sandbox::acts::try_bare(component.policy) {
                let verdict = if act.refused { "refused" } else { "POSSIBLE" };
                let wanted = if act.expected_refused { "must be refused" } else { "may be possible" };
                answer(format_args!("{verdict}\t{}\t{wanted}\t{}", act.answer, act.what));
            }
        }
    }
    ExitCode::SUCCESS
}
