//! Scenarios as curl lines. What all lines share is in two files in the folder (`curl -K`), so that a line is short enough to read.

use crate::certificates::{API, SECURE, WWW};
use crate::configuration::{PASSWORD, USER};
use crate::folder::Folder;
use crate::scenarios::{Login, Road, Scenario};
use crate::world::World;
use std::io::Result;

/// For requests to Bulkhead as a reverse proxy.
const DIRECT: &str = "direct.curl";
/// For requests through Bulkhead as a forward proxy.
const PROXY: &str = "proxy.curl";

/// Writes the two files.
///
/// # Errors
/// What the system says.
pub fn write_files(folder: &Folder, world: &World) -> Result<()> {
    folder.write(DIRECT, &direct(world))?;
    folder.write(PROXY, &proxy(world))
}

fn direct(world: &World) -> String {
    // The user's own proxy settings must not get in between.
    let mut text = format!("silent\nshow-error\nnoproxy = \"*\"\ncacert = \"{}\"\n", in_quotes(world, "ca.pem"));
    for name in [WWW, API, SECURE, "unknown.demo.test"] {
        for port in [world.ports.https, world.ports.http] {
            text.push_str(&format!("resolve = \"{name}:{port}:127.0.0.1\"\n"));
        }
    }
    text
}

fn proxy(world: &World) -> String {
    let ca = in_quotes(world, "ca.pem");
    let port = world.ports.proxy;
    format!(
        "silent\nshow-error\nnoproxy = \"\"\ncacert = \"{ca}\"\nproxy = \"http://127.0.0.1:{port}\"\nproxy-user = \"{USER}:{PASSWORD}\"\n"
    )
}

/// A path in the folder, for between double quotes in a curl configuration.
fn in_quotes(world: &World, name: &str) -> String {
    world.folder.join(name).to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"")
}

/// The scenario as a line for a shell.
#[must_use]
pub fn line(scenario: &Scenario, world: &World) -> String {
    let ask = &scenario.ask;
    let ports = world.ports;
    let mut words = vec!["curl".to_owned()];
    let host = |default| ask.host.unwrap_or(default);
    let url = match scenario.road {
        Road::Tls { server_name, alpn, .. } => {
            words.extend(["-K".into(), file(world, DIRECT)]);
            if !alpn.contains(&"h2") {
                words.push("--http1.1".into());
            }
            let name = server_name.unwrap_or("127.0.0.1");
            words.extend(ask.host.map(|host| format!("-H 'Host: {host}'")));
            format!("https://{name}:{}{}", ports.https, ask.path)
        }
        Road::Plain => {
            words.extend(["-K".into(), file(world, DIRECT)]);
            format!("http://{}:{}{}", host(WWW), ports.http, ask.path)
        }
        Road::PlainOnTls => {
            words.extend(["-K".into(), file(world, DIRECT)]);
            format!("http://{}:{}{}", host(WWW), ports.https, ask.path)
        }
        Road::Tunnel { to, login, tls } => {
            words.extend(through_proxy(world, login));
            words.push("--proxytunnel".into());
            match tls {
                Some(name) => {
                    words.push(format!("--connect-to {name}:443:{}", to.text(world)));
                    format!("https://{name}{}", ask.path)
                }
                None => format!("http://{}{}", to.text(world), ask.path),
            }
        }
        Road::Absolute { to, login } => {
            words.extend(through_proxy(world, login));
            format!("http://{}{}", to.text(world), ask.path)
        }
    };
    if ask.path.contains("/../") {
        words.push("--path-as-is".into());
    }
    words.extend(ask.headers.iter().map(|(name, value)| format!("-H '{name}: {value}'")));
    if !ask.form.is_empty() {
        words.push(format!("-d '{}'", ask.form));
    }
    words.push("-iN".into());
    // A shell would read a query as a pattern or as two commands.
    words.push(if url.contains(['?', '&', '*']) { format!("'{url}'") } else { url });
    words.join(" ")
}

fn through_proxy(world: &World, login: Login) -> Vec<String> {
    match login {
        Login::Right => vec!["-K".into(), file(world, PROXY)],
        Login::WrongPassword => vec!["-K".into(), file(world, PROXY), format!("-U {USER}:wrong")],
        Login::Nothing => vec![format!("-sS --noproxy '' -x http://127.0.0.1:{}", world.ports.proxy)],
    }
}

/// A path in the folder, for a shell.
fn file(world: &World, name: &str) -> String {
    let path = world.folder.join(name).to_string_lossy().into_owned();
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::scenarios;

    #[test]
    fn every_row_is_one_line() {
        let world = crate::tests::world();
        for row in scenarios::all() {
            let line = line(row, &world);
            assert!(line.starts_with("curl -") && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn roads_lead_to_their_ports() {
        let world = crate::tests::world();
        let of = |name| line(scenarios::all().find(|row| row.name == name).unwrap(), &world);
        let ports = world.ports;
        assert!(of("termination-h1").ends_with(&format!("--http1.1 -iN https://www.demo.test:{}/", ports.https)));
        assert!(of("plain-http").ends_with(&format!("http://www.demo.test:{}/", ports.http)));
        assert!(of("http-on-tls-port").ends_with(&format!("http://www.demo.test:{}/", ports.https)));
        assert!(of("guard-private").ends_with("--proxytunnel -iN http://10.0.0.1:443/"));
        assert!(of("connect-no-user").contains(&format!("-x http://127.0.0.1:{} ", ports.proxy)));
        assert!(of("access-list-dots").contains("--path-as-is"));
        assert!(of("misdirected-h2").contains("-H 'Host: api.demo.test'"));
    }

    #[test]
    fn odd_folders_are_quoted() {
        let mut world = crate::tests::world();
        world.folder = "/tmp/it's \"mine\"".into();
        assert_eq!(file(&world, "x"), r#"'/tmp/it'\''s "mine"/x'"#);
        assert!(direct(&world).contains(r#"cacert = "/tmp/it's \"mine\"/ca.pem""#));
    }
}
