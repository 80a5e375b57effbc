//! The rules that are tested: those of a configuration, in blocking mode, or rule files by themselves.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::config::{NamedFiles, Text, WebAttackMode, WebAttacks};
use common::rules_test::RulesTest;
use seclang::body::BodyLimits;
use seclang::{Engine, RuleSet, Settings, Source};

/// Where the packages put the configuration.
const DEFAULT_CONFIG: &str = "/etc/bulkhead/bulkhead.toml";

/// The least that is a configuration.
const DEFAULTS: &str = r#"
[[sni-router.listen]]
name = "http"
address = "127.0.0.1:80"
protocol = "http"
[[http-filter.route]]
name = "all"
pool = "all"
[[pool]]
name = "all"
servers = "127.0.0.1:8080"
"#;

/// What is configured about web attacks.
///
/// # Errors
/// What is wrong with the configuration.
pub fn configured(order: &RulesTest) -> Result<WebAttacks, String> {
    let text = if order.rules.is_empty() || order.config.is_some() {
        Text::read(order.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG)))
    } else {
        Ok(Text { file_name: "(defaults)".to_owned(), base: PathBuf::new(), text: DEFAULTS.into() })
    };
    let read = text.and_then(|text| text.parse_with(NamedFiles::Ignored));
    let (config, warnings) = read.map_err(|errors| errors.to_string())?;
    warnings.iter().for_each(common::complain::complain);
    let mut own = config.http_filter.web_attacks;
    own.mode = WebAttackMode::Block;
    if !order.rules.is_empty() {
        own.rules.clone_from(&order.rules);
    }
    own.paranoia = order.paranoia.unwrap_or(own.paranoia);
    Ok(own)
}

/// The rules, compiled.
///
/// # Errors
/// Every mistake in them, a line each.
pub fn rules(own: &WebAttacks, engine: Engine, variables: &[(&str, &str)]) -> Result<Arc<RuleSet>, String> {
    let sources: Vec<Source> = own.rules.iter().cloned().map(Source::Path).collect();
    let mut settings = settings(own);
    settings.engine = Some(engine);
    settings.variables.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    match RuleSet::load(&sources, settings) {
        Ok(rules) => Ok(Arc::new(rules)),
        Err(mistakes) => Err(mistakes.iter().map(|mistake| format!("error: {mistake}")).collect::<Vec<_>>().join("\n")),
    }
}

fn settings(own: &WebAttacks) -> Settings {
    let level = own.paranoia.to_string();
    let mut variables: Vec<(String, String)> =
        ["blocking_paranoia_level", "detection_paranoia_level", "paranoia_level"]
            .map(|name| (name.to_owned(), level.clone()))
            .into();
    variables.push(("inbound_anomaly_score_threshold".to_owned(), own.inbound_threshold.to_string()));
    variables.push(("outbound_anomaly_score_threshold".to_owned(), own.outbound_threshold.to_string()));
    variables.push(("early_blocking".to_owned(), u8::from(own.early_blocking).to_string()));
    Settings {
        engine: Some(Engine::On),
        variables,
        limits: BodyLimits {
            arguments: own.max_arguments,
            depth: own.max_depth,
            nodes: own.max_nodes,
            name_length: own.max_name_length,
            value_length: own.max_value_length,
            parts: own.max_parts,
        },
        json_and_xml: true,
        body_access: (Some(true), Some(own.responses)),
        ..Settings::default()
    }
}

/// For error messages: where rules come from.
pub fn origin(own: &WebAttacks) -> String {
    if own.rules.is_empty() {
        return "the rules that are built in".to_owned();
    }
    own.rules.iter().map(|path: &PathBuf| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
