//! Figures as Prometheus reads them: the page of all processes, printed and served, read by a strict reader of our own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;

use harness::backends::Backend;
use harness::clients::{http, raw};
use harness::{World, eventually, ports, within};

/// One family of a page.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// Reads the text format (0.0.4) and accepts nothing that Prometheus would have to guess: each family once, in one block, with
/// HELP and TYPE before its samples, each sample once, escapes closed, histograms whole.
fn read(page: &str) -> Result<BTreeMap<String, Family>, String> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let (mut helped, mut current) = (BTreeSet::new(), String::new());
    assert!(page.ends_with('\n'), "the last line ends, too");
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, _) = rest.split_once(' ').ok_or("HELP without text")?;
            is_name(name)?;
            helped.insert(name.to_owned()).then_some(()).ok_or(format!("HELP of {name} twice"))?;
            current = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or("TYPE without kind")?;
            if name != current || !["counter", "gauge", "histogram"].contains(&kind) {
                return Err(format!("TYPE of {name} does not follow its HELP: {line}"));
            }
            let family = Family { kind: kind.to_owned(), samples: Vec::new() };
            families.insert(name.to_owned(), family).map_or(Ok(()), |_| Err(format!("TYPE of {name} twice")))?;
        } else {
            let (name, labels, value) = sample(line)?;
            let family = families.get_mut(&current).ok_or(format!("a sample before its family: {line}"))?;
            let endings: &[&str] = if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            if !endings.iter().any(|ending| name == format!("{current}{ending}")) {
                return Err(format!("{name} stands in the block of {current}"));
            }
            if family.samples.iter().any(|(own, with, _)| *own == name && *with == labels) {
                return Err(format!("a sample stands twice: {line}"));
            }
            family.samples.push((name, labels, value));
        }
    }
    families.iter().try_for_each(|(name, family)| check(name, family))?;
    Ok(families)
}

fn is_name(name: &str) -> Result<(), String> {
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if fits && !name.is_empty() { Ok(()) } else { Err(format!("{name:?} is no name")) }
}

fn sample(line: &str) -> Result<(String, BTreeMap<String, String>, f64), String> {
    let (name, rest) = line.split_once('{').ok_or(format!("no labels: {line:?}"))?;
    is_name(name)?;
    let mut labels = BTreeMap::new();
    let mut characters = rest.chars();
    loop {
        let label: String = characters.by_ref().take_while(|c| *c != '=').collect();
        is_name(&label)?;
        if characters.next() != Some('"') {
            return Err(format!("no quote: {line:?}"));
        }
        let mut value = String::new();
        loop {
            match characters.next() {
                Some('\\') => value.push(match characters.next() {
                    Some('n') => '\n',
                    Some(escaped @ ('\\' | '"')) => escaped,
                    other => return Err(format!("escape {other:?}: {line:?}")),
                }),
                Some('"') => break,
                Some(other) => value.push(other),
                None => return Err(format!("a quote is not closed: {line:?}")),
            }
        }
        labels.insert(label.clone(), value).map_or(Ok(()), |_| Err(format!("label {label} twice: {line:?}")))?;
        match characters.next() {
            Some(',') => {}
            Some('}') => break,
            other => return Err(format!("{other:?} behind a label: {line:?}")),
        }
    }
    let value = characters.as_str().strip_prefix(' ').and_then(|value| value.parse().ok());
    Ok((name.to_owned(), labels, value.ok_or(format!("no value: {line:?}"))?))
}

fn check(name: &str, family: &Family) -> Result<(), String> {
    if (family.kind == "counter") != name.ends_with("_total") {
        return Err(format!("{name} is a {}", family.kind));
    }
    if family.samples.iter().any(|(_, _, value)| !value.is_finite() || *value < 0.0) {
        return Err(format!("{name} has a value that is none"));
    }
    if family.kind != "histogram" {
        return Ok(());
    }
    // By labels: buckets, how many of sum and count were there, the count.
    type Group = (Vec<(f64, f64)>, u8, f64);
    let mut groups: BTreeMap<BTreeMap<String, String>, Group> = BTreeMap::new();
    for (own, labels, value) in &family.samples {
        let mut labels = labels.clone();
        let bound = labels.remove("le");
        let group = groups.entry(labels).or_default();
        match (own.strip_prefix(name), bound) {
            (Some("_bucket"), Some(bound)) => {
                let bound =
                    if bound == "+Inf" { f64::INFINITY } else { bound.parse().map_err(|_| format!("{own}: le"))? };
                group.0.push((bound, *value));
            }
            (Some("_sum"), None) => group.1 += 1,
            (Some("_count"), None) => (group.1, group.2) = (group.1 + 1, *value),
            _ => return Err(format!("{own} has or lacks le")),
        }
    }
    for (labels, (buckets, ends, count)) in groups {
        let rising = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let last = buckets.last().is_some_and(|(bound, value)| bound.is_infinite() && *value == count);
        if !rising || !last || ends != 2 {
            return Err(format!("{name}{labels:?} is no histogram"));
        }
    }
    Ok(())
}

