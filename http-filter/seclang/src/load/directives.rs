//! Directives: what each line of a rule file asks for.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Item, Loader};
use crate::error::Mistake;
use crate::rule::{Engine, Match, Which};

/// What to do with a body that is larger than its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverLimit {
    /// The transaction is refused (413 for a request).
    Reject,
    /// What fits is inspected.
    ProcessPartial,
}

/// The values that directives set, with ModSecurity's defaults.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    pub(crate) engine: Engine,
    pub(crate) request_body_access: bool,
    pub(crate) response_body_access: bool,
    pub(crate) request_body_limit: usize,
    pub(crate) request_over_limit: OverLimit,
    pub(crate) response_body_limit: usize,
    pub(crate) response_over_limit: OverLimit,
    /// The types of responses whose bodies are inspected; empty: all.
    pub(crate) response_types: Vec<String>,
    pub(crate) arguments: Option<usize>,
    pub(crate) json_depth: Option<usize>,
    pub(crate) separator: u8,
    pub(crate) collection_timeout: u64,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            engine: Engine::On,
            request_body_access: true,
            response_body_access: false,
            request_body_limit: 128 << 20,
            request_over_limit: OverLimit::Reject,
            response_body_limit: 512 << 10,
            response_over_limit: OverLimit::ProcessPartial,
            response_types: Vec::new(),
            arguments: None,
            json_depth: None,
            separator: b'&',
            collection_timeout: 3600,
        }
    }
}

/// Directives that set up logs, folders and other things of a server, which this crate leaves to its caller.
const IGNORED: &[&str] = &[
    "SecAuditEngine",
    "SecAuditLog",
    "SecAuditLog2",
    "SecAuditLogDirMode",
    "SecAuditLogFileMode",
    "SecAuditLogFormat",
    "SecAuditLogParts",
    "SecAuditLogRelevantStatus",
    "SecAuditLogStorageDir",
    "SecAuditLogType",
    "SecComponentSignature",
    "SecConnEngine",
    "SecCookieFormat",
    "SecDataDir",
    "SecDebugLog",
    "SecDebugLogLevel",
    "SecGeoLookupDb",
    "SecGsbLookupDb",
    "SecGuardianLog",
    "SecHttpBlKey",
    "SecInterceptOnError",
    "SecParseXmlIntoArgs",
    "SecPcreMatchLimit",
    "SecPcreMatchLimitRecursion",
    "SecRequestBodyInMemoryLimit",
    "SecRequestBodyNoFilesLimit",
    "SecSensorId",
    "SecServerSignature",
    "SecStatusEngine",
    "SecStreamInBodyInspection",
    "SecStreamOutBodyInspection",
    "SecTmpDir",
    "SecTmpSaveUploadedFiles",
    "SecUnicodeMap",
    "SecUnicodeMapFile",
    "SecUploadDir",
    "SecUploadFileLimit",
    "SecUploadFileMode",
    "SecUploadKeepFiles",
    "SecWebAppId",
    "SecXmlExternalEntity",
    "SecXmlNameSpace",
    "SecCacheTransformations",
    "SecChrootDir",
    "SecHashEngine",
];

/// Those that are obeyed, for error messages.
const KNOWN: &str = "SecRule SecAction SecMarker SecDefaultAction SecRuleEngine SecRuleRemoveById/ByTag/ByMsg SecRuleUpdateTargetById/ByTag/ByMsg \
                     SecRuleUpdateActionById Include IncludeOptional SecRequestBodyAccess SecRequestBodyLimit SecRequestBodyLimitAction \
                     SecRequestBodyJsonDepthLimit SecResponseBodyAccess SecResponseBodyLimit SecResponseBodyLimitAction SecResponseBodyMimeType \
                     SecArgumentsLimit SecArgumentSeparator SecCollectionTimeout";

