//! The certificates of `bulkhead status`: which ends first, and those that need somebody.

use common::certificate_desk::CertificateReport;
use common::ipc::messages::control::ControlReply;
use serde_json::{Value, json};

use crate::ask::Reply;
use crate::say::harmless;

/// Empty when nobody has any.
pub fn table(replies: &[Reply]) -> String {
    let mut text = String::new();
    for (who, report) in all(replies) {
        text.push_str(&format!("\nCERTIFICATES of {who}: {}", report.pairs));
        if let Some((site, end, left)) = &report.first_end {
            text.push_str(&format!("; the first expires {left}, at {end} ({site})"));
        }
        text.push('\n');
        for state in &report.notable {
            text.push_str(&harmless(&format!("{:<10} {:<28} {}\n", state.state, state.site, state.why)));
        }
        if report.left_out > 0 {
            text.push_str(&format!("… and {} more that need somebody\n", report.left_out));
        }
    }
    text
}

/// The same for machines.
pub fn json(replies: &[Reply]) -> Vec<Value> {
    let each = |(who, report): (String, &CertificateReport)| {
        let notable: Vec<Value> = report
            .notable
            .iter()
            .map(|state| json!({ "site": state.site, "file": state.file, "state": state.state, "why": state.why }))
            .collect();
        let first = report.first_end.as_ref();
        json!({
            "by": who,
            "certificates": report.pairs,
            "first_to_expire": first.map(|(site, end, left)| json!({ "site": site, "at": end, "left": left })),
            "notable": notable,
            "left_out": report.left_out,
        })
    };
    all(replies).into_iter().map(each).collect()
}

fn all(replies: &[Reply]) -> Vec<(String, &CertificateReport)> {
    let of = |(target, answer): &'_ Reply| match answer {
        Ok(ControlReply::Certificates(report)) if report.pairs > 0 => {
            Some(format!("{}@{}", target.process, target.instance))
        }
        _ => None,
    };
    let mut found = Vec::new();
    for reply in replies {
        if let (Some(who), (_, Ok(ControlReply::Certificates(report)))) = (of(reply), reply) {
            found.push((who, &**report));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use crate::ask::Target;
    use common::certificate_desk::CertificateState;
    use common::process::Process;

    #[test]
    fn who_needs_somebody_has_a_line_and_nobody_is_no_table() {
        let target = |process| Target { process, instance: 1, socket: "/x".into() };
        let report = CertificateReport {
            pairs: 3,
            first_end: Some(("shop.example".into(), "Jan  1 2027".into(), "in 12 days".into())),
            notable: vec![CertificateState {
                site: "shop.example".into(),
                file: "/c".into(),
                state: "kept".into(),
                why: "/c: the file is empty".into(),
            }],
            left_out: 2,
        };
        let replies = [
            (target(Process::SniRouter), Ok(ControlReply::Certificates(Box::default()))),
            (target(Process::TlsTerminator), Ok(ControlReply::Certificates(Box::new(report)))),
        ];
        let text = table(&replies);
        assert!(text.contains("tls-terminator@1: 3; the first expires in 12 days"), "{text}");
        assert!(text.contains("kept") && text.contains("the file is empty") && text.contains("2 more"), "{text}");
        assert_eq!(table(&replies[..1]), "");
        assert_eq!(json(&replies)[0]["notable"][0]["state"], "kept");
    }
}
