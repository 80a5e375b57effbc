//! The names an expression may use: what each is, where it is known, and its value. Written once: the checker, the evaluation and the
//! list in docs/access.md follow it.

use crate::facts::{Facts, Known, WEEK, day_and_minute};
use crate::matcher::Place;
use common::config::{Country, Host, TlsVersion};
use common::ipc::messages::terminator_to_filter::ClientIdentity;
use std::borrow::Cow;
use std::rc::Rc;

use super::evaluate::Value;
use crate::Countries;

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `true` or `false`
    Bool,
    /// 64 bits with a sign.
    Int,
    /// UTF-8 text.
    Text,
    /// All elements are of one kind; `None`: the empty list, which is a list of anything.
    List(Option<Box<Type>>),
    /// From text to text; what is absent reads as the empty text.
    Map,
}

impl Type {
    pub(super) fn list(of: Type) -> Type {
        Type::List(Some(Box::new(of)))
    }

    /// Whether a value of this kind can be compared with one of the other.
    pub(super) fn fits(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::List(None), Type::List(_)) | (Type::List(_), Type::List(None)) => true,
            (Type::List(Some(a)), Type::List(Some(b))) => a.fits(b),
            (a, b) => a == b,
        }
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Text => f.write_str("string"),
            Type::List(Some(of)) => write!(f, "list of {of}"),
            Type::List(None) => f.write_str("empty list"),
            Type::Map => f.write_str("map of strings"),
        }
    }
}

/// A map of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Map {
    Headers,
    Cookies,
    Parameters,
}

/// A name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    ClientAddress,
    ClientCountry,
    Listener,
    Hour,
    Minute,
    Day,
    Unix,
    Sni,
    Ja4,
    TlsVersion,
    CertificatePresent,
    CertificateSubject,
    CertificateAttributes,
    CertificateIssuer,
    CertificateNames,
    Method,
    Host,
    Path,
    Query,
    BodySize,
    ContentType,
    Map(Map),
    User,
    DestinationHost,
    DestinationPort,
}

const ROUTER: u8 = 1;
const HTTP: u8 = 2;
const FORWARD: u8 = 4;
const ALL: u8 = 7;

/// One line of the table: name as written, what it is, its kind, and who knows it.
type Entry = (&'static str, Name, fn() -> Type, u8);

const TEXT: fn() -> Type = || Type::Text;
const INT: fn() -> Type = || Type::Int;
const BOOL: fn() -> Type = || Type::Bool;
const TEXTS: fn() -> Type = || Type::list(Type::Text);
const MAP: fn() -> Type = || Type::Map;

const NAMES: [Entry; 27] = [
    ("client.address", Name::ClientAddress, TEXT, ALL),
    ("client.country", Name::ClientCountry, TEXT, ALL),
    ("listener", Name::Listener, TEXT, ROUTER),
    ("time.hour", Name::Hour, INT, ALL),
    ("time.minute", Name::Minute, INT, ALL),
    ("time.day", Name::Day, TEXT, ALL),
    ("time.unix", Name::Unix, INT, ALL),
    ("tls.server_name", Name::Sni, TEXT, ROUTER | HTTP),
    ("tls.ja4", Name::Ja4, TEXT, ROUTER | HTTP),
    ("tls.version", Name::TlsVersion, TEXT, HTTP),
    ("tls.certificate.present", Name::CertificatePresent, BOOL, HTTP),
    ("tls.certificate.subject", Name::CertificateSubject, TEXT, HTTP),
    ("tls.certificate.attributes", Name::CertificateAttributes, TEXTS, HTTP),
    ("tls.certificate.issuer", Name::CertificateIssuer, TEXT, HTTP),
    ("tls.certificate.names", Name::CertificateNames, TEXTS, HTTP),
    ("request.method", Name::Method, TEXT, HTTP | FORWARD),
    ("request.host", Name::Host, TEXT, HTTP),
    ("request.path", Name::Path, TEXT, HTTP),
    ("request.query", Name::Query, TEXT, HTTP),
    ("request.body_size", Name::BodySize, INT, HTTP),
    ("request.content_type", Name::ContentType, TEXT, HTTP),
    ("request.headers", Name::Map(Map::Headers), MAP, HTTP),
    ("request.cookies", Name::Map(Map::Cookies), MAP, HTTP),
    ("request.parameters", Name::Map(Map::Parameters), MAP, HTTP),
    ("user", Name::User, TEXT, FORWARD),
    ("destination.host", Name::DestinationHost, TEXT, FORWARD),
    ("destination.port", Name::DestinationPort, INT, FORWARD),
];

/// What looking for a name gave.
pub(super) enum Found {
    /// It is known here.
    Known(Name, Type),
    /// It exists, but this process does not know it.
    Elsewhere,
    /// Names begin so: `tls`.
    Prefix,
    /// There is no such name.
    Nowhere,
}

/// Looks for a whole name, `tls.version`.
pub(super) fn find(written: &str, place: Place) -> Found {
    let here = bit(place);
    match NAMES.iter().find(|(name, ..)| *name == written) {
        Some((_, name, kind, known)) if known & here != 0 => Found::Known(*name, kind()),
        Some(_) => Found::Elsewhere,
        None => {
            let begins = |name: &str| name.strip_prefix(written).is_some_and(|rest| rest.starts_with('.'));
            if NAMES.iter().any(|(name, ..)| begins(name)) { Found::Prefix } else { Found::Nowhere }
        }
    }
}

/// The names that are known here, for messages.
pub(super) fn known(place: Place) -> impl Iterator<Item = &'static str> {
    NAMES.iter().filter(move |(_, _, _, known)| known & bit(place) != 0).map(|(name, ..)| *name)
}

