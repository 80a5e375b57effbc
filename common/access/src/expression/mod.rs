//! `when`: conditions in CEL (the Common Expression Language), parsed by the crate `cel`, then checked and compiled here.
//!
//! Why not the crate's own interpreter: it finds out at run time that a name does not exist or that a number is compared with a text,
//! copies every header into a map before it begins, and bounds nothing. Here every name, member, function and kind of value is checked
//! when the file is read ([`check`]), values are borrowed only when the expression asks for them, and every evaluation has a budget
//! ([`evaluate`]). In tests the interpreter is the oracle that both must agree with.
//!
//! Bounds: a text of 4 KiB (the configuration's limit), [`MAX_NODES`] nodes, [`MAX_DEPTH`] levels, [`MAX_NESTING`] brackets, [`evaluate::BUDGET`] steps per
//! evaluation, 256 KiB per compiled regular expression.

mod check;
pub mod evaluate;
mod functions;
mod names;
mod syntax;

use std::ops::Range;
use std::sync::Arc;

use common::config::{Diagnostic, Located};

use crate::Countries;
use crate::facts::{Facts, Known};
use crate::matcher::{Environment, Place};

pub use evaluate::Failure;
pub(crate) use functions::regex_problem;
pub use names::Type;
pub(crate) use names::media_type;

/// Most nodes of an expression.
pub const MAX_NODES: usize = 500;
/// Most levels of one.
pub const MAX_DEPTH: usize = 32;

/// Most brackets that may be open at a time.
pub const MAX_NESTING: usize = 10;

/// What is wrong with an expression, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Bytes of the text.
    pub at: Range<usize>,
    /// The sentence.
    pub what: String,
    /// Beside the underline.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
}

/// A condition that was found sound.
#[derive(Debug, Clone)]
pub struct Expression {
    root: evaluate::Node,
    needs: Known,
    countries: Option<Arc<Countries>>,
}

impl Expression {
    /// Parses, checks and compiles.
    ///
    /// # Errors
    /// What is wrong, to be drawn under the source line at the column inside the expression.
    pub fn compile(text: &Located, place: Place, environment: &Environment) -> Result<Self, Box<Diagnostic>> {
        let draw = |problem: Problem| {
            let drawn = text.fault(problem.at, problem.what, problem.label);
            Box::new(match problem.help {
                Some(help) => drawn.help(help),
                None => drawn,
            })
        };
        Self::parse(text.as_str(), place, environment).map_err(draw)
    }

    fn parse(text: &str, place: Place, environment: &Environment) -> Result<Self, Problem> {
        let checked = check::check(text, place, environment)?;
        let countries = checked.asks_country.then(|| environment.countries.clone()).flatten();
        Ok(Self { root: checked.root, needs: checked.needs, countries })
    }

    /// What has to be known before it can be asked.
    #[must_use]
    pub fn needs(&self) -> Known {
        self.needs
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// Why there is no answer. Whoever asks must then take the safe side.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, Failure> {
        self.cost(facts).1
    }

    /// As [`Expression::holds`], with the steps it took: for measurements and tests.
    pub fn cost(&self, facts: &Facts<'_>) -> (u32, Result<bool, Failure>) {
        let countries = self.countries.as_deref();
        let mut evaluation = evaluate::Evaluation { facts, countries, left: evaluate::BUDGET, locals: Vec::new() };
        let value = evaluation.value(&self.root);
        (evaluate::BUDGET - evaluation.left, value.map(|value| value == evaluate::Value::Bool(true)))
    }
}
