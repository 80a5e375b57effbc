//! The variables that rules look at, and how a rule names what it wants of them.

use regex::bytes::Regex;

use crate::error::Mistake;
use crate::operator::pattern;

/// Where the values of a variable come from, which decides how it may be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One value, without a name.
    Single,
    /// Names and values; a selector may follow a colon.
    Collection,
}

macro_rules! variables {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $kind:ident),* $(,)?) => {
        /// A variable of the rule language.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is the variable of its name in capitals, as the ModSecurity manual has it")]
        pub enum Variable { $($(#[$doc])* $variant),* }

        impl Variable {
            /// All of them, in the order of their numbers (`variable as usize`).
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in rules.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            pub(crate) fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind),* }
            }

            fn parse(name: &str) -> Option<Self> {
                $(if name.eq_ignore_ascii_case($name) { return Some(Self::$variant); })*
                None
            }
        }
    };
}

variables! {
    Args = "ARGS" Collection,
    ArgsNames = "ARGS_NAMES" Collection,
    ArgsGet = "ARGS_GET" Collection,
    ArgsGetNames = "ARGS_GET_NAMES" Collection,
    ArgsPost = "ARGS_POST" Collection,
    ArgsPostNames = "ARGS_POST_NAMES" Collection,
    ArgsCombinedSize = "ARGS_COMBINED_SIZE" Single,
    AuthType = "AUTH_TYPE" Single,
    Duration = "DURATION" Single,
    Env = "ENV" Collection,
    Files = "FILES" Collection,
    FilesNames = "FILES_NAMES" Collection,
    FilesSizes = "FILES_SIZES" Collection,
    FilesCombinedSize = "FILES_COMBINED_SIZE" Single,
    FullRequestLength = "FULL_REQUEST_LENGTH" Single,
    Geo = "GEO" Collection,
    Global = "GLOBAL" Collection,
    HighestSeverity = "HIGHEST_SEVERITY" Single,
    InboundDataError = "INBOUND_DATA_ERROR" Single,
    Ip = "IP" Collection,
    MatchedVar = "MATCHED_VAR" Single,
    MatchedVarName = "MATCHED_VAR_NAME" Single,
    MatchedVars = "MATCHED_VARS" Collection,
    MatchedVarsNames = "MATCHED_VARS_NAMES" Collection,
    MultipartPartHeaders = "MULTIPART_PART_HEADERS" Collection,
    MultipartStrictError = "MULTIPART_STRICT_ERROR" Single,
    MultipartUnmatchedBoundary = "MULTIPART_UNMATCHED_BOUNDARY" Single,
    MultipartBoundaryQuoted = "MULTIPART_BOUNDARY_QUOTED" Single,
    MultipartBoundaryWhitespace = "MULTIPART_BOUNDARY_WHITESPACE" Single,
    MultipartDataBefore = "MULTIPART_DATA_BEFORE" Single,
    MultipartDataAfter = "MULTIPART_DATA_AFTER" Single,
    MultipartHeaderFolding = "MULTIPART_HEADER_FOLDING" Single,
    MultipartLfLine = "MULTIPART_LF_LINE" Single,
    MultipartCrlfLfLines = "MULTIPART_CRLF_LF_LINES" Single,
    MultipartMissingSemicolon = "MULTIPART_MISSING_SEMICOLON" Single,
    MultipartInvalidQuoting = "MULTIPART_INVALID_QUOTING" Single,
    MultipartInvalidPart = "MULTIPART_INVALID_PART" Single,
    MultipartInvalidHeaderFolding = "MULTIPART_INVALID_HEADER_FOLDING" Single,
    MultipartFileLimitExceeded = "MULTIPART_FILE_LIMIT_EXCEEDED" Single,
    MultipartFilename = "MULTIPART_FILENAME" Collection,
    MultipartName = "MULTIPART_NAME" Collection,
    OutboundDataError = "OUTBOUND_DATA_ERROR" Single,
    PathInfo = "PATH_INFO" Single,
    QueryString = "QUERY_STRING" Single,
    RemoteAddr = "REMOTE_ADDR" Single,
    RemoteHost = "REMOTE_HOST" Single,
    RemotePort = "REMOTE_PORT" Single,
    RemoteUser = "REMOTE_USER" Single,
    ReqbodyError = "REQBODY_ERROR" Single,
    ReqbodyErrorMsg = "REQBODY_ERROR_MSG" Single,
    ReqbodyProcessor = "REQBODY_PROCESSOR" Single,
    ReqbodyProcessorError = "REQBODY_PROCESSOR_ERROR" Single,
    ReqbodyProcessorErrorMsg = "REQBODY_PROCESSOR_ERROR_MSG" Single,
    RequestBasename = "REQUEST_BASENAME" Single,
    RequestBody = "REQUEST_BODY" Single,
    RequestBodyLength = "REQUEST_BODY_LENGTH" Single,
    RequestCookies = "REQUEST_COOKIES" Collection,
    RequestCookiesNames = "REQUEST_COOKIES_NAMES" Collection,
    RequestFilename = "REQUEST_FILENAME" Single,
    RequestHeaders = "REQUEST_HEADERS" Collection,
    RequestHeadersNames = "REQUEST_HEADERS_NAMES" Collection,
    RequestLine = "REQUEST_LINE" Single,
    RequestMethod = "REQUEST_METHOD" Single,
    RequestProtocol = "REQUEST_PROTOCOL" Single,
    RequestUri = "REQUEST_URI" Single,
    RequestUriRaw = "REQUEST_URI_RAW" Single,
    Resource = "RESOURCE" Collection,
    ResponseBody = "RESPONSE_BODY" Single,
    ResponseContentLength = "RESPONSE_CONTENT_LENGTH" Single,
    ResponseContentType = "RESPONSE_CONTENT_TYPE" Single,
    ResponseHeaders = "RESPONSE_HEADERS" Collection,
    ResponseHeadersNames = "RESPONSE_HEADERS_NAMES" Collection,
    ResponseProtocol = "RESPONSE_PROTOCOL" Single,
    ResponseStatus = "RESPONSE_STATUS" Single,
    Rule = "RULE" Collection,
    ServerAddr = "SERVER_ADDR" Single,
    ServerName = "SERVER_NAME" Single,
    ServerPort = "SERVER_PORT" Single,
    Session = "SESSION" Collection,
    SessionId = "SESSIONID" Single,
    Status = "STATUS" Single,
    TimeEpoch = "TIME_EPOCH" Single,
    Tx = "TX" Collection,
    UniqueId = "UNIQUE_ID" Single,
    UrlencodedError = "URLENCODED_ERROR" Single,
    User = "USER" Collection,
    UserId = "USERID" Single,
    Xml = "XML" Collection,
}

