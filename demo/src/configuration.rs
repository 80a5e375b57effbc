//! The configuration the demo runs on, and the files it names.
//!
//! It is an example to read as much as a file to run: `bulkhead demo --keep` leaves it behind. Only ports and paths vary.

use crate::certificates::{API, Certificates, SECURE, WWW};
use crate::folder::Folder;
use crate::world::{BACKEND_ADDRESS, World};
use std::io::Result;
use std::path::PathBuf;

/// The only user of the forward proxy.
pub const USER: &str = "demo";
/// The user's password.
pub const PASSWORD: &str = "demo";
/// bcrypt of [`PASSWORD`], at a cost low enough for a demo; a test verifies it.
const PASSWORD_HASH: &str = "$2b$05$bulkheadDemoSaltAAAAAOLY5b8vRjc4JFCd2F4gcDFTgyEOF9SE2";
/// The access rule of http-filter that the demo runs into.
pub const RULE: &str = "no-admin";

/// Writes certificates, keys and users: everything but the ports.
///
/// # Errors
/// What the system says.
pub fn write_files(folder: &Folder, certificates: &Certificates) -> Result<()> {
    folder.make_dir("run")?;
    folder.make_dir("certs")?;
    folder.write("ca.pem", &certificates.ca_pem)?;
    for (name, signed) in [("www", &certificates.www), ("api", &certificates.api)] {
        folder.write(&format!("certs/{name}.pem"), &signed.pem)?;
        folder.write_private(&format!("certs/{name}.key"), &signed.key_pem)?;
    }
    folder.write_private("users", &format!("{USER}:{PASSWORD_HASH}\n"))
}

/// Writes the configuration for these ports and says where it is.
///
/// # Errors
/// What the system says.
pub fn write(folder: &Folder, world: &World) -> Result<PathBuf> {
    folder.write("bulkhead.toml", &text(world))?;
    Ok(folder.join("bulkhead.toml"))
}

/// The configuration as TOML.
#[must_use]
pub fn text(world: &World) -> String {
    [shared(world), way_in(world), way_out(world), termination(), filtering(), forwarding(world)].join("\n")
}

fn shared(world: &World) -> String {
    let runtime_dir = quoted(&world.folder.join("run").to_string_lossy());
    format!(
        "\
# Written by `bulkhead demo`: throw-away certificates, loopback addresses only.

[bulkhead]
runtime_dir = {runtime_dir}

[log]
level = \"info\"
access = true
"
    )
}

