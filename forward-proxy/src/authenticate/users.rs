//! The file of users: one `name:hash` per line, as `htpasswd -B` or the `argon2` tool write it. Read and judged whole before
//! the sandbox closes; a bad line is named by file and number, never shown (it may be a password written down by mistake).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::path::Path;

use argon2::{Argon2, PasswordHash, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

use super::basic::{Credentials, MAX_USER};

/// Largest file, in bytes.
pub const MAX_FILE: u64 = 16 << 20;
/// Most memory one argon2 check may take, in KiB: [`super::CHECKS_AT_ONCE`] of them run at a time.
pub const MAX_ARGON2_KIB: u32 = 256 * 1024;
/// Most passes of argon2, and most lanes.
pub const MAX_ARGON2_WORK: u32 = 32;
/// Highest cost of bcrypt: 2^16 rounds take some seconds.
pub const MAX_BCRYPT_COST: u32 = 16;

/// bcrypt's own alphabet, to find damaged hashes when the file is read and not when somebody logs in.
const BCRYPT_BASE64: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::BCRYPT, NO_PAD);

/// Names and hashes.
#[derive(Debug)]
pub struct Users {
    by_name: HashMap<Box<str>, usize>,
    hashes: Vec<Hash>,
    /// Chooses the decoy of an unknown name; different in every process.
    decoys: RandomState,
}

#[derive(PartialEq, Eq)]
enum Hash {
    Argon2(Box<str>),
    Bcrypt(Box<str>),
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Hash::Argon2(_) => "Argon2(..)",
            Hash::Bcrypt(_) => "Bcrypt(..)",
        })
    }
}

impl Users {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with file and line.
    pub fn read(path: &Path) -> Result<Self, Vec<String>> {
        let at = |text: String| vec![format!("{}: {text}", path.display())];
        let file =
            common::credentials::open(path).map_err(|error| at(format!("the users file cannot be opened: {error}")))?;
        let mut text = String::new();
        file.take(MAX_FILE + 1)
            .read_to_string(&mut text)
            .map_err(|error| at(format!("the users file cannot be read: {error}")))?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_FILE {
            return Err(at(format!("the users file is larger than {MAX_FILE} bytes")));
        }
        Self::parse_as(&text, path)
    }

    /// Judges the contents of a file that somebody else has read.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with file and line.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, Vec<String>> {
        let at = |text: String| vec![format!("{}: {text}", path.display())];
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE {
            return Err(at(format!("the users file is larger than {MAX_FILE} bytes")));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| at("the users file is not UTF-8 text".to_owned()))?;
        Self::parse_as(text, path)
    }

    fn parse_as(text: &str, path: &Path) -> Result<Self, Vec<String>> {
        Self::parse(text).map_err(|errors| {
            let place = |(line, text): (usize, String)| format!("{}:{line}: {text}", path.display());
            errors.into_iter().map(place).collect()
        })
    }

    /// Judges a text. Empty lines and lines that start with `#` are passed over.
    ///
    /// # Errors
    /// Line numbers, from 1, and what is wrong there.
    pub fn parse(text: &str) -> Result<Self, Vec<(usize, String)>> {
        let mut users = Self { by_name: HashMap::new(), hashes: Vec::new(), decoys: RandomState::new() };
        let mut errors = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if !(line.trim().is_empty() || line.starts_with('#'))
                && let Err(error) = users.add(line)
            {
                errors.push((number, error));
            }
        }
        if errors.is_empty() { Ok(users) } else { Err(errors) }
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let (name, hash) = line.split_once(':').ok_or("expected `name:hash`, found no colon")?;
        if name.is_empty() || name.len() > MAX_USER || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(format!("a user name is 1 to {MAX_USER} bytes without white space and control characters"));
        }
        let hash = Hash::parse(hash.trim_end())?;
        if self.by_name.insert(name.into(), self.hashes.len()).is_some() {
            return Err(format!("the user `{name}` stands in an earlier line too"));
        }
        self.hashes.push(hash);
        Ok(())
    }

    /// Whether these are the same users with the same hashes.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let hash = |users: &'_ Self, name: &str| users.by_name.get(name).copied();
        self.by_name.len() == other.by_name.len()
            && self.by_name.keys().all(|name| {
                let (own, others) = (hash(self, name), hash(other, name));
                let found = others.and_then(|index| other.hashes.get(index));
                found.is_some() && own.and_then(|index| self.hashes.get(index)) == found
            })
    }

    /// Whether this user exists.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Number of users.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Nobody at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether user and password belong together. Slow: for a helper thread. An unknown name costs as much as a wrong
    /// password of some user, always of the same one.
    #[must_use]
    pub fn verify(&self, credentials: &Credentials) -> bool {
        let known = self.by_name.get(&*credentials.user).copied();
        let decoy = || {
            let choice = usize::try_from(self.decoys.hash_one(&*credentials.user) >> 1).unwrap_or_default();
            choice.checked_rem(self.hashes.len())
        };
        let Some(hash) = known.or_else(decoy).and_then(|index| self.hashes.get(index)) else { return false };
        hash.fits(&credentials.password) && known.is_some()
    }
}

