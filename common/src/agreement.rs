//! A start in two steps, as a reload is (decision 0023). Whoever starts all processes together (`bulkhead up`) gives each of them one
//! end of a socketpair. *First* the process judges the configuration and opens its files, as strictly as `--check`, and says
//! whether it can serve, or what speaks against it. *Then* it waits for the word, and until the word no port listens and
//! nothing is served: the word is given when all have agreed.
//!
//! A process that is started by itself (by a unit, or again after it died) has nobody to agree with and serves at once.
//!
//! On the wire, once: a byte `A` and the digest of the text that was judged, or a byte `R` and complaints, then the end; back
//! comes one byte, or the end alone: somebody else has refused.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use crate::net::listen_fds::Inherited;

/// Its name among the inherited sockets.
pub const AGREEMENT: &str = "agreement";
/// Most bytes of a verdict; what is behind them is not shown.
pub const MAX_JUDGEMENT: usize = 1 << 20;
/// What the starter writes when all have agreed.
pub const WORD: &[u8] = b"!";

/// What a process says of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It can serve the text with this digest.
    Agreed(String),
    /// It cannot: complaints for whoever started it, a line or more each.
    Refused(String),
}

impl Judgement {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (first, text) = match self {
            Self::Agreed(digest) => (b'A', digest),
            Self::Refused(complaints) => (b'R', complaints),
        };
        let mut bytes = vec![first];
        bytes.extend(text.bytes().take(MAX_JUDGEMENT - 1));
        bytes
    }

    /// From all the bytes there were. `None`: the process ended before it came to a verdict.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (first, text) = bytes.split_first()?;
        let text = String::from_utf8_lossy(text).trim_end().to_owned();
        match first {
            b'A' => Some(Self::Agreed(text)),
            b'R' => Some(Self::Refused(text)),
            _ => None,
        }
    }
}

/// The process's end.
#[derive(Debug, Default)]
pub struct Agreement(Option<UnixStream>);

impl Agreement {
    /// With whoever started this process, if he asked for it.
    pub fn of(inherited: &mut Inherited) -> Self {
        Self(inherited.take_all(AGREEMENT).into_iter().next().map(|socket: OwnedFd| socket.into()))
    }

    /// Whether somebody waits for the verdict.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.0.is_some()
    }

    /// Says the verdict. Who cannot be told has gone away, which [`Self::word`] finds out.
    pub fn say(&self, verdict: &Judgement) {
        if let Some(mut starter) = self.0.as_ref() {
            let _ =
                io::Write::write_all(&mut starter, &verdict.encode()).and_then(|()| starter.shutdown(Shutdown::Write));
        }
    }

    /// Waits until all have agreed. It needs nothing but `read` and `close`, so the sandbox may be closed.
    ///
    /// # Errors
    /// They have not, or the starter is gone.
    pub fn word(self) -> io::Result<()> {
        let Some(starter) = self.0 else { return Ok(()) };
        let mut byte = [0];
        loop {
            match rustix::io::read(&starter, &mut byte) {
                Ok(0) => return Err(io::Error::other("the start was given up")),
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_verdict_comes_back_as_it_was_said() {
        for verdict in [Judgement::Agreed("0123".into()), Judgement::Refused("error: a\nerror: é".into())] {
            assert_eq!(Judgement::decode(&verdict.encode()), Some(verdict));
        }
        for nothing in [&b""[..], b"x", b"\0A"] {
            assert_eq!(Judgement::decode(nothing), None);
        }
        let endless = Judgement::Refused("é".repeat(MAX_JUDGEMENT));
        assert_eq!(endless.encode().len(), MAX_JUDGEMENT);
        assert!(Judgement::decode(&endless.encode()).is_some());
    }

    #[test]
    fn nothing_is_served_before_the_word() {
        let (mut starter, own) = UnixStream::pair().unwrap();
        let agreement = Agreement(Some(own));
        agreement.say(&Judgement::Agreed("12".into()));
        let mut said = Vec::new();
        starter.read_to_end(&mut said).unwrap();
        assert_eq!(Judgement::decode(&said), Some(Judgement::Agreed("12".into())));
        starter.write_all(WORD).unwrap();
        agreement.word().unwrap();

        let (starter, own) = UnixStream::pair().unwrap();
        drop(starter);
        let agreement = Agreement(Some(own));
        agreement.say(&Judgement::Agreed("12".into()));
        assert!(agreement.word().is_err());
        assert!(Agreement::default().word().is_ok(), "started by itself");
    }
}
