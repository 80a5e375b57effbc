//! `bulkhead explain`: what a key of the configuration means, or what would become of a request.
//!
//! A key is answered from the table that also makes the documentation. A request ([`words`]: command line → question) is taken
//! from process to process as it would meet them ([`walk`]) and told stage by stage ([`print`]).

mod certificate;
mod print;
mod walk;
pub mod words;

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
/// When `--client-cert` cannot be used, or a process that the request would meet does not answer. That the request would be refused is an answer and no error.
pub fn request(mut order: RequestOrder) -> Result<(), String> {
    if let Some(path) = &order.client_cert {
        order.question.certificate = Some(certificate::from_file(path)?);
    }
    let crew = Crew::at(&order.place)?;
    let (json, title) = (order.json, order.title.clone());
    let stages = walk::walk(&crew, order)?;
    say(&if json { format!("{:#}", print::json(&title, &stages)) } else { print::text(&title, &stages) });
    Ok(())
}
