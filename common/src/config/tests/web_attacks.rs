//! `[http-filter.web-attacks]`: what it means, and what is wrong is said under its line.

use super::*;
use std::time::Duration;

fn with(keys: &str) -> String {
    format!("{BASE}[http-filter.web-attacks]\n{keys}\n")
}

fn read(keys: &str) -> WebAttacks {
    sound(&with(keys)).0.http_filter.web_attacks
}

#[test]
fn the_defaults_look_at_nothing_and_refuse_what_they_cannot_judge() {
    let attacks = sound(BASE).0.http_filter.web_attacks;
    assert_eq!((attacks.mode, attacks.is_on(), attacks.reads_responses()), (WebAttackMode::Off, false, false));
    assert_eq!((attacks.paranoia, attacks.inbound_threshold, attacks.outbound_threshold), (1, 5, 4));
    assert_eq!((attacks.max_body, attacks.max_held, attacks.inline_body), (1 << 20, 16 << 20, 4096));
    assert_eq!((attacks.over_limit, attacks.malformed_body), (OverLimit::Reject, RejectOrPass::Reject));
    assert_eq!((attacks.budget, attacks.over_budget), (Duration::from_millis(50), RejectOrPass::Reject));
    let limits = (attacks.max_arguments, attacks.max_depth, attacks.max_nodes, attacks.max_name_length);
    assert_eq!((limits, attacks.max_value_length, attacks.max_parts), ((256, 32, 10_000, 1024), 1 << 20, 256));
    let unread = |kind: &[u8]| attacks.unread_types.iter().any(|pattern| pattern.matches(kind));
    assert!(unread(b"image/png") && unread(b"application/grpc+proto") && !unread(b"application/json"));
    assert!(attacks.mask.iter().any(|part| &**part == "passwd") && attacks.rules.is_empty());
}

#[test]
fn rules_are_taken_from_the_folder_of_the_configuration_and_only_where_they_run() {
    let text =
        with("mode = \"block\"\nrules = [\"crs/setup.conf\", \"/usr/share/crs/*.conf\"]\nshadow = \"next/*.conf\"");
    let (config, _) = sound(&text);
    let attacks = &config.http_filter.web_attacks;
    assert_eq!(attacks.rules, [Path::new("/etc/b/crs/setup.conf"), Path::new("/usr/share/crs/*.conf")]);
    assert_eq!(attacks.shadow, [Path::new("/etc/b/next/*.conf")]);
    let noted: Vec<&str> = config.files.iter().map(|file| file.key).collect();
    let rules = "http-filter.web-attacks.rules";
    assert_eq!(noted, [rules, rules, "http-filter.web-attacks.shadow"]);
    assert!(config.files.iter().all(|file| file.is_for(crate::process::Process::HttpFilter)));
    let off = text.replace("\"block\"", "\"off\"");
    assert!(sound(&off).0.files.is_empty());
    let scoped = format!("{off}[[http-filter.web-attacks.scope]]\nname = \"a\"\nmode = \"detect\"\n");
    let (config, _) = sound(&scoped);
    assert!(config.http_filter.web_attacks.is_on() && config.files.len() == 3);
    warns(
        &text.replace("mode = \"block\"", ""),
        "setup.conf",
        &["no rule looks at any request", "`mode = \"detect\"`"],
    );
}

#[test]
fn scopes_name_what_is_different() {
    let scope =
        |keys: &str| with(&format!("mode = \"detect\"\n[[http-filter.web-attacks.scope]]\nname = \"s\"\n{keys}"));
    let text = scope("paths = \"/api/*\"\nmode = \"block\"\nparanoia = 3\nmax_body = \"64KiB\"\nresponses = true");
    let attacks = sound(&text).0.http_filter.web_attacks;
    let one = &attacks.scopes[0];
    assert_eq!((one.mode, one.paranoia, one.max_body), (Some(WebAttackMode::Block), Some(3), Some(65_536)));
    assert_eq!((one.inbound_threshold, one.outbound_threshold, one.over_limit), (None, None, None));
    assert!(one.conditions.paths[0].matches("/api/x") && attacks.reads_responses());
    assert_eq!(one.line, line_of(&text, "[[http-filter.web-attacks.scope]]"));
    fails(&scope("paths = \"/x\""), "attacks.scope]]", &["does not say what is different", "`paranoia`"]);
    fails(&scope("max_body = \"17MiB\""), "17MiB", &["`http-filter.web-attacks.scope.max_body`", "raise `max_held`"]);
    fails(&scope("paranoia = 5"), "paranoia = 5", &["too large", "1 to 4"]);
    let twice = format!("{}\n[[http-filter.web-attacks.scope]]\nname = \"s\"\nparanoia = 1", scope("paranoia = 2"));
    let errors = parse(&twice).unwrap_err();
    assert!(errors.to_string().contains("two scopes named `s`"), "{errors}");
    fails(&scope("paranoia = 2\ncountries = \"DE\""), "DE", &["nothing is known of countries"]);
}

#[test]
fn exclusions_name_rules_tags_and_parts_of_requests() {
    let exclude = |keys: &str| with(&format!("[[http-filter.web-attacks.exclude]]\nname = \"e\"\n{keys}"));
    let keys = "rules = [942100, \"942200-942299\"]\ntags = \"attack-rce\"\ntargets = \"request_cookies:Session\"\n\
        arguments = [\"text\", \"json.a b\"]\nparameters = [{ name = \"x\", absent = true }]";
    let attacks = sound(&exclude(keys)).0.http_filter.web_attacks;
    let one = &attacks.excludes[0];
    assert_eq!(one.rules, [942_100..=942_100, 942_200..=942_299]);
    assert_eq!((one.tags[0].as_str(), one.targets[0].as_str()), ("attack-rce", "REQUEST_COOKIES:Session"));
    assert_eq!((one.parameters.len(), one.conditions.parameters.len()), (2, 1));
    fails(&exclude("paths = \"/x\""), "attacks.exclude]]", &["does not say what is excluded", "`tags`"]);
    for (keys, words) in [
        ("rules = \"9421xx\"", "`9421xx` is not the number of a rule"),
        ("rules = [\"9-1\"]", "write `1-9`"),
        ("rules = []", "empty list"),
        ("rules = [true]", "number of a rule"),
        ("targets = \"!ARGS:x\"", "write `ARGS:x`"),
        ("targets = \"ARGS:\"", "would be `ARGS`"),
        ("targets = \"text in it\"", "not a variable"),
        ("arguments = \"\"", "name of a parameter"),
        ("tags = \"\"", "not a tag"),
    ] {
        fails(&exclude(keys), keys, &["`http-filter.web-attacks.exclude.", words]);
    }
}

#[test]
fn wrong_words() {
    fails(&with("mode = \"on\""), "mode = ", &["`\"off\"`, `\"detect\"`, `\"block\"`"]);
    fails(&with("over_limit = \"inspect_part\""), "over_limit", &["did you mean `inspect-part`?"]);
    fails(&with("max_held = \"1MiB\"\nmax_body = \"2MiB\""), "max_body", &["above `max_held`"]);
    fails(&with("unread_types = \"pdf\""), "pdf", &["not a media type"]);
    fails(&with("budget = 50"), "budget", &["needs a unit"]);
    fails(&with("rules = [\"a\", \"a\"]"), "rules", &["the same path stands twice"]);
    assert_eq!(read("max_held = \"512KiB\"").max_body, 512 << 10);
    assert_eq!(&*read("mask = \"PIN\"").mask[0], "pin");
}
