//! How handshakes fail and connections end: the words for the log, the figure that counts them.

use common::observe::metrics::Figure;
use rustls::{CertificateError, Error};

use crate::metrics::TerminatorFigures;

/// How a finished handshake's connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The client said goodbye first, and http-filter finished after it.
    Client,
    /// http-filter finished; the client was told properly.
    Filter,
    /// The client's end came without `close_notify`. What it had sent may be cut off, so http-filter is not told that it is
    /// whole: its stream just breaks, and HTTP's own framing (RFC 9112 §8) tells whether a request was complete.
    Truncated,
    /// The client's side broke: reset, or nothing acknowledged for `TCP_USER_TIMEOUT`.
    Reset,
    /// http-filter died or dropped the stream with bytes unread.
    FilterGone,
    /// The client broke the protocol; it was told by an alert.
    Faulty,
    /// Nothing moved for `idle_deadline`.
    Idle,
    /// This process stops.
    Stopping,
}

impl Ending {
    /// One word for the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Filter => "filter",
            Self::Truncated => "truncated",
            Self::Reset => "reset",
            Self::FilterGone => "filter-gone",
            Self::Faulty => "faulty",
            Self::Idle => "idle",
            Self::Stopping => "stopping",
        }
    }

    /// The figure that counts it.
    pub fn figure(self, figures: &TerminatorFigures) -> &Figure {
        match self {
            Self::Client => &figures.ended_by_client,
            Self::Filter => &figures.ended_by_filter,
            Self::Truncated => &figures.ended_truncated,
            Self::Reset => &figures.ended_reset,
            Self::FilterGone => &figures.ended_filter_gone,
            Self::Faulty => &figures.ended_faulty,
            Self::Idle => &figures.ended_idle,
            Self::Stopping => &figures.ended_stopping,
        }
    }
}

/// Why a handshake came to nothing. Clients cause these at will, so they are counted and logged at level debug only.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The client hung up.
    #[error("the client left during the handshake")]
    Abandoned,
    /// The client's socket broke.
    #[error("the client's connection broke: {0}")]
    Broken(#[from] std::io::Error),
    /// More bytes of unfinished handshake than any client needs.
    #[error("the client's handshake is too long")]
    TooLong,
    /// rustls says what.
    #[error("{0}")]
    Tls(Error),
    /// Its network has had its share of signatures.
    #[error("more full handshakes than full_handshake_rate allows its network")]
    TooMany,
    /// The time is over.
    #[error("the handshake was not finished within handshake_deadline")]
    Late,
}

impl Failure {
    /// The figure that counts it.
    pub fn figure<'f>(&self, figures: &'f TerminatorFigures) -> &'f Figure {
        match self {
            Self::Abandoned | Self::Broken(_) => &figures.handshakes_abandoned,
            Self::Late => &figures.handshakes_late,
            Self::TooMany => &figures.refused_rate,
            Self::Tls(Error::InvalidCertificate(error)) => of_certificate(error, figures),
            Self::Tls(Error::AlertReceived(_)) => &figures.handshakes_rejected,
            Self::Tls(Error::PeerIncompatible(_) | Error::NoApplicationProtocol) => &figures.handshakes_incompatible,
            Self::Tls(Error::NoCertificatesPresented) => &figures.handshakes_uncertified,
            Self::Tls(_) | Self::TooLong => &figures.handshakes_faulty,
        }
    }
}

fn of_certificate<'f>(error: &CertificateError, figures: &'f TerminatorFigures) -> &'f Figure {
    use CertificateError as E;
    match error {
        E::Revoked => &figures.refused_revoked,
        E::UnknownRevocationStatus | E::ExpiredRevocationList | E::ExpiredRevocationListContext { .. } => {
            &figures.refused_unknown_revocation
        }
        // Nothing but `allowed_names` says this.
        E::ApplicationVerificationFailure => &figures.refused_names,
        _ => &figures.handshakes_uncertified,
    }
}