/// The page as `bulkhead metrics` prints it, read.
fn page(world: &World) -> BTreeMap<String, Family> {
    let output = world.bulkhead(&["metrics", &world.config().to_string_lossy()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    read(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

/// The sum of a family's samples that have these labels.
fn value(page: &BTreeMap<String, Family>, name: &str, wanted: &[(&str, &str)]) -> f64 {
    let (family, ending) = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|ending| Some((page.get(name.strip_suffix(ending)?)?, *ending)))
        .or_else(|| Some((page.get(name)?, "")))
        .unwrap_or_else(|| panic!("there is no family {name}"));
    let fits = |labels: &BTreeMap<String, String>| {
        wanted.iter().all(|(key, value)| labels.get(*key).is_some_and(|own| own == value))
    };
    let own = family.samples.iter().filter(|(own, labels, _)| (ending.is_empty() || own == name) && fits(labels));
    own.map(|(_, _, value)| value).sum()
}

fn get(address: SocketAddr, path: &str) -> u16 {
    let mut stream = raw::connect(address);
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: www.test\r\n\r\n").as_bytes()).unwrap();
    http::read_answer(&mut stream).unwrap().status
}

#[test]
fn the_page_is_valid_and_counts_what_happened() {
    within(90, || {
        let backend = Backend::application();
        let gone = ports::hold();
        let dead: SocketAddr = ([127, 0, 0, 1], gone.port).into();
        drop(gone);
        let world = World::new("metrics")
            .set("http-filter", "instances", "2")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .pool("gone", &[dead])
            .http_route("name = \"gone\"\npaths = [\"/gone\"]\npool = \"gone\"")
            .serves("app")
            .with("[[http-filter.access]]\nname = \"no-admin\"\naction = \"deny\"\npaths = [\"/admin\"]\n")
            .start();
        let before = page(&world);
        let route = [("route", "everything-to-app")];
        assert_eq!(value(&before, "bulkhead_http_filter_requests_total", &[]), 0.0);
        assert_eq!(value(&before, "bulkhead_http_filter_rule_refused_total", &[("rule", "no-admin")]), 0.0);
        assert_eq!(value(&before, "bulkhead_up", &[]), 5.0, "all answer, two of them http-filter");
        for _ in 0..20 {
            assert_eq!(get(world.http(), "/hello?secret=1"), 200);
        }
        for _ in 0..3 {
            assert_eq!(get(world.http(), "/admin"), 403);
        }
        assert_eq!(get(world.http(), "/gone"), 502);
        let after = eventually(5, "the figures", || {
            let page = page(&world);
            (value(&page, "bulkhead_http_filter_requests_active", &[]) == 0.0).then_some(page)
        });
        for (name, labels, wanted) in [
            ("bulkhead_http_filter_requests_total", &[][..], 24.0),
            ("bulkhead_http_filter_denied_total", &[], 3.0),
            ("bulkhead_http_filter_rule_refused_total", &[("rule", "no-admin")], 3.0),
            ("bulkhead_http_filter_route_requests_total", &[("route", "everything-to-app"), ("status", "2xx")], 20.0),
            ("bulkhead_http_filter_route_requests_total", &[("route", "everything-to-app"), ("status", "5xx")], 0.0),
            ("bulkhead_http_filter_route_requests_total", &[("route", "gone"), ("status", "5xx")], 1.0),
            ("bulkhead_http_filter_route_total_seconds_count", &route, 20.0),
            ("bulkhead_http_filter_route_first_byte_seconds_count", &route, 20.0),
            ("bulkhead_http_filter_server_requests_total", &[("pool", "app")], 20.0),
            ("bulkhead_http_filter_server_failures_total", &[("pool", "app")], 0.0),
            ("bulkhead_http_filter_server_failures_total", &[("pool", "gone")], 1.0),
            ("bulkhead_http_filter_server_active", &[], 0.0),
            ("bulkhead_http_filter_server_first_byte_seconds_count", &[("pool", "app")], 20.0),
            (
                "bulkhead_http_filter_sandboxed",
                &[],
                2.0 * f64::from(u8::from(world.status().iter().all(|one| one["sandboxed"] == true))),
            ),
        ] {
            assert_eq!(value(&after, name, labels), wanted, "{name} {labels:?}");
        }
        assert!(value(&after, "bulkhead_http_filter_route_total_seconds_sum", &route) > 0.0);
        // Every figure of `bulkhead status` is there, of every process.
        for one in world.status() {
            let process = one["process"].as_str().unwrap().replace('-', "_");
            for (figure, _) in one["figures"].as_object().unwrap() {
                let names = [format!("bulkhead_{process}_{figure}_total"), format!("bulkhead_{process}_{figure}")];
                assert!(names.iter().any(|name| after.contains_key(name)), "{process} {figure}");
            }
        }
        // The manual knows every family.
        let manual = include_str!("../../docs/metrics.md");
        for name in after.keys().filter(|name| *name != "bulkhead_up") {
            let own = ["sni_router_", "passthrough_relay_", "tls_terminator_", "http_filter_"].into_iter();
            let short = name.strip_prefix("bulkhead_").unwrap();
            let short = own.fold(short, |name, process| name.strip_prefix(process).unwrap_or(name));
            let short = short.strip_suffix("_total").unwrap_or(short);
            assert!(manual.contains(&format!("`{short}`")), "docs/metrics.md does not know {name}");
        }
        // Nothing of a client stands in a label.
        let labels: Vec<&String> =
            after.values().flat_map(|family| &family.samples).flat_map(|(_, labels, _)| labels.values()).collect();
        assert!(!labels.iter().any(|label| label.contains("secret") || label.contains("hello")));
    });
}

#[test]
fn the_port_serves_the_page_and_nothing_else() {
    within(90, || {
        let backend = Backend::application();
        let held = ports::hold();
        let address: SocketAddr = ([127, 0, 0, 1], held.port).into();
        drop(held);
        let world = World::new("metrics-port")
            .pool("app", &[backend.address()])
            .serves("app")
            .set("metrics", "listen", &format!("\"{address}\""))
            .start();
        let ask = |request: &str| {
            let answer = raw::ask(address, request.as_bytes());
            String::from_utf8(answer).unwrap()
        };
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n");
        assert_eq!(get(world.http(), "/x"), 200);
        for _ in 0..3 {
            let answer = ask(&request);
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("text/plain; version=0.0.4"), "{head}");
            let page = read(body).unwrap();
            assert_eq!(value(&page, "bulkhead_http_filter_requests_total", &[]), 1.0);
            assert_eq!(value(&page, "bulkhead_up", &[]), 3.0);
        }
        for (request, status) in [
            (format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n"), "404"),
            (format!("POST /metrics HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n"), "405"),
            ("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(), "421"),
            ("nonsense\r\n\r\n".to_owned(), "400"),
            (format!("GET /{} HTTP/1.1\r\n", "x".repeat(10_000)), "400"),
        ] {
            assert!(ask(&request).starts_with(&format!("HTTP/1.1 {status} ")), "{}", &request[..40.min(request.len())]);
        }
        // Silent clients take places, but not for ever, and not all of bulkhead with them.
        let silent: Vec<_> = (0..40).map(|_| raw::connect(address)).collect();
        assert_eq!(get(world.http(), "/x"), 200);
        drop(silent);
        eventually(10, "the page again", || ask(&request).starts_with("HTTP/1.1 200").then_some(()));
        let line = world.log().into_iter().find(|line| line.contains("/metrics")).expect("it says that it serves");
        assert!(line.contains(&address.to_string()), "{line}");
    });
}

#[test]
fn a_port_for_everybody_has_to_be_asked_for() {
    within(30, || {
        let folder = harness::folder::temporary();
        let file = folder.path().join("bulkhead.toml");
        std::fs::write(&file, "[metrics]\nlisten = \"0.0.0.0:9100\"\n").unwrap();
        let output =
            std::process::Command::new(harness::binaries::path("bulkhead")).arg("check").arg(&file).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains("allow_remote = true"), "{text}");
    });
}
