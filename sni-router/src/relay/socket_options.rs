//! The options every upstream socket gets, in one place.
//!
//! Each option is a system call per connection, so only those that change behaviour are set. `TCP_NODELAY`, `SO_KEEPALIVE` and
//! `TCP_USER_TIMEOUT` are inherited by accepted sockets from their listener; clients' sockets therefore need no call here.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// What to set. The default is what a proxy on the internet wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// `TCP_NODELAY`: we forward what we got at once; whoever wants batching has done it already.
    pub nodelay: bool,
    /// `TCP_USER_TIMEOUT`: how long sent bytes may stay unacknowledged before the kernel gives the peer up. `None` leaves the kernel's (about 15 minutes).
    pub user_timeout: Option<Duration>,
    /// `TCP_KEEPIDLE`: probe a silent peer after this long. With `user_timeout` set the kernel also uses that one to decide when probing has failed.
    pub keepalive: Option<Duration>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { nodelay: true, user_timeout: Some(Duration::from_secs(60)), keepalive: Some(Duration::from_secs(60)) }
    }
}

impl SocketOptions {
    /// Sets the options on any TCP socket, connected or not yet.
    ///
    /// # Errors
    /// The first option that the kernel refuses (which means that this is no TCP socket, or that it is dead already).
    pub fn apply<S: std::os::fd::AsFd>(&self, socket: &S) -> io::Result<()> {
        let socket = SockRef::from(socket);
        if self.nodelay {
            socket.set_tcp_nodelay(true)?;
        }
        if self.user_timeout.is_some() {
            socket.set_tcp_user_timeout(self.user_timeout)?;
        }
        if let Some(idle) = self.keepalive {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))?;
        }
        Ok(())
    }
}
