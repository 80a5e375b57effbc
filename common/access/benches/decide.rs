//! What a decision costs: fifty rules of the usual kinds, one of them an expression, none of which matches, so all are asked.
//! `cargo bench -p common-access`; the figures are printed, nothing is asserted.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use common::config::{Action, Config};
use common_access::{Environment, Facts, Headers, Place, Request, RuleSet, Tls, system_clock};

struct Lines(Vec<(&'static str, &'static str)>);

impl Headers for Lines {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.iter().any(|(own, value)| *own == name && test(value.as_bytes()))
    }

    fn names(&self, visit: &mut dyn FnMut(&str)) {
        self.0.iter().for_each(|(name, _)| visit(name));
    }
}

const EXPRESSION: &str = "request.path.startsWith(\"/api/\") && !(\"x-key\" in request.headers) && time.hour > 24";

fn rules(count: usize, expressions: usize) -> RuleSet {
    let mut text = String::from("[[forward-proxy.listen]]\nname = \"l\"\naddress = \"127.0.0.1:1\"\n");
    for number in 0..count {
        let conditions = match number % 5 {
            _ if number < expressions => format!("when = '{EXPRESSION}'"),
            0 => format!("clients = ['10.{number}.0.0/16', '192.0.2.0/24', '2001:db8:{number}::/48']"),
            1 => format!("paths = ['/admin-{number}', '/admin-{number}/*']"),
            2 => format!("methods = ['DELETE', 'PUT']\npaths = '/{number}*'"),
            3 => format!("hosts = ['h{number}.example', '*.h{number}.example']"),
            _ => format!("headers = [{{ name = 'x-debug', value = '{number}' }}]"),
        };
        text.push_str(&format!("[[http-filter.access]]\nname = \"r{number}\"\naction = \"deny\"\n{conditions}\n"));
    }
    let (config, _) = Config::parse(&text, "bench", Path::new("/")).unwrap();
    RuleSet::compile(&config.http_filter.access, Action::Allow, Place::Http, &Environment::default()).unwrap()
}

fn measure(what: &str, rules: &RuleSet) {
    const TIMES: u32 = 200_000;
    let headers =
        Lines(vec![("host", "www.example"), ("user-agent", "bench"), ("accept", "*/*"), ("cookie", "a=b; c=d")]);
    let request = Request {
        method: "GET",
        host: "www.example",
        path: "/api/things/42",
        query: Some("a=1&b=2"),
        headers: &headers,
        body_size: None,
    };
    let tls = Tls { server_name: Some("www.example"), ..Tls::default() };
    let client = "198.51.100.7".parse().unwrap();
    let facts = Facts { tls: Some(tls), request: Some(request), ..Facts::of(client, &system_clock) };
    let began = Instant::now();
    for _ in 0..TIMES {
        black_box(rules.decide(black_box(&facts)).allow);
    }
    println!("{what}: {:.0} ns per decision", began.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES));
}

fn main() {
    measure("no rules", &rules(0, 0));
    measure("50 rules without expression", &rules(50, 0));
    measure("50 rules, one of them an expression", &rules(50, 1));
    measure("one expression", &rules(1, 1));
}