impl Hash {
    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("$argon2") {
            judge_argon2(text)?;
            return Ok(Hash::Argon2(text.into()));
        }
        if ["$2a$", "$2b$", "$2y$"].iter().any(|kind| text.starts_with(kind)) {
            judge_bcrypt(text)?;
            return Ok(Hash::Bcrypt(text.into()));
        }
        Err("this is no hash that is accepted here: `$argon2id$…` or bcrypt (`$2b$…`, `$2y$…`, `$2a$…`; `htpasswd -B` \
             writes it); MD5, SHA-1, crypt and plain passwords are not"
            .to_owned())
    }

    fn fits(&self, password: &str) -> bool {
        match self {
            Hash::Argon2(text) => PasswordHash::new(text)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()),
            Hash::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
        }
    }
}

fn judge_argon2(text: &str) -> Result<(), String> {
    let hash = PasswordHash::new(text).map_err(|error| format!("the argon2 hash is damaged: {error}"))?;
    if hash.algorithm.as_str() != "argon2id" {
        return Err(format!("{} is not accepted, use argon2id", hash.algorithm));
    }
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err("the argon2 hash is cut off".to_owned());
    }
    let parameters =
        argon2::Params::try_from(&hash).map_err(|error| format!("the argon2 hash has bad parameters: {error}"))?;
    if parameters.m_cost() > MAX_ARGON2_KIB {
        return Err(format!(
            "checking this hash takes {} KiB, at most {MAX_ARGON2_KIB} are accepted",
            parameters.m_cost()
        ));
    }
    if parameters.t_cost() > MAX_ARGON2_WORK || parameters.p_cost() > MAX_ARGON2_WORK {
        return Err(format!("passes (t) and lanes (p) of argon2 may be {MAX_ARGON2_WORK} at most"));
    }
    Ok(())
}

