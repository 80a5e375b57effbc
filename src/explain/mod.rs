//! `bulkhead explain`: what a key of the configuration means, or what would become of a request.
//!
//! A key is answered from the table that also makes the documentation. A request ([`words`]: command line → question) is taken
//! from process to process as it would meet them ([`walk`]) and told stage by stage ([`print`]).

mod certificate;
mod print;
mod walk;
pub mod words;

use common::ipc::messages::explain::MAX_BODY;

use crate::ask::Crew;
use crate::say::say;
use words::RequestOrder;

/// Prints what is known of a key or table.
///
/// # Errors
/// When there is no such key, with the nearest that exists.
pub fn key(key: &str) -> Result<(), String> {
    let text = common::config::reference::explain_key(key).map_err(|complaint| format!("error: {complaint}"))?;
    say(&text);
    Ok(())
}

/// Prints what would become of a request.
///
/// # Errors
/// When `--client-cert` or `--data` cannot be used, or a process that the request would meet does not answer. That the request would be refused is an answer and no error.
pub fn request(mut order: RequestOrder) -> Result<(), String> {
    if let Some(path) = &order.body {
        order.question.body = Some(body(path)?);
    }
    if let Some(path) = &order.client_cert {
        order.question.certificate = Some(certificate::from_file(path)?);
    }
    let crew = Crew::at(&order.place)?;
    let (json, title) = (order.json, order.title.clone());
    let stages = walk::walk(&crew, order)?;
    say(&if json { format!("{:#}", print::json(&title, &stages)) } else { print::text(&title, &stages) });
    Ok(())
}

/// The body of `--data @FILE`.
fn body(path: &std::path::Path) -> Result<Box<[u8]>, String> {
    use std::io::Read;
    let fail = |why: &dyn std::fmt::Display| format!("error: --data {}: {why}", path.display());
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
    let file = std::fs::File::open(path).map_err(|error| fail(&error))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| fail(&error))?;
    if bytes.len() > MAX_BODY {
        return Err(fail(&format_args!("more than {MAX_BODY} bytes do not fit into the question")));
    }
    Ok(bytes.into())
}
