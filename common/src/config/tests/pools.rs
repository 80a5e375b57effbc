//! `[[pool]]`: balancing, health, sticky cookies.

use super::*;
use std::time::Duration;

/// The base with further keys of its pool.
fn pool(keys: &str) -> String {
    format!("{BASE}{keys}\n")
}

fn read(keys: &str) -> Pool {
    sound(&pool(keys)).0.pools.remove(0)
}

#[test]
fn the_words_of_balance() {
    assert_eq!(read("").balance, Balance::RoundRobin);
    assert_eq!(read("balance = \"two-choices\"").balance, Balance::TwoChoices);
    assert_eq!(read("balance = \"hash\"").balance, Balance::Hash { on: HashOn::Client, balance_factor: 0 });
    let keys = "balance = \"hash\"\nhash_on = \"header:X-Tenant\"\nhash_balance_factor = 125";
    assert_eq!(read(keys).balance, Balance::Hash { on: HashOn::Header("x-tenant".into()), balance_factor: 125 });
    let keys = "balance = \"hash\"\nhash_on = \"cookie:Tenant\"";
    assert_eq!(read(keys).balance, Balance::Hash { on: HashOn::Cookie("Tenant".into()), balance_factor: 0 });
    for wrong in ["header", "header:", "header:a b", "body:x", "Client"] {
        fails(&pool(&format!("balance = \"hash\"\nhash_on = \"{wrong}\"")), "hash_on", &["pool.hash_on"]);
    }
    warns(&pool("hash_on = \"client\""), "hash_on", &["no effect without `balance = \"hash\"`"]);
}

#[test]
fn what_counts_as_a_failure_and_what_is_tried_again() {
    let usual = read("");
    let on = usual.eject.unwrap().on;
    assert_eq!((on.connect, on.timeout, on.error, on.status_5xx), (true, true, true, false));
    let retries = usual.retries;
    assert_eq!((retries.max, retries.on_connect, retries.on_closed, retries.on_timeout), (None, true, true, false));
    assert!(read("eject_on = \"5xx\"").eject.unwrap().on.status_5xx);
    let none = read("retry_on = []\nmax_retries = 0").retries;
    assert_eq!((none.max, none.on_connect, none.on_closed), (Some(0), false, false));
    fails(&pool("eject_on = \"4xx\""), "4xx", &["pool.eject_on", "5xx"]);
    fails(&pool("eject_on = []"), "eject_on", &["empty list"]);
    assert_eq!(read("").total_deadline, Duration::from_secs(3600));
}

#[test]
fn health_checks() {
    assert_eq!(read("").health, None);
    let usual = read("[pool.health]").health.unwrap();
    assert_eq!((&*usual.path, usual.host, usual.statuses, usual.rise), ("/", None, vec![200..=399], 2));
    let statuses = read("[pool.health]\nstatuses = [200, \"204\", \"300-302\"]").health.unwrap().statuses;
    assert_eq!(statuses, [200..=200, 204..=204, 300..=302]);
    for wrong in ["99", "\"100\"", "600", "\"300-200\"", "\"2xx\"", "true"] {
        fails(&pool(&format!("[pool.health]\nstatuses = [{wrong}]")), "statuses", &["pool.health.statuses"]);
    }
    for wrong in ["health", "/a b", "/a#b", ""] {
        fails(&pool(&format!("[pool.health]\npath = \"{wrong}\"")), "path =", &["pool.health.path"]);
    }
    fails(&pool("[pool.health]\nhost = \"a\\r\\nb\""), "host =", &["pool.health.host"]);
    let slow = pool("[pool.health]\ninterval = \"1s\"\ntimeout = \"2s\"");
    warns(&slow, "name = \"p\"", &["may take longer than the time between two"]);
}

#[test]
fn sticky_cookies() {
    let sticky = read("[pool.sticky]\ncookie = \"srv\"\nkey = \"k\"").sticky.unwrap();
    assert_eq!((&*sticky.cookie, sticky.key.as_deref()), ("srv", Some(Path::new("/etc/b/k"))));
    assert_eq!((sticky.max_age, sticky.same_site, sticky.always_secure), (None, SameSite::Lax, false));
    fails(&pool("[pool.sticky]\ncookie = \"a b\""), "cookie", &["pool.sticky.cookie", "not a name"]);
    fails(&pool("[pool.sticky]\ncookie = \"a\"\npath = \"/a;b\""), "path", &["pool.sticky.path"]);
    fails(&pool("[pool.sticky]"), "[pool.sticky]", &["pool.sticky.cookie", "must be given"]);
}

#[test]
fn what_does_not_fit_together() {
    let two = format!("[http-filter]\ninstances = 2\n{}", pool("[pool.sticky]\ncookie = \"srv\""));
    warns(&two, "name = \"p\"", &["a key of its own", "32 random bytes"]);
    let bare = pool("[pool.sticky]\ncookie = \"srv\"\nsame_site = \"none\"");
    warns(&bare, "name = \"p\"", &["browsers refuse", "always"]);
}
