//! The port of `/metrics`: a process of its own in a sandbox of its own. It owns one listening socket, may reach the control
//! sockets and nothing else. It keeps the user it was started as, because the processes answer that user only. Under the units
//! it is a user of its own, who reaches the sockets for observers: it can ask, and order nothing.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use common::config::{Config, SandboxMode};
use common::ipc::directory::{Directory, MAX_INSTANCES};
use common::net::listen_fds::Inherited;
use common::notify::Notifier;
use common::observe::{log, output};
use common::process::Process;
use common::sandbox::{self, Mode, Options, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use super::{gather, page};
use crate::ask::{Crew, Target, targets_in};
use crate::command_line::{MetricsOrder, Place};
use crate::plan::Plan;

/// Descriptor name of the inherited listener.
pub const DESCRIPTOR: &str = "metrics";
/// How long a scraper may take to ask and to read.
const DEADLINE: Duration = Duration::from_secs(10);
/// All instances of all processes, and the launcher.
const MOST_PROCESSES: usize = MAX_INSTANCES * Process::ALL.len() + 1;
/// Scrapers at once where no configuration says it.
const CONNECTIONS: usize = 16;

/// Nothing but what every process of bulkhead has. The name is for messages of the sandbox only: this is none of the five.
const POLICY: Policy = Policy::strict(Process::SniRouter);

/// Who is to be asked: looked up anew for every page, because instances come and go.
struct House {
    folder: PathBuf,
    directory: Directory,
    /// By the configuration: if they are not there, the page says so.
    needed: Vec<(Process, u32)>,
}

impl House {
    fn targets(&self) -> Vec<Target> {
        let found = self.directory.first_instances(MOST_PROCESSES).unwrap_or_default();
        targets_in(&self.folder, &self.needed, found.into_iter().map(|name| format!("{name}.sock")))
    }
}

/// Serves until told to stop.
///
/// # Errors
/// Why it cannot.
pub fn run(order: &MetricsOrder) -> Result<(), String> {
    let config = match &order.place {
        Place::Config(file) => Config::load(file).map_err(|errors| errors.to_string())?.0,
        Place::RuntimeDir(_) => Config::default(),
    };
    let folder = Crew::to_observe(&order.place)?.folder;
    log::start("metrics", &config.log);
    let listener = listener(order.listen.or(config.metrics.listen))?;
    output::open();
    let address = listener.local_addr().map_err(|error| format!("error: metrics: {error}"))?;
    let directory = Directory::open(&folder).map_err(|error| format!("error: metrics: {error}"))?;
    let house = House { folder, directory, needed: Plan::of(&config).processes };
    let notifier = Notifier::from_environment();
    let summary = close_sandbox(&config, &listener, &house)?;
    let most = if config.metrics.listen.is_some() { config.metrics.max_connections } else { CONNECTIONS };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|error| format!("error: cannot start an event loop: {error}"))?;
    let served = runtime.block_on(async {
        tokio::task::spawn_local(output::tend());
        tokio::task::spawn_local(async move {
            notifier.ready(&summary);
            let mut ticks = tokio::time::interval(notifier.pace());
            loop {
                ticks.tick().await;
                notifier.alive();
            }
        });
        tracing::info!("serving http://{address}/metrics");
        serve(listener, Rc::new(house), most).await
    });
    output::finish();
    served.map_err(|error| format!("error: metrics: {error}"))
}

/// The inherited socket, or one of our own.
fn listener(address: Option<SocketAddr>) -> Result<StdListener, String> {
    if let Ok(mut inherited) = Inherited::from_environment()
        && let Some(socket) = inherited.take_all(DESCRIPTOR).into_iter().next()
    {
        return Ok(StdListener::from(socket));
    }
    let address =
        address.ok_or("error: say where: --listen 127.0.0.1:9100, or [metrics] listen in the configuration")?;
    StdListener::bind(address).map_err(|error| format!("error: metrics: {address} cannot be opened: {error}"))
}

fn close_sandbox(config: &Config, listener: &StdListener, house: &House) -> Result<String, String> {
    let mode = match config.bulkhead.sandbox {
        SandboxMode::BestEffort => Mode::BestEffort,
        SandboxMode::Strict => Mode::Strict,
    };
    let folder = house.directory.folder().map_err(|error| format!("error: {}: {error}", house.folder.display()))?;
    common::sys::socket::with_open_descriptors(|keep| {
        let edges = [folder.as_fd()];
        let kept: Vec<_> = keep.iter().copied().chain([listener.as_fd()]).collect();
        let options = Options { mode, keep: &kept, edges: &edges, ..Options::default() };
        sandbox::close(&POLICY, &options)
    })
    .map(|report| {
        if !report.holds() {
            tracing::warn!("sandbox closed with gaps: {}", report.summary());
        }
        report.summary()
    })
    .map_err(|error| format!("error: metrics: {error}"))
}

async fn serve(listener: StdListener, house: Rc<House>, most: usize) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let places = Rc::new(Semaphore::new(most));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = term.recv() => return Ok(()),
            _ = int.recv() => return Ok(()),
        };
        match accepted {
            Ok((stream, _)) => {
                // Who finds no place is closed: a scraper comes again.
                let (places, house) = (Rc::clone(&places), Rc::clone(&house));
                tokio::task::spawn_local(async move {
                    let Ok(_place) = places.try_acquire() else { return };
                    let _ = tokio::time::timeout(DEADLINE, talk(stream, &house)).await;
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn talk(mut stream: TcpStream, house: &House) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    while !page::is_whole(&head) {
        if head.len() >= page::MAX_HEAD || stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    let asked = page::judge(&head);
    let text = if matches!(asked, page::Asked::Page { .. }) { gather(&house.targets()).await.0 } else { String::new() };
    stream.write_all(&page::answer(&asked, &text)).await?;
    stream.shutdown().await?;
    // What may still come is read, so that closing does not reset what we have written.
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