impl Variable {
    /// The variable's number, for tables.
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// True if rules change it while they run, so that nothing about it can be known before a rule's turn comes.
    pub(crate) fn changes(self) -> bool {
        matches!(
            self,
            Self::Tx
                | Self::Ip
                | Self::Global
                | Self::Session
                | Self::User
                | Self::Resource
                | Self::Env
                | Self::Rule
                | Self::Geo
                | Self::Duration
                | Self::HighestSeverity
                | Self::MatchedVar
                | Self::MatchedVarName
                | Self::MatchedVars
                | Self::MatchedVarsNames
                | Self::ReqbodyProcessor
        )
    }

    /// True for the collections that live longer than a transaction.
    pub(crate) fn persistent(self) -> bool {
        matches!(self, Self::Ip | Self::Global | Self::Session | Self::User | Self::Resource)
    }
}

/// Which values of a collection are meant.
#[derive(Clone, Debug)]
pub(crate) enum Selector {
    /// All of them.
    All,
    /// Those of this name; held in lower case, compared without regard to case.
    Name(Box<[u8]>),
    /// Those whose name the pattern matches.
    Pattern(Regex),
    /// The variable of TX with this number: what a name of TX becomes at load.
    Slot(u32),
}

impl Selector {
    /// True if a value of this name is meant.
    pub(crate) fn picks(&self, name: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Name(wanted) => wanted.eq_ignore_ascii_case(name),
            Self::Pattern(pattern) => pattern.is_match(name),
            Self::Slot(_) => false,
        }
    }

    /// Reads what follows the colon.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let text = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap_or(text);
        match text.strip_prefix('/').and_then(|text| text.strip_suffix('/')) {
            Some(inner) => Ok(Self::Pattern(pattern::compile_selector(inner)?)),
            None => Ok(Self::Name(text.to_ascii_lowercase().into_bytes().into_boxed_slice())),
        }
    }
}

/// One entry of a rule's list of variables.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) variable: Variable,
    pub(crate) selector: Selector,
    /// `&`: the number of values instead of the values.
    pub(crate) count: bool,
}

/// A target and whether it is taken away (`!`) rather than added.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) target: Target,
    pub(crate) negated: bool,
}

/// The two XPath expressions that are supported, kept as names: all text, all attribute values.
pub(crate) const XML_TEXT: &[u8] = b"/*";
/// See [`XML_TEXT`].
pub(crate) const XML_ATTRIBUTES: &[u8] = b"//@*";

impl Entry {
    /// Reads one entry, such as `!REQUEST_COOKIES:/^_ga/` or `&ARGS`.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let (rest, negated) = text.strip_prefix('!').map_or((text, false), |rest| (rest, true));
        let (rest, count) = rest.strip_prefix('&').map_or((rest, false), |rest| (rest, true));
        let (name, selector) = rest.split_once(':').map_or((rest, None), |(name, rest)| (name, Some(rest)));
        let variable = Variable::parse(name.trim())
            .ok_or_else(|| Mistake::new(text, "unknown variable").allowed(format!("known are: {}", names())))?;
        let selector = match (variable, selector) {
            (Variable::Xml, Some("/*" | "//*")) => Selector::Name(XML_TEXT.into()),
            (Variable::Xml, Some("//@*" | "/@*")) => Selector::Name(XML_ATTRIBUTES.into()),
            (Variable::Xml, Some(_)) => {
                return Err(Mistake::new(text, "this XPath is not supported")
                    .allowed("/* (all text) and //@* (all attribute values) are"));
            }
            (_, None) => Selector::All,
            (_, Some(_)) if variable.kind() == Kind::Single => {
                return Err(Mistake::new(text, "this variable has one value and takes no selector"));
            }
            (_, Some(selector)) => Selector::parse(selector)?,
        };
        Ok(Self { target: Target { variable, selector, count }, negated })
    }
}

fn names() -> String {
    let names: Vec<&str> = Variable::ALL.iter().map(|variable| variable.name()).collect();
    names.join(" ")
}

/// The variable of a macro's name, such as `tx.a` or `MATCHED_VAR`; `None` if there is none of that name.
pub(crate) fn macro_target(text: &str) -> Option<Result<Target, Mistake>> {
    let (name, key) = match text.find(['.', ':']) {
        Some(at) => (text.get(..at)?, text.get(at + 1..)),
        None => (text, None),
    };
    let variable = Variable::parse(name)?;
    let selector =
        key.map_or(Selector::All, |key| Selector::Name(key.to_ascii_lowercase().into_bytes().into_boxed_slice()));
    Some(Ok(Target { variable, selector, count: false }))
}
