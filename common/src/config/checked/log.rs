//! `[log]`: what is written to standard error.

use std::time::Duration;

/// `[log]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Least severe level that is written.
    pub level: LogLevel,
    /// Form of a line.
    pub format: LogFormat,
    /// Whether one line per request or connection is written.
    pub access: bool,
    /// Of so many successful requests one is written, 1..=1 000 000.
    pub sample: u32,
    /// A request that took so long is always written; `None`: none is slow (`slow = 0`).
    pub slow: Option<Duration>,
    /// What a request's line shows beside the fixed fields.
    pub fields: AccessFields,
    /// How long lines gather; zero: until the end of the event loop's turn.
    pub gather: Duration,
    /// Bytes of lines that wait at most.
    pub buffer: usize,
}

impl Log {
    /// Whether lines of requests and connections are written: they are of level info.
    pub fn writes_access(&self) -> bool {
        self.access && !matches!(self.level, LogLevel::Error | LogLevel::Warn)
    }
}

/// `log.fields`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessFields {
    /// The query, as the client wrote it.
    pub query: bool,
    /// `User-Agent`
    pub user_agent: bool,
    /// `Referer`
    pub referer: bool,
}

/// `log.level`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// `log.format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum LogFormat {
    Text,
    Json,
}
