//! What the product wrote in its log about each case: the line of the request, and the line of the rules that matched.

use std::collections::BTreeMap;

use harness::{World, eventually};
use serde_json::Value;

use crate::compare::{self, Matched};
use crate::send::{self, Over};

/// About one case.
#[derive(Default)]
pub struct Heard {
    /// The rules that matched.
    pub matched: Vec<Matched>,
    /// How far the first request of the connection came, what was decided there, and the sentence that the client was told; empty
    /// before its line is there. What follows a first request on the wire is no part of the case.
    pub stage: String,
    pub decision: String,
    pub reason: String,
    /// What was the matter with its inspection (`attack_note`).
    pub note: String,
}

/// About all cases, in their order.
pub fn all(world: &World, over: Over, count: usize) -> Vec<Heard> {
    eventually(20, "every case has its line", || {
        let heard = collect(world, over, count);
        heard.iter().all(|heard| !heard.stage.is_empty()).then_some(())
    });
    collect(world, over, count)
}

fn collect(world: &World, over: Over, count: usize) -> Vec<Heard> {
    let numbers: BTreeMap<String, usize> =
        (0..count).map(|number| (send::address(over, number).to_string(), number)).collect();
    let mut all: Vec<Heard> = (0..count).map(|_| Heard::default()).collect();
    for line in world.log() {
        if !line.starts_with('{') {
            continue;
        }
        let line = serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("a torn line: {error}: {line}"));
        if line["process"] != "http-filter" {
            continue;
        }
        let client = line["client"].as_str().unwrap_or_default();
        let client = client.rsplit_once(':').map_or(client, |(address, _)| address);
        let Some(heard) = numbers.get(client).map(|number| &mut all[*number]) else { continue };
        match line["message"].as_str().unwrap_or_default() {
            "request" if heard.stage.is_empty() => {
                let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
                (heard.stage, heard.decision, heard.reason) = (text("stage"), text("decision"), text("reason"));
                heard.note = text("attack_note");
            }
            "web-attack" => heard.matched.extend(line["hits"].as_array().into_iter().flatten().map(matched)),
            _ => {}
        }
    }
    all
}

fn matched(hit: &Value) -> Matched {
    let rule = hit["id"].as_u64().expect("a hit has the number of its rule");
    let text = |key: &str| shown(hit[key].as_str().unwrap_or_default());
    Matched { rule, line: compare::line(rule, &text("message"), &text("data")) }
}

/// As an error log shows it: in one line.
fn shown(text: &str) -> String {
    text.chars().fold(String::new(), |mut shown, char| {
        match char {
            ' '..='~' => shown.push(char),
            _ => shown += &format!("\\x{:02x}", u32::from(char)),
        }
        shown
    })
}
