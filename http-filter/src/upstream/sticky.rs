//! The sticky cookie: which server a client has, in a value that says nothing and cannot be made up. Pure but for the random key.
//!
//! The value of a server is HMAC-SHA256 over the names of pool and server, cut to 128 bits, in base64url. So the address of a server cannot
//! be read from it, a value cannot be made without the key, and one that is not among those of the pool's servers (forged, of another
//! pool or key, of a server that is gone) names nobody. Everything is computed when the pool is made; a request costs a comparison.
//!
//! All clients of a server have the same value: it says who shares a server, and is no secret and no session.

use std::fmt::Write;
use std::sync::Arc;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::config::{self, Files, SameSite};
use http::header::{self, HeaderMap, HeaderValue};

use super::cookies;

/// Least length of a key in a file, in bytes.
const LEAST_KEY: usize = 32;
/// Bytes of a value before base64.
const TAG: usize = 16;

/// The cookies of one pool.
#[derive(Debug)]
pub struct Sticky {
    name: Arc<str>,
    servers: Vec<Server>,
}

#[derive(Debug)]
struct Server {
    value: String,
    /// `Set-Cookie`, without and with `Secure`.
    set: [HeaderValue; 2],
}

/// Where a key comes from.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Arc<[u8]>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// The contents of the key file, or else `previous` (of the same pool before a reload), or else a random one.
    ///
    /// # Errors
    /// The file was not read or is too short, or there is no randomness.
    pub fn new(sticky: &config::Sticky, files: &Files, previous: Option<&Key>) -> Result<Self, String> {
        let Some(path) = &sticky.key else {
            return previous.map_or_else(Self::random, |key| Ok(key.clone()));
        };
        let bytes = files.get(path)?;
        if bytes.len() < LEAST_KEY {
            let shown = path.display();
            return Err(format!("pool.sticky.key: {shown} has {} bytes, at least {LEAST_KEY} are needed", bytes.len()));
        }
        Ok(Self(Arc::clone(bytes)))
    }

    fn random() -> Result<Self, String> {
        let mut bytes = [0; LEAST_KEY];
        getrandom::fill(&mut bytes).map_err(|error| format!("no random key for sticky cookies: {error}"))?;
        Ok(Self(bytes.as_slice().into()))
    }
}

/// Judges the keys of all pools.
///
/// # Errors
/// What is wrong with one.
pub fn check(config: &config::Config, files: &Files) -> Result<(), String> {
    config
        .pools
        .iter()
        .filter_map(|pool| pool.sticky.as_ref())
        .try_for_each(|sticky| Key::new(sticky, files, None).map(drop))
}

impl Sticky {
    /// For the servers of a pool, by their labels.
    ///
    /// # Errors
    /// The configured words make no header; they were checked, so this is a mistake of ours.
    pub fn new<'a>(
        sticky: &config::Sticky,
        key: &Key,
        pool: &str,
        labels: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key.0);
        let server = |label: &str| {
            let tag = hmac::sign(&key, format!("bulkhead sticky\0{pool}\0{label}").as_bytes());
            let value = BASE64_URL_SAFE_NO_PAD.encode(tag.as_ref().get(..TAG).unwrap_or_default());
            let plain = set_cookie(sticky, &value);
            let secure = format!("{plain}; Secure");
            let header = |text: String| HeaderValue::try_from(text).map_err(|error| format!("pool.sticky: {error}"));
            let plain = if sticky.always_secure { secure.clone() } else { plain };
            Ok(Server { value, set: [header(plain)?, header(secure)?] })
        };
        let servers = labels.into_iter().map(server).collect::<Result<_, String>>()?;
        Ok(Self { name: Arc::clone(&sticky.cookie), servers })
    }

    /// The server that the request's cookie names, if it is one of ours. The cookie is taken out: it is between the client and us.
    pub fn take(&self, headers: &mut HeaderMap) -> Option<usize> {
        let found = cookies::values(headers, &self.name).find_map(|value| self.server(value));
        cookies::remove(headers, &self.name);
        found
    }

    fn server(&self, value: &[u8]) -> Option<usize> {
        let same = |server: &Server| constant_time::verify_slices_are_equal(server.value.as_bytes(), value).is_ok();
        self.servers.iter().position(same)
    }

    /// Tells the client its server.
    pub fn tell(&self, server: usize, tls: bool, headers: &mut HeaderMap) {
        if let Some(server) = self.servers.get(server) {
            let [plain, secure] = &server.set;
            headers.append(header::SET_COOKIE, if tls { secure } else { plain }.clone());
        }
    }
}