fn judge_bcrypt(text: &str) -> Result<(), String> {
    let damaged =
        || "the bcrypt hash is damaged: expected `$2b$`, a cost of two digits, `$` and 53 characters".to_owned();
    let mut parts = text.split('$').skip(2);
    let (Some(cost), Some(rest), None) = (parts.next(), parts.next(), parts.next()) else { return Err(damaged()) };
    if cost.len() != 2 || rest.len() != 53 {
        return Err(damaged());
    }
    let cost: u32 = cost.parse().map_err(|_| damaged())?;
    let (salt, hash) = rest.split_at_checked(22).ok_or_else(damaged)?;
    let salt = BCRYPT_BASE64.decode(salt).map_err(|_| damaged())?;
    let hash = BCRYPT_BASE64.decode(hash).map_err(|_| damaged())?;
    if salt.len() != 16 || hash.len() != 23 {
        return Err(damaged());
    }
    if !(4..=MAX_BCRYPT_COST).contains(&cost) {
        return Err(format!("the cost of the bcrypt hash is {cost}, accepted are 4 to {MAX_BCRYPT_COST}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use argon2::password_hash::{PasswordHasher, SaltString};
    use argon2::{Algorithm, Params, Version};

    /// A cheap argon2id hash.
    pub(crate) fn argon2id(password: &str) -> String {
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        hasher
            .hash_password(password.as_bytes(), &SaltString::encode_b64(b"0123456789abcdef").unwrap())
            .unwrap()
            .to_string()
    }

    fn right(users: &Users, user: &str, password: &str) -> bool {
        users.verify(&Credentials { user: user.into(), password: password.to_owned() })
    }

    #[test]
    fn both_kinds_of_hash_are_checked() {
        let bcrypt = bcrypt::hash("sesame", 4).unwrap();
        let text = format!(
            "# staff\n\nada:{}\nbob:{bcrypt}\neve:{}\r\ngrete:{}\n",
            argon2id("open"),
            bcrypt.replacen("$2b$", "$2y$", 1),
            bcrypt.replacen("$2b$", "$2a$", 1),
        );
        let users = Users::parse(&text).unwrap();
        assert_eq!(users.len(), 4);
        assert!(right(&users, "ada", "open") && right(&users, "bob", "sesame"));
        assert!(right(&users, "eve", "sesame") && right(&users, "grete", "sesame"));
        assert!(!right(&users, "ada", "sesame") && !right(&users, "bob", "open") && !right(&users, "ada", ""));
    }

    #[test]
    fn an_unknown_name_never_gets_in_even_with_its_decoys_password() {
        let users = Users::parse(&format!("ada:{}", argon2id("open"))).unwrap();
        assert!(!right(&users, "nobody", "open"));
        assert!(!users.has("nobody") && users.has("ada"));
        assert!(!right(&Users::parse("").unwrap(), "nobody", "open"));
    }

    #[test]
    fn an_unknown_name_costs_what_a_wrong_password_costs() {
        let users = Users::parse(&format!("ada:{}", bcrypt::hash("open", 8).unwrap())).unwrap();
        let time = |user: &str| {
            let shortest = (0..3).map(|_| {
                let began = std::time::Instant::now();
                assert!(!right(&users, user, "wrong"));
                began.elapsed()
            });
            shortest.min().unwrap().as_secs_f64()
        };
        let (known, unknown) = (time("ada"), time("nobody"));
        assert!(known / unknown < 3.0 && unknown / known < 3.0, "{known} {unknown}");
    }

    #[test]
    fn the_demos_hash_is_read() {
        let users = Users::parse("demo:$2b$05$bulkheadDemoSaltAAAAAOLY5b8vRjc4JFCd2F4gcDFTgyEOF9SE2\n").unwrap();
        assert!(right(&users, "demo", "demo") && !right(&users, "demo", "Demo"));
    }

    #[test]
    fn bad_lines_are_named_by_number_and_not_shown() {
        let bcrypt = bcrypt::hash("x", 4).unwrap();
        let good = argon2id("x");
        let lines = [
            ("secret", "no colon"),
            (":secret", "user name"),
            ("a b:secret", "user name"),
            ("a:secret", "no hash"),
            ("a:$apr1$secret", "no hash"),
            ("a:{SHA}secret", "no hash"),
            ("a:$2x$04$secret", "no hash"),
            (&format!("a:{}", &bcrypt[..40]), "damaged"),
            (&format!("a:{}", bcrypt.replace("$04$", "$4$")), "damaged"),
            (&format!("a:{}", bcrypt.replace("$04$", "$31$")), "cost"),
            (&format!("a:{}!", &bcrypt[..59]), "damaged"),
            (&format!("a:{}", good.replace("argon2id", "argon2i")), "argon2id"),
            (&format!("a:{}", good.replace("m=64", "m=4194304")), "KiB"),
            (&format!("a:{}", good.replace("t=1", "t=1000")), "passes"),
            (&format!("a:{}", good.rsplit_once('$').unwrap().0), "argon2"),
            ("a:$argon2id$secret", "cut off"),
        ];
        for (line, words) in lines {
            let errors = Users::parse(&format!("# first\n{line}\n")).unwrap_err();
            assert_eq!((errors.len(), errors[0].0), (1, 2), "{line}: {errors:?}");
            assert!(errors[0].1.contains(words) && !errors[0].1.contains("secret"), "{line}: {errors:?}");
        }
        let twice = Users::parse(&format!("a:{good}\na:{good}\nb")).unwrap_err();
        assert_eq!(twice.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_file_is_named_in_its_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        assert!(Users::read(&path).unwrap_err()[0].contains("users: the users file cannot be opened"));
        std::fs::write(&path, "\nada").unwrap();
        assert!(Users::read(&path).unwrap_err()[0].contains("users:2: expected `name:hash`"));
    }
}