fn way_in(world: &World) -> String {
    format!(
        "\
# The way in. Looks at the ClientHello, owns no key, cannot connect anywhere.
[sni-router]

[[sni-router.listen]]
name = \"https\"
address = [{https}]
protocol = \"tls\"

[[sni-router.listen]]
name = \"http\"
address = [{http}]
protocol = \"http\"

[sni-router.otherwise]
no_sni = \"refuse\"
unknown_name = \"refuse\"
malformed = \"refuse\"
not_tls = \"refuse\"

[[route]]
name = \"terminated\"
server_names = [\"{WWW}\", \"{API}\"]
terminate = true

[[route]]
name = \"passed-through\"
server_names = [\"{SECURE}\"]
passthrough = \"secure-backend\"
",
        https = listeners(world.ports.https, world.ports.ipv6),
        http = listeners(world.ports.http, world.ports.ipv6),
    )
}

fn listeners(port: u16, ipv6: bool) -> String {
    let four = format!("\"127.0.0.1:{port}\"");
    if ipv6 { format!("{four}, \"[::1]:{port}\"") } else { four }
}

fn way_out(world: &World) -> String {
    format!(
        "\
# The way out: the only process that connects.
[passthrough-relay]

# The forward proxy reaches no private address, except the two example backends below.
[passthrough-relay.outward]
allow = [\"{BACKEND_ADDRESS}/32\"]

[[pool]]
name = \"web\"
servers = [\"{http}\"]

[[pool]]
name = \"secure-backend\"
servers = [\"{https}\"]
",
        http = world.http_backend,
        https = world.https_backend,
    )
}

fn termination() -> String {
    format!(
        "\
# The only process with private keys; it has no network.
[tls-terminator]

[[site]]
names = [\"{WWW}\"]
certificate = \"certs/www.pem\"
key = \"certs/www.key\"
alpn = [\"h2\", \"http/1.1\"]

[[site]]
names = [\"{API}\"]
certificate = \"certs/api.pem\"
key = \"certs/api.key\"
alpn = [\"h2\", \"http/1.1\"]
"
    )
}

fn filtering() -> String {
    format!(
        "\
# Reads HTTP; has no network either.
[http-filter]
access_default = \"allow\"

[[http-filter.access]]
name = \"{RULE}\"
action = \"deny\"
paths = [\"/admin*\"]

# Attacks on the application are refused. Without `rules` the built-in starter rules judge (docs/web-attacks.md).
[http-filter.web-attacks]
mode = \"block\"

[[http-filter.route]]
name = \"{WWW}\"
hosts = [\"{WWW}\"]
pool = \"web\"

[[http-filter.route]]
name = \"{API}\"
hosts = [\"{API}\"]
pool = \"web\"
"
    )
}

fn forwarding(world: &World) -> String {
    format!(
        "\
# For clients that go out. User `{USER}`, password `{PASSWORD}`.
[forward-proxy]
users_file = \"users\"
require_user = true
ports = [80, 443, {http}, {https}]

[[forward-proxy.listen]]
name = \"proxy\"
address = \"127.0.0.1:{proxy}\"
",
        http = world.http_backend.port(),
        https = world.https_backend.port(),
        proxy = world.ports.proxy,
    )
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn the_users_file_holds_the_password_printed() {
        assert!(bcrypt::verify(PASSWORD, PASSWORD_HASH).unwrap());
        assert!(!bcrypt::verify("wrong", PASSWORD_HASH).unwrap());
    }

    #[test]
    fn it_is_toml_and_says_what_was_asked() {
        let mut world = crate::tests::world();
        world.folder = "/tmp/a \"quoted\\ folder".into();
        let parsed: toml::Table = text(&world).parse().unwrap();
        assert_eq!(parsed["bulkhead"]["runtime_dir"].as_str(), Some("/tmp/a \"quoted\\ folder/run"));
        let https = parsed["sni-router"]["listen"][0]["address"].as_array().unwrap();
        assert_eq!(https.len(), if world.ports.ipv6 { 2 } else { 1 });
        assert_eq!(parsed["pool"][0]["servers"][0].as_str(), Some(world.http_backend.to_string().as_str()));
        assert_eq!(parsed["passthrough-relay"]["outward"]["allow"][0].as_str(), Some("127.0.0.2/32"));
        let ports = parsed["forward-proxy"]["ports"].as_array().unwrap();
        assert!(ports.contains(&toml::Value::Integer(world.https_backend.port().into())));
    }

    #[test]
    fn without_ipv6_only_ipv4_is_listened_on() {
        let mut world = crate::tests::world();
        world.ports.ipv6 = false;
        assert!(!text(&world).contains("::1"));
    }

    #[test]
    fn every_file_it_names_is_written_and_keys_are_private() {
        use std::os::unix::fs::MetadataExt;
        let folder = Folder::create(None, false).unwrap();
        write_files(&folder, &crate::certificates::make().unwrap()).unwrap();
        let parsed: toml::Table = text(&crate::tests::world()).parse().unwrap();
        for site in parsed["site"].as_array().unwrap() {
            assert!(folder.join(site["certificate"].as_str().unwrap()).exists());
            let key = std::fs::metadata(folder.join(site["key"].as_str().unwrap())).unwrap();
            assert_eq!(key.mode() & 0o777, 0o600);
        }
        assert!(folder.join(parsed["forward-proxy"]["users_file"].as_str().unwrap()).exists());
    }
}
