//! The conditions of one rule or route, ready to be asked. Only those that are given are kept, cheap ones first, so a rule that asks
//! for a path costs one comparison; `when` comes last and is asked only if everything else holds.

use std::sync::Arc;

use common::config::{
    self, Conditions, Country, Days, Diagnostic, HeaderPattern, HeaderValuePattern, Host, Hours, Located, NamePattern,
    NetworkSet, PathPattern, PortSet, TextPattern, TlsVersion, UserPattern,
};
use regex::Regex;

use crate::expression::{Expression, Failure, media_type, regex_problem};
use crate::facts::{Facts, Known, Request, day_and_minute};
use crate::{Countries, Networks, fields};

/// Largest compiled regular expression over paths, in bytes.
const REGEX_SIZE: usize = 1 << 20;

/// Who asks, and so what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// sni-router
    Router,
    /// http-filter
    Http,
    /// forward-proxy
    Forward,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Place::Router => "sni-router",
            Place::Http => "http-filter",
            Place::Forward => "forward-proxy",
        })
    }
}

/// What conditions are made with, beside their own words.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The country file.
    pub countries: Option<Arc<Countries>>,
    /// Brings a path of a rule into the form that paths of requests have; an error says why it has none.
    pub normal_path: fn(&str) -> Result<String, String>,
}

impl Default for Environment {
    /// Without countries; paths as they are.
    fn default() -> Self {
        Self { countries: None, normal_path: |path| Ok(path.to_owned()) }
    }
}

impl Environment {
    /// With the country file of the configuration, if `rules` ask for one.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn new<'c>(
        access: &config::Access,
        files: &config::Files,
        mut asking: impl Iterator<Item = &'c Conditions>,
        normal_path: fn(&str) -> Result<String, String>,
    ) -> Result<Self, String> {
        let file = access.country_file.as_ref().filter(|_| asking.any(Conditions::ask_countries));
        let countries = file.map(|path| {
            let read = files.get(path).and_then(|bytes| Countries::parse(bytes));
            read.map(Arc::new).map_err(|why| format!("access.country_file: {}: {why}", path.display()))
        });
        Ok(Self { countries: countries.transpose()?, normal_path })
    }
}

/// What a condition, or all of them together, say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// So it is.
    Yes,
    /// So it is not.
    No,
    /// That is not known yet.
    NotYet,
    /// So it would be if the client were a user.
    WantsUser,
    /// The expression failed.
    Failed(Failure),
}

/// Conditions that must all hold.
#[derive(Debug, Clone, Default)]
pub struct Matcher(Box<[Condition]>);

#[derive(Debug, Clone)]
enum Condition {
    Clients(Networks),
    Countries(Arc<Countries>, Box<[Country]>),
    Listeners(Box<[Arc<str>]>),
    Time(Box<[Hours]>, Days),
    ServerNames(Box<[NamePattern]>),
    Ja4(Box<[TextPattern]>),
    TlsVersions(Box<[TlsVersion]>),
    CertificateSubjects(Box<[TextPattern]>),
    CertificateNames(Box<[HeaderPattern]>),
    CertificateIssuers(Box<[TextPattern]>),
    Methods(Box<[Arc<str>]>),
    Hosts(Box<[NamePattern]>),
    Paths(Box<[PathPattern]>, Box<[Regex]>),
    Header(HeaderPattern),
    Cookie(HeaderPattern),
    Parameter(HeaderPattern),
    ContentTypes(Box<[TextPattern]>),
    BodyLargerThan(u64),
    Ports(PortSet),
    Destinations(Box<[config::Destination]>),
    Users(Box<[UserPattern]>),
    When(Box<Expression>),
}

