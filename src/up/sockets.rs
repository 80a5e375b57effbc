//! Makes every socket of the plan: listeners for clients, one edge socket per receiving instance, one control socket each.
//!
//! Who may connect to an edge is decided here, by the kernel's own means: as root the directory and the socket belong to the
//! user of the *sender*, and nobody else can reach them. As an ordinary user everything belongs to that user.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;

use common::journal::JOURNAL;
use common::net::listen_fds::MOST;
use common::process::Process;
use common::sandbox::Identity;
use common::sys::socket::defer_accept;
use common::wiring::{CONTROL, Edge, control_socket};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use super::port_owner;
use super::runtime_dir::{Owner, RuntimeDir};
use crate::plan::{Listening, Plan};

/// Channels that may wait to be accepted: far more senders than there are.
const CHANNEL_BACKLOG: i32 = 128;

/// Every open socket, with whose it is.
#[derive(Debug)]
pub struct Sockets {
    /// Bound, and not listening before [`Self::listen`].
    listeners: Vec<(Listening, Rc<OwnedFd>)>,
    edges: Vec<(Edge, u32, Rc<OwnedFd>)>,
    controls: Vec<(Process, u32, Rc<OwnedFd>)>,
    /// For all http-filters.
    journal: Option<Rc<OwnedFd>>,
}

impl Sockets {
    /// Opens all of them and lets no client in; ports first, because they are what most often cannot be had.
    ///
    /// # Errors
    /// Every listener that cannot be opened and why; or the first directory or socket that cannot be made.
    pub fn open(plan: &Plan, home: &mut RuntimeDir) -> Result<Self, String> {
        let listeners = bind_listeners(&plan.listeners)?;
        let root = nix::unistd::geteuid().is_root();
        let controls = open_controls(plan, home)?;
        let mut edges = Vec::new();
        for edge in &plan.edges {
            let owner = root.then(|| Identity::of(edge.sender)).map(|it| Owner { uid: it.uid, gid: it.gid });
            edges.extend(open_edge(edge, plan, home, owner)?);
        }
        let sockets = Self { listeners, edges, controls, journal: make_journal(plan) };
        match plan.instances().find(|(process, instance)| sockets.of(*process, *instance).len() > MOST) {
            Some((process, _)) => {
                Err(format!("error: {process} would have more than {MOST} sockets: use fewer addresses"))
            }
            None => Ok(sockets),
        }
    }

    /// From here on clients get in.
    ///
    /// # Errors
    /// Every listener that cannot listen and why: somebody else does since we asked for the address.
    pub fn listen(&self) -> Result<(), String> {
        let mut errors = Vec::new();
        for (listener, socket) in &self.listeners {
            if let Err(error) = listen(socket, i32::try_from(listener.backlog).unwrap_or(i32::MAX)) {
                errors.push(explain(listener, error));
            } else if let Err(error) = defer_accept(socket, listener.defer_accept) {
                tracing::warn!(listener = listener.name, "TCP_DEFER_ACCEPT is not available: {error}");
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
    }

    /// What one instance inherits, by descriptor name. Instances of a process share its listeners.
    pub fn of(&self, process: Process, instance: u32) -> Vec<(String, Rc<OwnedFd>)> {
        let controls = self.controls.iter().filter(|(owner, number, _)| (*owner, *number) == (process, instance));
        let edges = self.edges.iter().filter(|(edge, number, _)| (edge.receiver, *number) == (process, instance));
        let listeners = self.listeners.iter().filter(|(listener, _)| listener.process == process);
        let journal = self.journal.iter().filter(|_| process == Process::HttpFilter);
        controls
            .map(|(_, _, socket)| (CONTROL.to_owned(), Rc::clone(socket)))
            .chain(edges.map(|(edge, _, socket)| (edge.descriptor_name(), Rc::clone(socket))))
            .chain(listeners.map(|(listener, socket)| (listener.descriptor_name.clone(), Rc::clone(socket))))
            .chain(journal.map(|file| (JOURNAL.to_owned(), Rc::clone(file))))
            .collect()
    }

    /// `name address` of every listener, with the port that was really bound.
    pub fn listening(&self) -> Vec<String> {
        let one = |(listener, socket): &(Listening, Rc<OwnedFd>)| {
            let bound = rustix::net::getsockname(socket).ok().and_then(|any| SocketAddr::try_from(any).ok());
            Listening { address: bound.unwrap_or(listener.address), ..listener.clone() }.to_string()
        };
        self.listeners.iter().map(one).collect()
    }
}

fn bind_listeners(wanted: &[Listening]) -> Result<Vec<(Listening, Rc<OwnedFd>)>, String> {
    let mut open = Vec::new();
    let mut errors = Vec::new();
    for listener in wanted {
        match bind_listener(listener.address, true) {
            Ok(socket) => open.push((listener.clone(), Rc::new(socket))),
            Err(error) => errors.push(explain(listener, error)),
        }
    }
    if errors.is_empty() { Ok(open) } else { Err(errors.join("\n")) }
}

/// A socket with this address that does not listen yet; with `only_v6` an IPv6 one leaves IPv4 alone. What is set on a listener is what its accepted sockets begin with: `TCP_NODELAY` among it.
pub fn bind_listener(address: SocketAddr, only_v6: bool) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, only_v6)?;
    }
    bind(&socket, &address)?;
    Ok(socket)
}

