//! A tunnel between two turns, as a message with descriptors and back: for a process that finishes and the one that goes on.
//!
//! On the way both sockets are set to end with a reset: should nobody ever take them up again, their peers must not take a cut-off stream
//! for a whole one.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use common::ipc::messages::relay_to_successor as message;
use rustix::net::sockopt::set_socket_linger;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{Flow, LAST_WORDS, Over, Side, Tunnel};
use crate::relay::pipes::PipePool;

impl Tunnel {
    /// Ends here and goes on elsewhere.
    ///
    /// # Errors
    /// The event loop does not give a socket back; both are reset.
    pub fn stand_still(self, parties: message::Parties) -> io::Result<(message::Tunnel, Vec<OwnedFd>)> {
        let age = |at: Option<Instant>| at.map(|at| at.elapsed());
        let mut descriptors = vec![release(self.a)?, release(self.b)?];
        let to_server = message::Direction {
            sent: age(self.last_a_to_b),
            over: self.a_to_b_over.as_ref().map(Over::told),
            ..self.a_to_b.stand_still(&mut descriptors)
        };
        let to_client = message::Direction {
            sent: age(self.last_b_to_a),
            over: self.b_to_a_over.as_ref().map(Over::told),
            ..self.b_to_a.stand_still(&mut descriptors)
        };
        let tunnel = message::Tunnel {
            parties,
            age: self.began.elapsed(),
            quiet: self.last_activity.elapsed(),
            to_server,
            to_client,
            finished_first: self.finished_first.map(|side| match side {
                Side::A => message::Side::Client,
                Side::B => message::Side::Server,
            }),
            last_words: u32::try_from(self.last_words).unwrap_or(u32::MAX),
        };
        Ok((tunnel, descriptors))
    }

    /// The same tunnel in another process. Descriptors are in the order of [`message::HandedOn::Tunnel`].
    ///
    /// # Errors
    /// The descriptors are not what they should be.
    pub fn go_on(
        tunnel: message::Tunnel,
        descriptors: Vec<OwnedFd>,
        pipes: &PipePool,
    ) -> io::Result<(Self, message::Parties)> {
        let mut descriptors = descriptors.into_iter();
        let (a, b) = (take_up(descriptors.next())?, take_up(descriptors.next())?);
        let now = Instant::now();
        let ago = |age: Duration| now.checked_sub(age).unwrap_or(now);
        let message::Tunnel { parties, age, quiet, to_server, to_client, finished_first, last_words } = tunnel;
        let (sent_to_server, sent_to_client) = (to_server.sent.map(ago), to_client.sent.map(ago));
        let (a_to_b_over, b_to_a_over) = (to_server.over.map(Over::heard), to_client.over.map(Over::heard));
        let tunnel = Self {
            a,
            b,
            a_to_b: Flow::go_on(to_server, &mut descriptors, pipes)?,
            b_to_a: Flow::go_on(to_client, &mut descriptors, pipes)?,
            a_to_b_over,
            b_to_a_over,
            finished_first: finished_first.map(|side| match side {
                message::Side::Client => Side::A,
                message::Side::Server => Side::B,
            }),
            began: ago(age),
            last_activity: ago(quiet),
            last_a_to_b: sent_to_server,
            last_b_to_a: sent_to_client,
            last_words: usize::try_from(last_words).unwrap_or(usize::MAX).min(LAST_WORDS),
            fresh: false,
            half_closed: false,
            abort: true,
        };
        Ok((tunnel, parties))
    }
}

impl Over {
    fn told(&self) -> message::Over {
        match self {
            Self::Ended => message::Over::Ended,
            Self::EndedSilently => message::Over::EndedSilently,
            Self::NotTaken(error) => message::Over::NotTaken(error.raw_os_error().unwrap_or(BROKEN_PIPE)),
        }
    }

    fn heard(over: message::Over) -> Self {
        match over {
            message::Over::Ended => Self::Ended,
            message::Over::EndedSilently => Self::EndedSilently,
            message::Over::NotTaken(number) => Self::NotTaken(io::Error::from_raw_os_error(number)),
        }
    }
}

/// For an error that the kernel did not number.
const BROKEN_PIPE: i32 = rustix::io::Errno::PIPE.raw_os_error();

fn release(stream: TcpStream) -> io::Result<OwnedFd> {
    set_socket_linger(&stream, Some(Duration::ZERO))?;
    Ok(stream.into_std()?.into())
}

fn take_up(socket: Option<OwnedFd>) -> io::Result<TcpStream> {
    let stream = TcpStream::from_std(socket.ok_or(io::ErrorKind::UnexpectedEof)?.into())?;
    set_socket_linger(&stream, None)?;
    Ok(stream)
}
