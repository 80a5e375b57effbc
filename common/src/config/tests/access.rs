//! The words of access rules: what each key takes, what it says of what it does not take, and that every table speaks the same.

use super::*;

fn rule(table: &str, line: &str) -> String {
    format!("{BASE}[[{table}.access]]\nname = \"a\"\naction = \"deny\"\n{line}\n")
}

#[test]
fn what_no_condition_can_mean_is_an_error_at_its_place() {
    for (line, mark, words) in [
        ("countries = 'Germany'", "Germany", "two letters"),
        ("hours = '8-18'", "8-18", "`08:00-18:00`"),
        ("hours = '08:00-25:00'", "25:00", "not a part of a day"),
        ("hours = '08:00-08:00'", "08:00-08:00", "is empty"),
        ("hours = '8:00-9:00'", "8:00-9:00", "not a part of a day"),
        ("days = 'monday'", "monday", "one of mon, tue"),
        ("ja4 = 't13d'", "t13d", "36 small letters"),
        ("ja4 = 'T13*'", "T13", "36 small letters"),
        ("tls_versions = '1.1'", "1.1", "not one of the allowed words"),
        ("certificate_subjects = 'ada'", "ada", "write `CN=ada`"),
        ("certificate_issuers = 'CN='", "CN=", "no attribute with a value"),
        ("certificate_subjects = 'CN=*a'", "CN=*a", "only stand at the end"),
        ("certificate_names = 'shop.example'", "shop.example'", "write `DNS:"),
        ("path_regex = ''", "path_regex", "it is empty"),
        ("when = ' '", "when", "it is empty"),
        ("cookies = [{ name = 'a b' }]", "a b", "not the name of a cookie"),
        ("cookies = [{ name = 'a', value = '1', absent = true }]", "absent", "has no value"),
        ("parameters = [{ name = '' }]", "name = ''", "not the name of a parameter"),
        ("headers = [{ name = 'x', value = '*' , absent = 1 }]", "absent", "is wanted"),
        ("content_types = 'json'", "json", "not a media type"),
        ("content_types = 'a/b; c=d'", "a/b", "not a media type"),
        ("body_larger_than = '1 PiB'", "1 PiB", "not a unit of size"),
    ] {
        fails(&rule("http-filter", line), mark, &[words]);
    }
    let long = format!("when = '{}'", "x".repeat(4097));
    fails(&rule("http-filter", &long), "when", &["longer than 4096"]);
}

#[test]
fn every_table_has_the_keys_of_what_its_process_knows() {
    let proxy = "[[forward-proxy.listen]]\nname = \"out\"\naddress = \"127.0.0.1:3128\"\n";
    for (table, key, has) in [
        ("sni-router", "clients = '10.0.0.0/8'", true),
        ("sni-router", "ja4 = 't13*'", true),
        ("sni-router", "methods = 'GET'", false),
        ("sni-router", "tls_versions = '1.3'", false),
        ("http-filter", "tls_versions = '1.3'", true),
        ("http-filter", "users = 'ada'", false),
        ("http-filter", "listen = 'https'", false),
        ("forward-proxy", "methods = 'CONNECT'", true),
        ("forward-proxy", "hours = '08:00-18:00'", true),
        ("forward-proxy", "paths = '/a'", false),
    ] {
        let text = format!("{}{proxy}", rule(table, key));
        if has {
            sound(&text);
        } else {
            fails(&text, key, &["there is no such key", &format!("in `{table}.access`")]);
        }
    }
}

#[test]
fn a_rule_knows_its_line() {
    let text = rule("http-filter", "methods = 'GET'");
    let (config, _) = sound(&text);
    assert_eq!(config.http_filter.access[0].line, line_of(&text, "[[http-filter.access]]"));
}

#[test]
fn countries_need_their_file_and_only_who_asks_reads_it() {
    let text = rule("http-filter", "countries = ['de', 'AT']");
    fails(&text, "countries", &["`access.country_file` is not given", "give `country_file`"]);
    let with = format!("{text}[access]\ncountry_file = \"geo.csv\"\n");
    let (config, _) = sound(&with);
    assert_eq!(config.http_filter.access[0].conditions.countries, [Country(*b"DE"), Country(*b"AT")]);
    let readers = |config: &Config| config.files.iter().map(|file| file.key).collect::<Vec<_>>();
    assert_eq!(readers(&config), ["http-filter.access.countries"]);
    let (config, _) = sound(&with.replace("countries = ['de', 'AT']", "when = 'client.country == \"DE\"'"));
    assert_eq!(readers(&config), ["http-filter.access.countries"], "an expression may ask too");
    let (config, _) = sound(&with.replace("countries = ['de', 'AT']", ""));
    assert!(config.files.is_empty(), "nobody asks");
}

#[test]
fn client_authorities_and_client_auth_need_one_another() {
    let site = |keys: &str| {
        format!(
            "{BASE}[[route]]\nname = \"t\"\nserver_names = \"a.example\"\nterminate = true\n\
             [[http-filter.route]]\nname = \"r\"\npool = \"p\"\n\
             [[site]]\nnames = \"a.example\"\ncertificate = \"c\"\nkey = \"k\"\n{keys}\n"
        )
    };
    fails(&site("client_auth = 'require'"), "client_auth", &["whose client certificates are good"]);
    fails(&site("client_ca = 'ca.pem'"), "client_ca", &["not asked for a certificate"]);
    fails(&site("client_auth = 'always'"), "client_auth", &["`\"require\"`"]);
    let auth = |keys: &str| sound(&site(keys)).0.sites[0].client_auth.clone();
    assert_eq!(auth(""), None);
    let required = auth("client_auth = 'require'\nclient_ca = ['a.pem', 'b.pem']").unwrap();
    assert!(required.required && required.authorities.len() == 2);
    assert!(!auth("client_auth = 'request'\nclient_ca = 'a.pem'").unwrap().required);
}