fn explain(listener: &Listening, error: Errno) -> String {
    let hint = match error {
        Errno::ADDRINUSE => match port_owner::of(listener.address.port()) {
            Some(owner) => format!(": {owner} listens there; stop it, or choose another address"),
            None => {
                ": another process listens there (`ss -ltnp` as root shows which); stop it, or choose another address"
                    .to_owned()
            }
        },
        Errno::ACCESS | Errno::PERM => ": ports below net.ipv4.ip_unprivileged_port_start (1024) need root".to_owned(),
        Errno::ADDRNOTAVAIL => ": no network interface of this machine has that address".to_owned(),
        Errno::AFNOSUPPORT => ": this machine has no IPv6".to_owned(),
        _ => String::new(),
    };
    format!("error: listener {listener} cannot be opened: {}{hint}", io::Error::from(error))
}

/// What the http-filters note, kept here because they die. Without it everything is served.
fn make_journal(plan: &Plan) -> Option<Rc<OwnedFd>> {
    let instances = plan.instances().filter(|(process, _)| *process == Process::HttpFilter).count();
    let journal = (instances > 0).then(|| common::journal::create(instances))?;
    match journal {
        Ok(file) => Some(Rc::new(file)),
        Err(error) => {
            tracing::warn!("requests that kill http-filter will not be known: no memory file: {error}");
            None
        }
    }
}

fn open_controls(plan: &Plan, home: &mut RuntimeDir) -> Result<Vec<(Process, u32, Rc<OwnedFd>)>, String> {
    let path = home.path().to_owned();
    home.make_folder(&path.join(CONTROL))?;
    let mut open = Vec::new();
    for (process, instance) in plan.instances() {
        let socket = open_channel(&control_socket(&path, process, instance), home, None)?;
        open.push((process, instance, Rc::new(socket)));
    }
    Ok(open)
}

/// The directory changes hands last: until then nobody but us can put anything into it.
fn open_edge(
    edge: &Edge,
    plan: &Plan,
    home: &mut RuntimeDir,
    owner: Option<Owner>,
) -> Result<Vec<(Edge, u32, Rc<OwnedFd>)>, String> {
    let folder = edge.directory(home.path());
    home.make_folder(&folder)?;
    let mut open: Vec<(Edge, u32, Rc<OwnedFd>)> = Vec::new();
    for (_, instance) in plan.instances().filter(|(process, _)| *process == edge.receiver) {
        let socket = match open.first() {
            Some((_, _, shared)) if edge.is_succession() => Rc::clone(shared),
            _ => Rc::new(open_channel(&edge.socket(home.path(), instance), home, owner)?),
        };
        open.push((*edge, instance, socket));
    }
    if let Some(owner) = owner {
        owner.give(&folder)?;
    }
    Ok(open)
}

/// The folder is still ours alone, so nobody can be quicker than the change of mode and owner.
fn open_channel(path: &Path, home: &mut RuntimeDir, owner: Option<Owner>) -> Result<OwnedFd, String> {
    let open = || {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(socket)
    };
    let socket = open().map_err(|error: Errno| match error {
        Errno::NAMETOOLONG => {
            format!("error: {}: the path of a socket may have 107 bytes: choose a shorter runtime_dir", path.display())
        }
        error => format!("error: cannot make the socket {}: {}", path.display(), io::Error::from(error)),
    })?;
    home.remember_file(path);
    let own = fs::Permissions::from_mode(0o600);
    fs::set_permissions(path, own).map_err(|error| format!("error: {}: {error}", path.display()))?;
    if let Some(owner) = owner {
        owner.give(path)?;
    }
    listen(&socket, CHANNEL_BACKLOG)
        .map_err(|error| format!("error: {}: {}", path.display(), io::Error::from(error)))?;
    Ok(socket)
}
