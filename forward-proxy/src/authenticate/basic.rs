//! The `Proxy-Authorization` header: `Basic` and base64 of `user:password` (RFC 7617 §2). Pure.
//!
//! Strict: one header, one scheme, UTF-8, no control characters. It must never show a password in a message or in `Debug`.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};

use super::NotAuthenticated;

/// Longest user name, in bytes; the configuration allows no longer one either.
pub const MAX_USER: usize = 256;
/// Longest password, in bytes. bcrypt looks at the first 72 only.
pub const MAX_PASSWORD: usize = 1024;
/// Longest base64 text that can hold both.
const MAX_ENCODED: usize = (MAX_USER + 1 + MAX_PASSWORD).div_ceil(3) * 4;

/// With or without padding: both are in use.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a request said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given<'a> {
    /// Nothing.
    Nothing,
    /// One header with this value.
    One(&'a [u8]),
    /// Several headers.
    Several,
}

impl<'a> Given<'a> {
    /// From all values of the header.
    pub fn of(mut values: impl Iterator<Item = &'a [u8]>) -> Self {
        match (values.next(), values.next()) {
            (None, _) => Given::Nothing,
            (Some(value), None) => Given::One(value),
            (Some(_), Some(_)) => Given::Several,
        }
    }
}

/// A user's claim.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Name, 1 to [`MAX_USER`] bytes, no colon.
    pub user: Arc<str>,
    /// Password, at most [`MAX_PASSWORD`] bytes.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads the header.
    ///
    /// # Errors
    /// Nothing came, or it has no single reading.
    pub fn read(given: Given<'_>) -> Result<Self, NotAuthenticated> {
        let malformed = |text| Err(NotAuthenticated::Malformed(text));
        let value = match given {
            Given::Nothing => return Err(NotAuthenticated::Missing),
            Given::Several => return malformed("Proxy-Authorization must appear once"),
            Given::One(value) => value.trim_ascii(),
        };
        let Some((scheme, rest)) = value.split_at_checked(6) else {
            return malformed("the only scheme accepted is Basic");
        };
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return malformed("the only scheme accepted is Basic");
        }
        let encoded = rest.trim_ascii_start();
        if encoded.len() > MAX_ENCODED {
            return malformed("user name or password is too long");
        }
        let Ok(decoded) = BASE64.decode(encoded) else { return malformed("the credentials are not base64") };
        let Ok(text) = String::from_utf8(decoded) else { return malformed("the credentials are not UTF-8") };
        let Some((user, password)) = text.split_once(':') else {
            return malformed("there is no colon after the user name");
        };
        if user.is_empty() || user.len() > MAX_USER || password.len() > MAX_PASSWORD {
            return malformed("user name or password is too long, or there is no user name");
        }
        if text.chars().any(char::is_control) {
            return malformed("control characters may not stand in user name or password");
        }
        Ok(Self { user: user.into(), password: password.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn read(value: &str) -> Result<(String, String), NotAuthenticated> {
        Credentials::read(Given::One(value.as_bytes())).map(|c| (c.user.as_ref().to_owned(), c.password))
    }

    fn basic(text: &[u8]) -> String {
        format!("Basic {}", BASE64.encode(text))
    }

    #[test]
    fn user_and_password() {
        let pair = |user: &str, password: &str| Ok((user.to_owned(), password.to_owned()));
        assert_eq!(read("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), pair("Aladdin", "open sesame")); // RFC 7617 §2
        assert_eq!(read("bAsIc   QWxhZGRpbjpvcGVuIHNlc2FtZQ"), pair("Aladdin", "open sesame"));
        assert_eq!(read("Basic dGVzdDoxMjPCow=="), pair("test", "123\u{a3}")); // RFC 7617 §2.1
        assert_eq!(read(&basic(b"a:b:c")), pair("a", "b:c"));
        assert_eq!(read(&basic(b"a:")), pair("a", ""));
        let long = format!("{}:{}", "u".repeat(MAX_USER), "p".repeat(MAX_PASSWORD));
        assert!(read(&basic(long.as_bytes())).is_ok());
    }

    #[test]
    fn everything_else_is_refused_with_a_reason() {
        let too_long = "u".repeat(MAX_USER + 1);
        for value in [
            "",
            "Basic",
            "Basic ",
            "Bearer abc",
            "Digest username=\"a\"",
            "BasicQWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Basic !!!!",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==, Basic QTpC",
            "Basic QTpC QTpC",
            &basic(b"no colon"),
            &basic(b":nobody"),
            &basic(b"a:\xff"),
            &basic(b"a\r\nX: y:b"),
            &basic(b"a:b\0"),
            &basic(format!("{too_long}:p").as_bytes()),
            &basic(format!("u:{}", "p".repeat(MAX_PASSWORD + 1)).as_bytes()),
            &basic(&[b'a'; 100_000]),
        ] {
            assert!(matches!(read(value), Err(NotAuthenticated::Malformed(_))), "{value:.60}");
        }
        assert_eq!(Credentials::read(Given::Nothing), Err(NotAuthenticated::Missing));
        let two = [b"Basic QTpC".as_slice(), b"Basic QTpC"];
        assert_eq!(Given::of(two.into_iter()), Given::Several);
        assert!(matches!(Credentials::read(Given::Several), Err(NotAuthenticated::Malformed(_))));
    }

    #[test]
    fn a_password_is_not_shown() {
        let credentials = Credentials::read(Given::One(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")).unwrap();
        assert!(!format!("{credentials:?}").contains("sesame"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Credentials::read(Given::One(&bytes));
        }
    }
}
