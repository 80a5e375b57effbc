//! Request ids and `[http-filter.trace]`.

use crate::config::checked::{Observe, RequestIdPolicy, Trace, TraceMode, TraceTrust};
use crate::config::ledger::Names;
use crate::config::read::reference;
use crate::config::tree::Section;
use std::sync::Arc;

pub(in crate::config) fn observe(section: &Section<'_>) -> Observe {
    let policies =
        [("off", RequestIdPolicy::Off), ("backend", RequestIdPolicy::Backend), ("both", RequestIdPolicy::Both)];
    Observe {
        request_id: section.choice("request_id", &policies).map_or(RequestIdPolicy::Backend, |placed| placed.value),
        trace: trace(&section.table("trace")),
    }
}

fn trace(section: &Section<'_>) -> Trace {
    let modes = [("off", TraceMode::Off), ("pass", TraceMode::Pass), ("span", TraceMode::Span)];
    let trust = [("anybody", TraceTrust::Anybody), ("trusted", TraceTrust::Trusted)];
    let mode = section.choice("mode", &modes).map_or(TraceMode::Pass, |placed| placed.value);
    let export = reference(section, "export", Names::Pools);
    if let (Some(export), Some(key)) = (&export, section.key("export"))
        && mode != TraceMode::Span
    {
        let error = section
            .ledger
            .error(key.path, "there is nothing to export: requests are no spans")
            .at(&export.span, "needs `mode = \"span\"`");
        section.ledger.report(error);
    }
    let path = section.text("path", |text| {
        let plain = text.starts_with('/') && text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic());
        if plain { Ok(Arc::<str>::from(text)) } else { Err(format!("`{text}` is not a path")) }
    });
    Trace {
        mode,
        accept: section.choice("accept", &trust).map_or(TraceTrust::Anybody, |placed| placed.value),
        sample: section.count32("sample"),
        export: export.map(|export| export.value),
        path: path.map_or_else(|| Arc::from("/v1/traces"), |path| path.value),
        queue: section.count("queue"),
        interval: section.duration("interval"),
    }
}
