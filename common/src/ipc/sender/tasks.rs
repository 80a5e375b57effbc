//! The tasks behind a [`super::Sender`]: flush once per turn, stay connected, read replies, enforce deadlines.
//! They live as long as the runtime does, as an edge lives as long as its process.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::super::Message;
use super::super::channel::{Channel, ChannelError};
use super::super::codec::MAX_FRAME;
use super::super::directory::{Changes, Directory};
use super::link::{Link, Progress};
use super::{Shared, Undelivered};

const DEADLINE_CHECK: Duration = Duration::from_millis(25);
const FIRST_RETRY: Duration = Duration::from_millis(5);
const LAST_RETRY: Duration = Duration::from_secs(1);
const IDLE_CHECK: Duration = Duration::from_secs(3600);

/// Woken by the first parcel of a turn; runs behind the tasks that were ready with it, and so sees all of theirs too.
pub(super) async fn flush_each_turn<M: Message, R: Message>(shared: Rc<Shared<M, R>>) {
    loop {
        shared.work.notified().await;
        shared.flush();
    }
}

/// While anything waits or is unacknowledged: expires what waited too long, gives up instances that fell silent.
pub(super) async fn watch_deadlines<M: Message, R: Message>(shared: Rc<Shared<M, R>>) {
    loop {
        shared.watch.notified().await;
        tokio::time::sleep(DEADLINE_CHECK).await;
        expire(&shared);
        give_up_silent(&shared);
        shared.flush();
    }
}

fn expire<M: Message, R: Message>(shared: &Shared<M, R>) {
    loop {
        let mut waiting = shared.waiting.borrow_mut();
        match waiting.front() {
            Some(item) if item.queued.elapsed() > shared.limits.get().patience(item.returned) => {}
            _ => return,
        }
        let Some(item) = waiting.pop_front() else { return };
        drop(waiting); // the owner may hand something over from within
        shared.give_up(item, Undelivered::NoReceiver);
    }
}

fn give_up_silent<M: Message, R: Message>(shared: &Shared<M, R>) {
    let late = |sent: Instant| sent.elapsed() > shared.limits.get().answer_deadline;
    let links: Vec<_> = shared.links.borrow().iter().filter(|link| link.oldest().is_some_and(late)).cloned().collect();
    for link in links {
        // From here on it can acknowledge nothing more; what it said before this still counts.
        link.channel().hang_up();
        let mut buffer = vec![0; MAX_FRAME];
        let _ = take_replies(shared, &link, &mut buffer);
        shared.lose(&link, "it left parcels unacknowledged for too long");
    }
}

/// Follows the directory: connects to every instance, again and again with growing pauses while it does not answer.
pub(super) async fn keep_connected<M: Message, R: Message>(shared: Rc<Shared<M, R>>, directory: Directory) {
    let changes = match directory.watch() {
        Ok(changes) => changes,
        Err(error) => {
            shared.looked_around.set(true);
            return tracing::error!(edge = shared.edge, "cannot watch the edge directory: {error}");
        }
    };
    let mut pauses: HashMap<String, (Instant, Duration)> = HashMap::new();
    loop {
        let next = connect_missing(&shared, &directory, &mut pauses);
        shared.looked_around.set(true);
        wait(&shared, &changes, next).await;
    }
}

async fn wait<M, R>(shared: &Shared<M, R>, changes: &Changes, next: Option<Instant>) {
    let pause = next.map_or(IDLE_CHECK, |at| at.saturating_duration_since(Instant::now()));
    tokio::select! {
        result = changes.changed() => if let Err(error) = result {
            tracing::error!(edge = shared.edge, "watching the edge directory failed: {error}");
            tokio::time::sleep(LAST_RETRY).await;
        },
        () = shared.reconnect.notified() => {}
        () = tokio::time::sleep(pause) => {}
    }
}

/// Returns when to try again, if some instance could not be reached.
fn connect_missing<M: Message, R: Message>(
    shared: &Rc<Shared<M, R>>,
    directory: &Directory,
    pauses: &mut HashMap<String, (Instant, Duration)>,
) -> Option<Instant> {
    let instances = match directory.instances() {
        Ok(instances) => instances,
        Err(error) => {
            tracing::error!(edge = shared.edge, "cannot list the edge directory: {error}");
            return Some(Instant::now() + LAST_RETRY);
        }
    };
    pauses.retain(|name, _| instances.contains(name));
    let now = Instant::now();
    for name in instances {
        let connected = shared.links.borrow().iter().any(|link| link.instance() == name);
        if connected || pauses.get(&name).is_some_and(|(at, _)| *at > now) {
            continue;
        }
        let pause = pauses.get(&name).map_or(FIRST_RETRY, |(_, pause)| (*pause * 2).min(LAST_RETRY));
        match directory.connect(&name).and_then(Channel::new) {
            Ok(channel) => {
                // A listener outlives its process, so a connection proves nothing: forget the pause only when it serves.
                pauses.insert(name.clone(), (now + pause, pause));
                let link = Rc::new(Link::new(name, channel, shared.limits.get().before_ready));
                shared.links.borrow_mut().push(Rc::clone(&link));
                shared.work.notify_one(); // a channel that need not say first that it serves
                tokio::task::spawn_local(read_replies(Rc::clone(shared), link));
            }
            Err(error) => {
                tracing::debug!(edge = shared.edge, instance = name, "cannot connect: {error}");
                pauses.insert(name, (now + pause, pause));
            }
        }
    }
    for link in shared.links.borrow().iter().filter(|link| link.is_open()) {
        pauses.remove(link.instance());
    }
    pauses.values().map(|(at, _)| *at).filter(|at| *at > now).min()
}

async fn read_replies<M: Message, R: Message>(shared: Rc<Shared<M, R>>, link: Rc<Link<M, R>>) {
    let mut buffer = vec![0; MAX_FRAME];
    let why = loop {
        if let Err(error) = link.channel().readable().await {
            break ChannelError::Io(error);
        }
        if let Err(error) = take_replies(&shared, &link, &mut buffer) {
            break error;
        }
        if !shared.waiting.borrow().is_empty() {
            shared.work.notify_one();
        }
    };
    let known = shared.links.borrow().iter().any(|other| Rc::ptr_eq(other, &link));
    if known {
        shared.lose(&link, &why.to_string());
    }
}

fn take_replies<M: Message, R: Message>(
    shared: &Shared<M, R>,
    link: &Link<M, R>,
    buffer: &mut [u8],
) -> Result<(), ChannelError> {
    let mut progress = Progress { taken: 0, returned: VecDeque::new() };
    let result = link.read(buffer, &mut progress);
    shared.count(|counts| {
        counts.delivered += progress.taken;
        counts.redirected += u64::try_from(progress.returned.len()).unwrap_or(u64::MAX);
    });
    if !progress.returned.is_empty() {
        shared.requeue(progress.returned);
    }
    result
}
