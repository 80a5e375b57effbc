//! The one table of names. Folder = package = binary = log tag = configuration section = systemd unit = Unix user: all of
//! them are spelled here and nowhere else, so that a newcomer who has learned one name has learned all of them.
//!
//! This file must stay data: it opens nothing and asks the system nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// First of the numeric user and group ids used where the named users do not exist (a demo run as root, a container
/// image without `sysusers.d`). The range 60578–61183 is assigned to nobody: it lies between the ids systemd gives to
/// homes and containers and those of its dynamic users, and above every distribution's human users.
pub const FALLBACK_ID_BASE: u32 = 61_000;

/// The five processes that carry traffic. The front door (`bulkhead`) is not among them: it starts them and asks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Process {
    /// Accepts, peeks at the ClientHello, hands the socket on.
    SniRouter,
    /// The only process that connects outwards; moves bytes it never looks at.
    PassthroughRelay,
    /// Holds the private keys and shakes hands; has no network of its own.
    TlsTerminator,
    /// HTTP behind termination: the pipeline and the pools.
    HttpFilter,
    /// CONNECT and absolute-form for clients going out.
    ForwardProxy,
}

impl Process {
    /// Every process, in the order in which a connection can meet them.
    pub const ALL: [Self; 5] =
        [Self::SniRouter, Self::PassthroughRelay, Self::TlsTerminator, Self::HttpFilter, Self::ForwardProxy];

    /// The name: binary, package, folder, log tag, configuration section.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SniRouter => "sni-router",
            Self::PassthroughRelay => "passthrough-relay",
            Self::TlsTerminator => "tls-terminator",
            Self::HttpFilter => "http-filter",
            Self::ForwardProxy => "forward-proxy",
        }
    }

    /// The Unix user and group, and the name of the systemd unit without its suffix.
    #[must_use]
    pub const fn user(self) -> &'static str {
        match self {
            Self::SniRouter => "bulkhead-sni-router",
            Self::PassthroughRelay => "bulkhead-passthrough-relay",
            Self::TlsTerminator => "bulkhead-tls-terminator",
            Self::HttpFilter => "bulkhead-http-filter",
            Self::ForwardProxy => "bulkhead-forward-proxy",
        }
    }

    /// User and group id to take where [`Self::user`] does not exist: [`FALLBACK_ID_BASE`] plus the place in the table,
    /// so that even then no two processes share an identity.
    #[must_use]
    pub const fn fallback_id(self) -> u32 {
        FALLBACK_ID_BASE
            + match self {
                Self::SniRouter => 0,
                Self::PassthroughRelay => 1,
                Self::TlsTerminator => 2,
                Self::HttpFilter => 3,
                Self::ForwardProxy => 4,
            }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is none of the five.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a process of bulkhead; there are sni-router, passthrough-relay, tls-terminator, http-filter and forward-proxy"
)]
pub struct UnknownProcess(pub String);

impl FromStr for Process {
    type Err = UnknownProcess;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|process| process.name() == name).ok_or_else(|| UnknownProcess(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn every_name_is_read_back_and_no_two_are_alike() {
        for process in Process::ALL {
            assert_eq!(process.name().parse::<Process>(), Ok(process));
            assert_eq!(process.user(), format!("bulkhead-{process}"));
            assert!(process.user().len() < 32, "{} is longer than a Linux user name may be", process.user());
            let same =
                |other: &&Process| other.name() == process.name() || other.fallback_id() == process.fallback_id();
            assert_eq!(Process::ALL.iter().filter(same).count(), 1);
        }
    }

    #[test]
    fn the_serde_spelling_is_the_name() {
        for process in Process::ALL {
            assert_eq!(serde_json::to_string(&process).unwrap(), format!("\"{}\"", process.name()));
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let error = "SNI-router".parse::<Process>().unwrap_err();
        assert!(error.to_string().contains("SNI-router") && error.to_string().contains("http-filter"), "{error}");
    }
}
