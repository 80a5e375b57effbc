//! Makes every socket of the plan: listeners for clients, one edge socket per receiving instance, one control socket each.
//!
//! Who may connect to an edge is decided here, by the kernel's own means: as root the directory and the socket belong to the
//! user of the *sender*, and nobody else can reach them. As an ordinary user everything belongs to that user.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;

use common::ipc::directory::MAX_INSTANCES;
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
/// Name of a socket that is being made.
const UNFINISHED: &str = "new.sock";

/// Every open socket, with whose it is.
#[derive(Debug)]
pub struct Sockets {
    /// Bound, and not listening before [`Self::listen`].
    listeners: Vec<(Listening, Rc<OwnedFd>)>,
    edges: Vec<Edge>,
    letter_boxes: Vec<(Edge, Rc<OwnedFd>)>,
    instances: BTreeMap<(Process, u32), Own>,
    /// Of all http-filters: what they note lives here, because they die.
    journal: Option<Rc<OwnedFd>>,
}

/// What belongs to one instance alone.
#[derive(Debug)]
struct Own {
    control: Rc<OwnedFd>,
    edges: Vec<(Edge, Rc<OwnedFd>)>,
}

impl Sockets {
    /// Opens all of them and lets no client in; ports first, because they are what most often cannot be had.
    ///
    /// # Errors
    /// Every listener that cannot be opened and why; or the first directory or socket that cannot be made.
    pub fn open(plan: &Plan, home: &mut RuntimeDir) -> Result<Self, String> {
        let listeners = bind_listeners(&plan.listeners)?;
        let (instances, letter_boxes) = (BTreeMap::new(), Vec::new());
        let mut sockets =
            Self { listeners, edges: plan.edges.clone(), letter_boxes, instances, journal: make_journal(plan) };
        let path = home.path().to_owned();
        home.make_folder(&path.join(CONTROL))?;
        for edge in &plan.edges {
            home.make_folder(&edge.directory(&path))?;
            if edge.is_succession() {
                let socket = open_channel(&edge.socket(&path, 1), home, sender_of(edge))?;
                sockets.letter_boxes.push((*edge, Rc::new(socket)));
            }
        }
        for (process, instance) in plan.instances() {
            sockets.open_instance(process, instance, home)?;
        }
        // The folders change hands last: until then nobody but us can put anything into them.
        for edge in &plan.edges {
            sender_of(edge).map_or(Ok(()), |owner| owner.give(&edge.directory(&path)))?;
        }
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

    /// Opens what one more instance needs for itself.
    ///
    /// # Errors
    /// The first socket that cannot be made; the others of it are gone again.
    pub fn open_instance(&mut self, process: Process, instance: u32, home: &mut RuntimeDir) -> Result<(), String> {
        let path = home.path().to_owned();
        let control = Rc::new(open_channel(&control_socket(&path, process, instance), home, None)?);
        self.instances.insert((process, instance), Own { control, edges: Vec::new() });
        let own: Vec<Edge> =
            self.edges.iter().filter(|edge| edge.receiver == process && !edge.is_succession()).copied().collect();
        for edge in own {
            match open_channel(&edge.socket(&path, instance), home, sender_of(&edge)) {
                Ok(socket) => {
                    let socket = Rc::new(socket);
                    let known = self.instances.get_mut(&(process, instance));
                    known.into_iter().for_each(|own| own.edges.push((edge, Rc::clone(&socket))));
                }
                Err(error) => {
                    self.close(process, instance, home);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Takes the edges of an instance away, so that senders look for another one; its control socket stays.
    pub fn close_edges(&mut self, process: Process, instance: u32, home: &mut RuntimeDir) {
        let path = home.path().to_owned();
        let Some(own) = self.instances.get_mut(&(process, instance)) else { return };
        own.edges.drain(..).for_each(|(edge, _)| home.remove_file(&edge.socket(&path, instance)));
    }

    /// Takes everything of an instance away.
    pub fn close(&mut self, process: Process, instance: u32, home: &mut RuntimeDir) {
        self.close_edges(process, instance, home);
        let path = home.path().to_owned();
        if self.instances.remove(&(process, instance)).is_some() {
            home.remove_file(&control_socket(&path, process, instance));
        }
    }

    /// Closes our copies of everything: from now on a listener closes with the last process that has it.
    pub fn let_go(&mut self) {
        self.listeners.clear();
        self.letter_boxes.clear();
        self.instances.clear();
        self.journal = None;
    }

    /// What one instance inherits, by descriptor name. Instances of a process share its listeners and its letter box.
    pub fn of(&self, process: Process, instance: u32) -> Vec<(String, Rc<OwnedFd>)> {
        let own = self.instances.get(&(process, instance));
        let control = own.map(|own| (CONTROL.to_owned(), Rc::clone(&own.control)));
        let edges = own.into_iter().flat_map(|own| &own.edges);
        let letter_boxes = self.letter_boxes.iter().filter(|(edge, _)| edge.receiver == process);
        let listeners = self.listeners.iter().filter(|(listener, _)| listener.process == process);
        let journal = self.journal.iter().filter(|_| process == Process::HttpFilter);
        control
            .into_iter()
            .chain(edges.chain(letter_boxes).map(|(edge, socket)| (edge.descriptor_name(), Rc::clone(socket))))
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

/// Without it everything is served. It has a part for each instance that may come later: memory is taken only for those that note something.
fn make_journal(plan: &Plan) -> Option<Rc<OwnedFd>> {
    let needed = plan.instances().any(|(process, _)| process == Process::HttpFilter);
    match needed.then(|| common::journal::create(MAX_INSTANCES))? {
        Ok(file) => Some(Rc::new(file)),
        Err(error) => {
            tracing::warn!("requests that kill http-filter will not be known: no memory file: {error}");
            None
        }
    }
}

/// As root, an edge belongs to the user of its sender.
fn sender_of(edge: &Edge) -> Option<Owner> {
    let identity = nix::unistd::geteuid().is_root().then(|| Identity::of(edge.sender))?;
    Some(Owner { uid: identity.uid, gid: identity.gid })
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

/// Made in the folder of the control sockets, which is ours alone, and moved to its place when it is finished: whoever owns that
/// place can be no quicker than the change of mode and owner, and senders that watch it meet a socket that listens.
pub fn open_channel(path: &Path, home: &mut RuntimeDir, owner: Option<Owner>) -> Result<OwnedFd, String> {
    let unfinished = home.path().join(CONTROL).join(UNFINISHED);
    let open = || {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        SocketAddrUnix::new(path)?; // who connects must be able to name it
        bind(&socket, &SocketAddrUnix::new(&unfinished)?)?;
        Ok(socket)
    };
    let failed = |error: io::Error| format!("error: cannot make the socket {}: {error}", path.display());
    let socket = open().map_err(|error: Errno| match error {
        Errno::NAMETOOLONG => {
            format!("error: {}: the path of a socket may have 107 bytes: choose a shorter runtime_dir", path.display())
        }
        error => failed(error.into()),
    })?;
    let finish = || {
        fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        owner.map_or(Ok(()), |owner| owner.give(&unfinished))?;
        listen(&socket, CHANNEL_BACKLOG).map_err(|error| failed(error.into()))?;
        fs::rename(&unfinished, path).map_err(failed)
    };
    finish().inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
    home.remember_file(path);
    Ok(socket)
}