impl Matcher {
    /// Makes conditions of the configuration ready.
    ///
    /// # Errors
    /// Each thing that is wrong, drawn under its source line where it has one.
    pub fn compile(own: &Conditions, place: Place, environment: &Environment) -> Result<Self, Vec<String>> {
        let mut made = Made { all: Vec::new(), errors: Vec::new() };
        made.client(own, environment);
        made.tls(own);
        made.request(own, environment);
        made.outward(own);
        if let Some(when) = &own.when {
            match Expression::compile(when, place, environment) {
                Ok(expression) => made.all.push(Condition::When(Box::new(expression))),
                Err(error) => made.errors.push(error.to_string()),
            }
        }
        if made.errors.is_empty() { Ok(Self(made.all.into())) } else { Err(made.errors) }
    }

    /// Whether nothing is asked at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the conditions hold, everything being known. An expression that fails holds for nobody: for routes.
    #[must_use]
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        self.0.iter().all(|condition| condition.answer(facts, Known::ALL) == Answer::Yes)
    }

    /// What the conditions say with what is known so far. One that does not hold settles it, whatever else is unknown.
    #[must_use]
    pub fn answer(&self, facts: &Facts<'_>, known: Known) -> Answer {
        let mut answer = Answer::Yes;
        for condition in &self.0 {
            // An expression costs most: not asked when it cannot change anything any more.
            if answer == Answer::NotYet && matches!(condition, Condition::When(_)) {
                return answer;
            }
            match condition.answer(facts, known) {
                Answer::Yes => {}
                Answer::No => return Answer::No,
                Answer::NotYet => answer = Answer::NotYet,
                other if answer == Answer::Yes => answer = other,
                _ => {}
            }
        }
        answer
    }
}

struct Made {
    all: Vec<Condition>,
    errors: Vec<String>,
}

impl Made {
    /// Keeps a list that is given.
    fn list<T: Clone>(&mut self, list: &[T], make: fn(Box<[T]>) -> Condition) {
        if !list.is_empty() {
            self.all.push(make(list.into()));
        }
    }

    fn client(&mut self, own: &Conditions, environment: &Environment) {
        self.list(&own.methods, Condition::Methods);
        self.list(&own.listen, Condition::Listeners);
        if let Some(clients) = &own.clients {
            self.all.push(Condition::Clients(NetworkSet::as_slice(clients).iter().copied().collect()));
        }
        if !own.countries.is_empty() {
            match &environment.countries {
                Some(countries) => {
                    let unknown = own.countries.iter().find(|country| !countries.has(**country));
                    if let Some(unknown) = unknown {
                        let what = format!(
                            "access.country_file: no network of it lies in `{}`, which a rule names",
                            unknown.as_str()
                        );
                        self.errors.push(what);
                    }
                    self.all.push(Condition::Countries(Arc::clone(countries), own.countries.as_slice().into()));
                }
                None => self.errors.push("`countries` needs `access.country_file`".to_owned()),
            }
        }
        if !own.hours.is_empty() || !own.days.is_empty() {
            self.all.push(Condition::Time(own.hours.as_slice().into(), own.days));
        }
    }

    fn tls(&mut self, own: &Conditions) {
        self.list(&own.server_names, Condition::ServerNames);
        self.list(&own.tls_versions, Condition::TlsVersions);
        self.list(&own.ja4, Condition::Ja4);
        self.list(&own.certificate_subjects, Condition::CertificateSubjects);
        self.list(&own.certificate_names, Condition::CertificateNames);
        self.list(&own.certificate_issuers, Condition::CertificateIssuers);
    }

