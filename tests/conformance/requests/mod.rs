//! About 1,300 HTTP/1 requests by topic, in the order of RFC 9112: the request line, header lines, who is meant, how long the body is.

mod bytes;
pub mod chunks;
pub mod encodings;
mod fields;
pub mod hosts;
pub mod lengths;
mod lines;
pub mod plain;
mod request_line;
pub mod targets;

use crate::case::{Case, Must};

/// All of them; paths are judged with `path = "normalise"`.
pub fn all() -> Vec<Case> {
    [
        plain::cases(),
        request_line::cases(),
        lines::cases(),
        bytes::cases(),
        fields::cases(),
        hosts::cases(),
        targets::cases(),
        lengths::cases(),
        encodings::cases(),
        chunks::cases(),
    ]
    .concat()
    .into_iter()
    .map(one_hop_less)
    .collect()
}

/// RFC 9110 §7.6.2: `Max-Forwards` counts for the two methods that trace a way.
fn one_hop_less(mut case: Case) -> Case {
    if let Must::Forwarded(sent) = &mut case.must
        && matches!(sent.method.as_str(), "TRACE" | "OPTIONS")
    {
        let hops = sent.fields.iter_mut().filter(|(name, _)| name == "max-forwards");
        hops.for_each(|(_, value)| *value = "4".into());
    }
    case
}

pub use fields::underscores_by_policy as underscores;
pub use targets::ambiguous;
