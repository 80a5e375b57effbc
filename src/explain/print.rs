//! What the processes said, as a text for people or JSON for machines. Pure.

use std::fmt::Write as _;

use common::ipc::messages::explain::Step;
use serde_json::{Value, json};

use super::walk::Stage;

/// A process per paragraph, a decision per line, and what comes of it at the end.
pub fn text(title: &str, stages: &[Stage]) -> String {
    let mut text = format!("{title}\n");
    for stage in stages {
        let _ = writeln!(text, "\n{}@{}", stage.process, stage.instance);
        for step in &stage.explained.steps {
            let by = by(step, &stage.file).map(|by| format!("  [{by}]")).unwrap_or_default();
            let mark = if step.refused { "✗" } else { " " };
            let _ = writeln!(text, " {mark} {:<14} {}{by}", step.stage, step.decision);
            for (name, value) in &step.facts {
                let _ = writeln!(text, "   {:<14} {name}: {value}", "");
            }
        }
    }
    let _ = writeln!(text, "\n{}", outcome(stages));
    text
}

fn by(step: &Step, file: &str) -> Option<String> {
    let rule = step.rule.as_deref()?;
    Some(match step.line {
        Some(line) => format!("{rule}, {file}:{line}"),
        None => rule.to_owned(),
    })
}

fn refusal(stages: &[Stage]) -> Option<(&Stage, &Step)> {
    let last = stages.last()?;
    Some((last, last.explained.steps.iter().find(|step| step.refused)?))
}

fn outcome(stages: &[Stage]) -> String {
    match refusal(stages) {
        Some((stage, step)) => format!("It ends at {}: {}: {}", stage.process, step.stage, step.decision),
        None => "It goes through.".to_owned(),
    }
}

/// The same for machines.
pub fn json(title: &str, stages: &[Stage]) -> Value {
    let step = |step: &Step, file: &str| {
        json!({
            "stage": step.stage,
            "decision": step.decision,
            "rule": step.rule,
            "file": step.line.map(|_| file),
            "line": step.line,
            "refused": step.refused,
            "facts": step.facts.iter().map(|(name, value)| (name.to_string(), json!(value)))
                .collect::<serde_json::Map<String, Value>>(),
        })
    };
    let stage = |stage: &Stage| {
        let steps: Vec<Value> = stage.explained.steps.iter().map(|own| step(own, &stage.file)).collect();
        json!({ "process": stage.process.name(), "instance": stage.instance, "steps": steps })
    };
    let refused = refusal(stages).map(|(stage, step)| json!({ "process": stage.process.name(), "stage": step.stage }));
    json!({ "request": title, "stages": stages.iter().map(stage).collect::<Vec<Value>>(), "refused": refused })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use common::ipc::messages::explain::Explained;
    use common::process::Process;

    #[test]
    fn rule_file_and_line_are_told_and_what_comes_of_it() {
        let steps = vec![
            Step::new("listener", "web 127.0.0.1:80 (http)").fact("x", "y"),
            Step::new("access", "refused").by("office", Some(7)).refuses(true),
        ];
        let stages = [Stage {
            process: Process::SniRouter,
            instance: 1,
            file: "b.toml".into(),
            explained: Explained::ends(steps),
        }];
        let text = text("GET http://a/", &stages);
        assert!(text.contains("sni-router@1") && text.contains("[office, b.toml:7]"), "{text}");
        assert!(text.contains("x: y") && text.ends_with("It ends at sni-router: access: refused\n"), "{text}");
        let value = json("GET http://a/", &stages);
        assert_eq!(value["stages"][0]["steps"][1]["line"], 7);
        assert_eq!(value["refused"]["stage"], "access");
    }
}