fn set_cookie(sticky: &config::Sticky, value: &str) -> String {
    let same_site = match sticky.same_site {
        SameSite::Strict => "Strict",
        SameSite::Lax => "Lax",
        SameSite::None => "None",
    };
    let mut text = format!("{}={value}; Path={}; HttpOnly; SameSite={same_site}", sticky.cookie, sticky.path);
    if let Some(age) = sticky.max_age {
        // Writing to a String cannot fail.
        let _ = write!(text, "; Max-Age={}", age.as_secs());
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    fn sticky() -> config::Sticky {
        config::Sticky {
            cookie: "srv".into(),
            key: Some(PathBuf::from("k")),
            path: "/".into(),
            max_age: None,
            same_site: SameSite::Lax,
            always_secure: false,
        }
    }

    fn key(byte: u8) -> Key {
        Key([byte; 32].as_slice().into())
    }

    fn told(sticky: &Sticky, server: usize, tls: bool) -> String {
        let mut headers = HeaderMap::new();
        sticky.tell(server, tls, &mut headers);
        headers[header::SET_COOKIE].to_str().unwrap().to_owned()
    }

    fn taken(sticky: &Sticky, cookie: &str) -> (Option<usize>, Option<HeaderValue>) {
        let mut headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookie).unwrap())]);
        (sticky.take(&mut headers), headers.get(header::COOKIE).cloned())
    }

    #[test]
    fn a_client_comes_back_to_its_server() {
        let own = Sticky::new(&sticky(), &key(1), "app", ["10.0.0.1:80", "10.0.0.2:80"]).unwrap();
        let set = told(&own, 1, false);
        let (pair, attributes) = set.split_once(';').unwrap();
        assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(told(&own, 1, true), format!("{set}; Secure"));
        assert_eq!(taken(&own, &format!("a=b; {pair}; c=d")), (Some(1), Some(HeaderValue::from_static("a=b; c=d"))));
        assert!(!set.contains("10.0"), "{set}");
        // The same server at another place of another start with the same key.
        let other = Sticky::new(&sticky(), &key(1), "app", ["10.0.0.2:80"]).unwrap();
        assert_eq!(taken(&other, pair).0, Some(0));
    }

    #[test]
    fn what_is_not_ours_names_nobody() {
        let own = Sticky::new(&sticky(), &key(1), "app", ["10.0.0.1:80", "10.0.0.2:80"]).unwrap();
        let pair = told(&own, 0, false).split(';').next().unwrap().to_owned();
        for strange in ["srv=", "srv=10.0.0.1:80", "srv=0", &pair[..pair.len() - 1], &format!("{pair}A"), "other=1"] {
            assert_eq!(taken(&own, strange).0, None, "{strange}");
        }
        for (pool, key) in [("app", key(2)), ("web", key(1))] {
            let other = Sticky::new(&sticky(), &key, pool, ["10.0.0.1:80", "10.0.0.2:80"]).unwrap();
            assert_eq!(taken(&other, &pair).0, None, "of another pool or key");
        }
        let later = Sticky::new(&sticky(), &key(1), "app", ["10.0.0.2:80"]).unwrap();
        assert_eq!(taken(&later, &pair), (None, None), "its server is gone; the backend never sees it");
    }

    #[test]
    fn attributes_are_as_configured() {
        let config = config::Sticky {
            max_age: Some(Duration::from_secs(3600)),
            same_site: SameSite::None,
            always_secure: true,
            path: "/shop".into(),
            ..sticky()
        };
        let own = Sticky::new(&config, &key(1), "app", ["a:1"]).unwrap();
        let set = told(&own, 0, false);
        assert!(set.ends_with("; Path=/shop; HttpOnly; SameSite=None; Max-Age=3600; Secure"), "{set}");
    }

    #[test]
    fn keys() {
        let (short, long): (Arc<[u8]>, Arc<[u8]>) = ([7; 31].as_slice().into(), [7; 32].as_slice().into());
        let files = |bytes: &Arc<[u8]>| Files::from_iter([(PathBuf::from("k"), Arc::clone(bytes))]);
        let error = Key::new(&sticky(), &files(&short), None).unwrap_err();
        assert!(error.contains("31 bytes"), "{error}");
        assert_eq!(Key::new(&sticky(), &files(&long), Some(&key(1))).unwrap(), key(7));
        let random = config::Sticky { key: None, ..sticky() };
        let first = Key::new(&random, &Files::default(), None).unwrap();
        assert_ne!(first, Key::new(&random, &Files::default(), None).unwrap());
        assert_eq!(Key::new(&random, &Files::default(), Some(&first)).unwrap(), first, "a reload keeps it");
    }
}