fn bit(place: Place) -> u8 {
    match place {
        Place::Router => ROUTER,
        Place::Http => HTTP,
        Place::Forward => FORWARD,
    }
}

impl Name {
    /// What has to be known before its value is.
    pub(super) fn needs(self) -> Known {
        match self {
            Name::ClientAddress | Name::ClientCountry | Name::Listener => Known::CLIENT,
            Name::Hour | Name::Minute | Name::Day | Name::Unix => Known::CLIENT,
            Name::Sni | Name::Ja4 | Name::TlsVersion => Known::HELLO,
            Name::CertificatePresent | Name::CertificateSubject => Known::HELLO,
            Name::CertificateIssuer | Name::CertificateNames | Name::CertificateAttributes => Known::HELLO,
            Name::User => Known::USER,
            _ => Known::REQUEST,
        }
    }

    /// Its value; what is absent is the empty text, `false`, or -1.
    pub(super) fn value<'a>(self, facts: &Facts<'a>, countries: Option<&Countries>) -> Value<'a> {
        let tls = facts.tls.unwrap_or_default();
        let certificate = |text: fn(&ClientIdentity) -> &str| Value::of(tls.certificate.map_or("", text));
        let request = facts.request;
        match self {
            Name::ClientAddress => Value::Text(Cow::Owned(facts.client.to_canonical().to_string())),
            Name::ClientCountry => {
                let country = countries.and_then(|countries| countries.of(facts.client));
                Value::Text(country.map_or(Cow::Borrowed(""), |Country(code)| {
                    Cow::Owned(code.iter().map(|letter| char::from(*letter)).collect())
                }))
            }
            Name::Listener => Value::of(facts.listener),
            Name::Hour => Value::Int(i64::from(day_and_minute((facts.clock)()).1 / 60)),
            Name::Minute => Value::Int(i64::from(day_and_minute((facts.clock)()).1 % 60)),
            Name::Day => {
                let (day, _) = day_and_minute((facts.clock)());
                Value::of(WEEK.get(usize::from(day)).copied().unwrap_or_default())
            }
            Name::Unix => Value::whole((facts.clock)()),
            Name::Sni => Value::of(tls.server_name.unwrap_or_default()),
            Name::Ja4 => Value::of(tls.ja4),
            Name::TlsVersion => Value::of(match tls.version {
                Some(TlsVersion::Tls12) => "1.2",
                Some(TlsVersion::Tls13) => "1.3",
                None => "",
            }),
            Name::CertificatePresent => Value::Bool(tls.certificate.is_some()),
            Name::CertificateSubject => certificate(|identity| &identity.subject),
            Name::CertificateIssuer => certificate(|identity| &identity.issuer),
            Name::CertificateNames => words(tls.certificate, |identity| &identity.names),
            Name::CertificateAttributes => words(tls.certificate, |identity| &identity.subject_attributes),
            Name::Method => Value::of(request.map_or("", |request| request.method)),
            Name::Host => Value::of(request.map_or("", |request| request.host)),
            Name::Path => Value::of(request.map_or("", |request| request.path)),
            Name::Query => Value::of(request.and_then(|request| request.query).unwrap_or_default()),
            Name::BodySize => request.and_then(|request| request.body_size).map_or(Value::Int(-1), Value::whole),
            Name::ContentType => {
                let value = request.and_then(|request| request.headers.joined("content-type"));
                Value::Text(
                    value.map_or(Cow::Borrowed(""), |value| Cow::Owned(media_type(&value).to_ascii_lowercase())),
                )
            }
            Name::Map(_) => Value::Map,
            Name::User => Value::of(facts.user.unwrap_or_default()),
            Name::DestinationHost => Value::Text(facts.destination.map_or(Cow::Borrowed(""), |to| match to.host {
                Host::Name(name) => Cow::Borrowed(&**name),
                Host::Ip(address) => Cow::Owned(address.to_string()),
            })),
            Name::DestinationPort => Value::Int(facts.destination.map_or(-1, |to| i64::from(to.port))),
        }
    }
}

fn words<'a>(certificate: Option<&'a ClientIdentity>, pick: fn(&ClientIdentity) -> &Vec<Box<str>>) -> Value<'a> {
    let words = certificate.map_or(&[] as &[Box<str>], |identity| pick(identity));
    Value::List(words.iter().map(|word| Value::of(word)).collect::<Rc<[_]>>())
}

/// `text/html` of `text/html; charset=utf-8`.
pub(crate) fn media_type(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}