    fn request(&mut self, own: &Conditions, environment: &Environment) {
        self.list(&own.hosts, Condition::Hosts);
        let mut paths = Vec::new();
        for path in &own.paths {
            match normal(path, environment.normal_path) {
                Ok(path) => paths.push(path),
                Err(why) => self.errors.push(format!("the path `{path}` of a rule has no single reading: {why}")),
            }
        }
        let mut expressions = Vec::new();
        for own in &own.path_regex {
            match regex::RegexBuilder::new(own.as_str()).size_limit(REGEX_SIZE).build() {
                Ok(regex) => expressions.push(regex),
                Err(error) => self.errors.push(faulty(own, &error).to_string()),
            }
        }
        if !paths.is_empty() || !expressions.is_empty() {
            self.all.push(Condition::Paths(paths.into(), expressions.into()));
        }
        if let Some(size) = own.body_larger_than {
            self.all.push(Condition::BodyLargerThan(size));
        }
        self.list(&own.content_types, Condition::ContentTypes);
        self.all.extend(own.headers.iter().cloned().map(Condition::Header));
        self.all.extend(own.cookies.iter().cloned().map(Condition::Cookie));
        self.all.extend(own.parameters.iter().cloned().map(Condition::Parameter));
    }

    fn outward(&mut self, own: &Conditions) {
        if let Some(ports) = &own.ports {
            self.all.push(Condition::Ports(ports.clone()));
        }
        self.list(&own.destinations, Condition::Destinations);
        self.list(&own.users, Condition::Users);
    }
}

fn faulty(own: &Located, error: &regex::Error) -> Diagnostic {
    own.fault(0..own.as_str().len(), regex_problem(error), "this expression")
}

/// A path of a rule in the form in which paths of requests are judged.
///
/// # Errors
/// Why it has none.
pub fn normal(path: &PathPattern, form: fn(&str) -> Result<String, String>) -> Result<PathPattern, String> {
    Ok(match path {
        PathPattern::Exact(path) => PathPattern::Exact(form(path)?.into()),
        PathPattern::Prefix(path) => PathPattern::Prefix(form(path)?.into()),
    })
}

impl Condition {
    fn needs(&self) -> Known {
        match self {
            Condition::Clients(_) | Condition::Countries(..) | Condition::Listeners(_) | Condition::Time(..) => {
                Known::CLIENT
            }
            Condition::ServerNames(_) | Condition::Ja4(_) | Condition::TlsVersions(_) => Known::HELLO,
            Condition::CertificateSubjects(_) | Condition::CertificateNames(_) => Known::HELLO,
            Condition::CertificateIssuers(_) => Known::HELLO,
            Condition::Users(_) => Known::USER,
            Condition::When(expression) => expression.needs(),
            _ => Known::REQUEST,
        }
    }

    fn answer(&self, facts: &Facts<'_>, known: Known) -> Answer {
        if known != Known::ALL && !known.covers(self.needs()) {
            return Answer::NotYet;
        }
        let holds = match self {
            Condition::When(expression) => match expression.holds(facts) {
                Ok(false) if facts.user.is_none() && expression.needs().covers(Known::USER) => {
                    return Answer::WantsUser;
                }
                Ok(holds) => holds,
                Err(failure) => return Answer::Failed(failure),
            },
            Condition::Users(users) => match facts.user {
                Some(user) => users.iter().any(|own| is_user(own, user)),
                None => return Answer::WantsUser,
            },
            _ => self.holds(facts),
        };
        if holds { Answer::Yes } else { Answer::No }
    }

    fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Condition::Clients(networks) => networks.contains(facts.client),
            Condition::Countries(file, wanted) => {
                file.of(facts.client).is_some_and(|country| wanted.contains(&country))
            }
            Condition::Listeners(names) => names.iter().any(|name| **name == *facts.listener),
            Condition::Time(hours, days) => {
                let (day, minute) = day_and_minute((facts.clock)());
                (days.is_empty() || days.contain(day))
                    && (hours.is_empty() || hours.iter().any(|part| part.contain(minute)))
            }
            Condition::Ports(ports) => facts.destination.is_some_and(|to| ports.contains(to.port)),
            Condition::Destinations(patterns) => {
                facts.destination.is_some_and(|to| patterns.iter().any(|pattern| leads_to(pattern, to.host)))
            }
            _ => self.holds_for_tls(facts) || facts.request.is_some_and(|request| self.holds_for_request(&request)),
        }
    }

    fn holds_for_tls(&self, facts: &Facts<'_>) -> bool {
        let Some(tls) = facts.tls else { return false };
        let certificate = |pick: fn(&_) -> &Vec<Box<str>>, patterns: &[TextPattern]| {
            let values = tls.certificate.map_or(&[] as &[Box<str>], |identity| pick(identity));
            values.iter().any(|value| patterns.iter().any(|pattern| pattern.matches(value.as_bytes())))
        };
        match self {
            Condition::ServerNames(names) => {
                tls.server_name.is_some_and(|own| names.iter().any(|name| name.matches(own)))
            }
            Condition::Ja4(patterns) => patterns.iter().any(|pattern| pattern.matches(tls.ja4.as_bytes())),
            Condition::TlsVersions(versions) => tls.version.is_some_and(|version| versions.contains(&version)),
            Condition::CertificateSubjects(patterns) => certificate(|identity| &identity.subject_attributes, patterns),
            Condition::CertificateNames(patterns) => {
                let names = tls.certificate.map_or(&[] as &[Box<str>], |identity| &identity.names);
                names.iter().filter_map(|name| name.split_once(':')).any(|(kind, name)| {
                    patterns.iter().any(|own| *own.name == *kind && own.value.matches(name.as_bytes()))
                })
            }
            Condition::CertificateIssuers(patterns) => certificate(|identity| &identity.issuer_attributes, patterns),
            _ => false,
        }
    }

    fn holds_for_request(&self, request: &Request<'_>) -> bool {
        match self {
            Condition::Methods(methods) => methods.iter().any(|method| **method == *request.method),
            Condition::Hosts(hosts) => hosts.iter().any(|host| host.matches(request.host)),
            Condition::Paths(paths, expressions) => {
                paths.iter().any(|path| path.matches(request.path))
                    || expressions.iter().any(|regex| regex.is_match(request.path))
            }
            Condition::Header(own) => {
                field(&own.value, |test| request.headers.any(&own.name, &mut |value| test(value)))
            }
            Condition::Cookie(own) => field(&own.value, |test| {
                request.headers.any("cookie", &mut |line| {
                    fields::cookies(line).any(|(name, value)| name == own.name.as_bytes() && test(value))
                })
            }),
            Condition::Parameter(own) => field(&own.value, |test| {
                let mut all = fields::parameters(request.query.unwrap_or_default());
                all.any(|(name, value)| *name == *own.name.as_bytes() && test(&value))
            }),
            Condition::ContentTypes(patterns) => request.headers.any("content-type", &mut |value| {
                let value = String::from_utf8_lossy(value);
                let kind = media_type(&value).to_ascii_lowercase();
                patterns.iter().any(|pattern| pattern.matches(kind.as_bytes()))
            }),
            Condition::BodyLargerThan(size) => request.body_size.is_some_and(|own| own > *size),
            _ => false,
        }
    }
}

/// What is asked of something with a name: `any` tells whether a test holds for one of its values.
fn field(wanted: &HeaderValuePattern, any: impl Fn(&dyn Fn(&[u8]) -> bool) -> bool) -> bool {
    match wanted {
        HeaderValuePattern::Present => any(&|_| true),
        HeaderValuePattern::Absent => !any(&|_| true),
        HeaderValuePattern::Text(pattern) => any(&|value| pattern.matches(value)),
    }
}

fn is_user(pattern: &UserPattern, user: &str) -> bool {
    match pattern {
        UserPattern::Anybody => true,
        UserPattern::Named(name) => **name == *user,
    }
}

/// Names match names and networks match addresses: nothing is resolved here.
fn leads_to(pattern: &config::Destination, host: &Host) -> bool {
    match (pattern, host) {
        (config::Destination::Name(pattern), Host::Name(name)) => pattern.matches(name),
        (config::Destination::Network(network), Host::Ip(address)) => network.contains(&address.to_canonical()),
        _ => false,
    }
}