impl Loader<'_> {
    /// Obeys one directive.
    pub(super) fn directive(&mut self, words: &[String], depth: usize) -> Result<(), Mistake> {
        let Some((name, arguments)) = words.split_first() else { return Ok(()) };
        let lower = name.to_ascii_lowercase();
        if self.open_chain && !matches!(lower.as_str(), "secrule" | "secaction") {
            self.open_chain = false;
            return Err(Mistake::new(name, "the rule before says `chain`, but no rule follows"));
        }
        match lower.as_str() {
            "secrule" => match arguments {
                [targets, operator] => self.rule(Some((targets, operator)), "")?,
                [targets, operator, actions] => self.rule(Some((targets, operator)), actions)?,
                _ => {
                    return Err(Mistake::new(name, "SecRule has variables, an operator and a list of actions")
                        .allowed("quote each of them"));
                }
            },
            "secaction" => self.rule(None, one(name, arguments)?)?,
            "secmarker" => self.items.push(Item::Marker(Arc::from(one(name, arguments)?))),
            "secdefaultaction" => self.default_action(one(name, arguments)?)?,
            "include" | "includeoptional" => {
                let path: PathBuf = self.beside(one(name, arguments)?);
                self.include(&path, depth + 1, lower == "includeoptional");
            }
            _ if lower.starts_with("secruleremove") || lower.starts_with("secruleupdate") => {
                self.change_rules(name, &lower, arguments)?
            }
            _ if IGNORED.iter().any(|known| known.eq_ignore_ascii_case(name)) => {}
            _ => self.value(name, &lower, arguments)?,
        }
        Ok(())
    }

    fn value(&mut self, name: &str, lower: &str, arguments: &[String]) -> Result<(), Mistake> {
        let values = &mut self.directives;
        match lower {
            "secruleengine" => values.engine = engine(one(name, arguments)?)?,
            "secrequestbodyaccess" => values.request_body_access = on_off(one(name, arguments)?)?,
            "secresponsebodyaccess" => values.response_body_access = on_off(one(name, arguments)?)?,
            "secrequestbodylimit" => values.request_body_limit = number(one(name, arguments)?)?,
            "secresponsebodylimit" => values.response_body_limit = number(one(name, arguments)?)?,
            "secrequestbodylimitaction" => values.request_over_limit = over_limit(one(name, arguments)?)?,
            "secresponsebodylimitaction" => values.response_over_limit = over_limit(one(name, arguments)?)?,
            "secresponsebodymimetype" => {
                values.response_types.extend(arguments.iter().map(|kind| kind.to_ascii_lowercase()))
            }
            "secresponsebodymimetypesclear" => values.response_types.clear(),
            "secargumentslimit" => values.arguments = Some(number(one(name, arguments)?)?),
            "secrequestbodyjsondepthlimit" => values.json_depth = Some(number(one(name, arguments)?)?),
            "seccollectiontimeout" => values.collection_timeout = number(one(name, arguments)?)? as u64,
            "secargumentseparator" => {
                let text = one(name, arguments)?;
                values.separator = match text.as_bytes() {
                    [byte] => *byte,
                    _ => return Err(Mistake::new(text, "the separator is one ASCII character")),
                };
            }
            _ => return Err(Mistake::new(name, "unknown directive").allowed(format!("known are: {KNOWN}"))),
        }
        Ok(())
    }
}

/// The only argument of a directive.
pub(super) fn one<'a>(name: &str, arguments: &'a [String]) -> Result<&'a str, Mistake> {
    match arguments {
        [argument] => Ok(argument),
        _ => Err(Mistake::new(name, "the directive has one argument").allowed("quote an argument that holds spaces")),
    }
}

pub(super) fn engine(text: &str) -> Result<Engine, Mistake> {
    match () {
        () if text.eq_ignore_ascii_case("on") => Ok(Engine::On),
        () if text.eq_ignore_ascii_case("off") => Ok(Engine::Off),
        () if text.eq_ignore_ascii_case("detectiononly") => Ok(Engine::DetectionOnly),
        () => Err(Mistake::new(text, "unknown state of the engine").allowed("On, DetectionOnly or Off")),
    }
}

pub(super) fn on_off(text: &str) -> Result<bool, Mistake> {
    match () {
        () if text.eq_ignore_ascii_case("on") => Ok(true),
        () if text.eq_ignore_ascii_case("off") => Ok(false),
        () => Err(Mistake::new(text, "neither On nor Off")),
    }
}

fn over_limit(text: &str) -> Result<OverLimit, Mistake> {
    match () {
        () if text.eq_ignore_ascii_case("reject") => Ok(OverLimit::Reject),
        () if text.eq_ignore_ascii_case("processpartial") => Ok(OverLimit::ProcessPartial),
        () => Err(Mistake::new(text, "unknown action").allowed("Reject or ProcessPartial")),
    }
}

fn number(text: &str) -> Result<usize, Mistake> {
    text.parse().map_err(|_| Mistake::new(text, "not a number"))
}

/// Reads `942100`, `942100-942999` or `"1 2-3,4"`.
pub(super) fn id_ranges(text: &str) -> Result<Vec<Which>, Mistake> {
    let mut list = Vec::new();
    for word in text.split([' ', ',', '\t']).map(|word| word.trim_matches(['"', '\''])).filter(|word| !word.is_empty())
    {
        let wrong = |_| Mistake::new(word, "not a rule number or range").allowed("such as 942100 or 942100-942999");
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        list.push(Which::Ids(first.parse().map_err(wrong)?..=last.parse().map_err(wrong)?));
    }
    if list.is_empty() {
        return Err(Mistake::new(text, "a rule number is missing"));
    }
    Ok(list)
}

/// How a tag or a message is to be compared: as a pattern if it holds signs of one.
pub(crate) fn text_match(text: &str) -> Result<Match, Mistake> {
    let text = text.trim_matches(['"', '\'']);
    if text.contains(['*', '+', '^', '$', '[', '|', '\\']) {
        return Ok(Match::Pattern(crate::operator::pattern::compile(text)?));
    }
    Ok(Match::Exact(text.into()))
}
