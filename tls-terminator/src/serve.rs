//! The process as a whole: what it opens before the sandbox closes, what runs afterwards, how it ends.

use std::cell::RefCell;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use common::config::{Config, Files, Terminator};
use common::ipc::directory::Directory;
use common::ipc::peer::PeerCheck;
use common::ipc::receiver::Receiver;
use common::ipc::sender::{Parcel, Sender, SenderLimits, Undelivered};
use common::startup::{Depth, HasFigures, Opening, StartError};
use common::wiring::{ROUTER_TO_TERMINATOR, TERMINATOR_TO_FILTER};

use crate::admission::{Admission, Limits};
use crate::certificates::store::Store;
use crate::certificates::{self, desk};
use crate::handshake_rate::Guard;
use crate::last_good::Broken;
use crate::metrics::TerminatorFigures;
use crate::policy::{Material, from_disk};
use crate::pulse::Clock;
use crate::receive::{Generation, World};
use crate::seldom::Seldom;
use crate::settings::Settings;
use crate::tls_config::{Sites, provider};
use crate::turn_away::Complaints;
use crate::unserved;

/// After the deadline, how long their last words may take.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// The same complaint at most so often.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(10);
/// Freed memory that the allocator keeps instead of giving it back to the kernel and fetching it again, per burst of records.
const WARM_MEMORY: usize = 2 << 20;

/// What is open when the sandbox closes.
#[derive(Debug)]
pub struct Opened {
    /// The configuration of this process.
    pub settings: Settings,
    /// Certificates and keys.
    pub sites: Sites,
    /// Where sni-router connects.
    pub from_router: OwnedFd,
    /// Where the instances of http-filter listen.
    pub filters: Directory,
    /// The figures.
    pub figures: TerminatorFigures,
}

impl HasFigures<TerminatorFigures> for Opened {
    fn figures(&self) -> TerminatorFigures {
        self.figures.clone()
    }
}

/// Reads the certificates and takes the sockets.
pub fn open(opening: &mut Opening) -> Result<Opened, StartError> {
    let settings = Settings::of(&opening.config);
    let figures = TerminatorFigures::default();
    let sites = load_sites(&settings, &figures, opening.strict)?;
    Ok(Opened {
        sites,
        from_router: opening.edge_from(&ROUTER_TO_TERMINATOR)?,
        filters: opening.edge_to(&TERMINATOR_TO_FILTER)?,
        settings,
        figures,
    })
}

/// Certificates and keys of all sites. A pair that cannot be served is the trouble of its own clients ([`certificates`]); where
/// somebody waits for a verdict (`strict`) it is refused, as by [`check`].
///
/// # Errors
/// Everything that is wrong, when something else is or when nothing at all can be served.
pub fn load_sites(settings: &Settings, figures: &TerminatorFigures, strict: bool) -> Result<Sites, StartError> {
    let mut loaded = certificates::load(order(settings, None, certificates::NONE), &provider());
    let material = Material::read(settings, &from_disk);
    let broken = std::mem::take(&mut loaded.broken);
    let mut warnings = [std::mem::take(&mut loaded.warnings), material.warnings.clone()].concat();
    let put_up_with = if strict { Broken::Refused } else { Broken::LeftOut };
    let sites = match Sites::new(settings, loaded, material, put_up_with, None) {
        Ok((sites, more)) => {
            warnings.extend(more);
            sites
        }
        Err(errors) => return Err(StartError::Refused([errors, broken].concat())),
    };
    let nothing = (0..settings.sites.len()).all(|site| !sites.serves(site)) && !settings.sites.is_empty();
    if nothing || (strict && !broken.is_empty()) {
        return Err(StartError::Refused(if nothing { [broken, warnings].concat() } else { broken }));
    }
    for text in &broken {
        tracing::error!("{text}; it is not served, its clients are refused until its files are good");
    }
    tell(&warnings, figures);
    desk::count(sites.store(), figures, certificates::now(), certificates::warn_before(&settings.terminator), true);
    Ok(sites)
}

fn order<'a>(settings: &'a Settings, so_far: Option<&'a Store>, parse: u32) -> certificates::Order<'a> {
    certificates::Order { sites: &settings.sites, terminator: &settings.terminator, so_far, parse }
}

fn tell(warnings: &[String], figures: &TerminatorFigures) {
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    figures.certificate_warnings.set(u64::try_from(warnings.len()).unwrap_or(u64::MAX));
}

/// `--check`: everything that [`open`] would do without sockets.
pub fn check(config: &Config, depth: Depth) -> Result<(), Vec<String>> {
    if depth == Depth::Start {
        return Ok(()); // `load_sites` judges the same things by the same code
    }
    let settings = Settings::of(config);
    let parse = if depth == Depth::Whole { certificates::ALL } else { certificates::NONE };
    let mut loaded = certificates::load(order(&settings, None, parse), &provider());
    let material = Material::read(&settings, &from_disk);
    let warnings = loaded.warnings.iter().chain(&material.warnings);
    warnings.for_each(|warning| common::complain::complain(format_args!("warning: {warning}")));
    let broken = std::mem::take(&mut loaded.broken);
    match Sites::new(&settings, loaded, material, Broken::Refused, None) {
        Ok(_) if broken.is_empty() => Ok(()),
        made => Err([made.err().unwrap_or_default(), broken].concat()),
    }
}

/// Starts the way to http-filter and the clock; inside the runtime. The second value is where clients come from.
pub fn start(opened: Opened) -> (Rc<World>, OwnedFd) {
    let Opened { settings, sites, from_router, filters, figures } = opened;
    let terminator = &settings.terminator;
    keep_memory_warm();
    let world = Rc::new(World {
        admission: Admission::new(limits(terminator)),
        clock: Clock::new(terminator.idle_deadline),
        filters: start_sender(filters, terminator, &figures),
        current: RefCell::new(Rc::new(generation(&settings, sites))),
        guard: Guard::new(terminator.full_handshakes),
        complaints: Complaints::default(),
        figures,
    });
    tokio::task::spawn_local(Rc::clone(&world.clock).run());
    tokio::task::spawn_local(certificates::tend::tend(Rc::clone(&world)));
    (world, from_router)
}

/// Reads the keys of another configuration and builds what handshakes need. Handshakes that have begun end with the old one.
pub fn prepare(world: &Rc<World>, config: &Config, files: &Files) -> Result<impl FnOnce() + use<>, Vec<String>> {
    let settings = Settings::of(config);
    let now = world.now();
    let so_far = now.sites.store();
    let mut loaded = certificates::load_from(order(&settings, Some(so_far), certificates::FEW), &provider(), files);
    let material = Material::read(&settings, &|path| files.get(path).map(|bytes| bytes.to_vec()));
    let broken = std::mem::take(&mut loaded.broken);
    let mut warnings = [std::mem::take(&mut loaded.warnings), material.warnings.clone()].concat();
    let renewed = loaded.store.renewed_since(so_far);
    let put_up_with = if files.is_renewal() { Broken::Kept } else { Broken::Refused };
    let (sites, more) = match Sites::new(&settings, loaded, material, put_up_with, Some(&now.sites)) {
        Ok(made) if broken.is_empty() => made,
        made => return Err([made.err().unwrap_or_default(), broken].concat()),
    };
    warnings.extend(more);
    let next = Rc::new(generation(&settings, sites));
    let world = Rc::clone(world);
    Ok(move || {
        tell(&warnings, &world.figures);
        renewed.iter().for_each(|text| tracing::info!("{text}"));
        world.figures.certificates_renewed.add(u64::try_from(renewed.len()).unwrap_or_default());
        next.sites.store().ring.set_most(settings.terminator.ready_keys);
        desk::count(next.sites.store(), &world.figures, certificates::now(), next.warn_before, true);
        world.admission.set_limits(limits(&settings.terminator));
        world.guard.set_rate(settings.terminator.full_handshakes);
        world.clock.set_idle(settings.terminator.idle_deadline);
        world.filters.set_limits(sender_limits(&settings.terminator));
        *world.current.borrow_mut() = next;
    })
}

fn generation(settings: &Settings, sites: Sites) -> Generation {
    Generation {
        sites,
        handshake_deadline: settings.terminator.handshake_deadline,
        idle_deadline: settings.terminator.idle_deadline,
        access_log: settings.access_log,
        warn_before: certificates::warn_before(&settings.terminator),
    }
}

fn limits(terminator: &Terminator) -> Limits {
    Limits {
        handshakes: terminator.max_handshakes,
        connections: terminator.max_connections,
        per_address: terminator.max_connections_per_address,
    }
}

/// How long a client whose handshake is done waits for a place in a http-filter that is full, before it is told.
const FULL_DEADLINE: Duration = Duration::from_secs(1);

fn sender_limits(terminator: &Terminator) -> SenderLimits {
    let max_unacknowledged = terminator.max_unacknowledged;
    SenderLimits { max_unacknowledged, full_deadline: FULL_DEADLINE, ..SenderLimits::default() }
}

/// Serves until `stopping` is done, which says how long connections may go on then.
pub async fn serve(
    world: Rc<World>,
    from_router: OwnedFd,
    routers: PeerCheck,
    stopping: impl Future<Output = Duration>,
) {
    let receiving = Rc::clone(&world);
    let receiver = Receiver::new(ROUTER_TO_TERMINATOR.name, routers, move |arrival| receiving.receive(arrival));
    let accepting = tokio::task::spawn_local(Rc::clone(&receiver).serve(from_router));

    let patience = tokio::select! {
        patience = stopping => patience,
        ended = accepting => {
            tracing::error!("cannot accept from sni-router any more: {ended:?}");
            LAST_WORDS
        }
    };
    receiver.drain();
    if tokio::time::timeout(patience, nothing_left(&world)).await.is_err() {
        world.clock.stop_all();
        let _ = tokio::time::timeout(LAST_WORDS, nothing_left(&world)).await;
    }
}

/// A connection that http-filter has not acknowledged yet is still ours: it would be lost with us.
async fn nothing_left(world: &World) {
    world.admission.empty().await;
    while world.filters.pending() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn start_sender(
    filters: Directory,
    terminator: &Terminator,
    figures: &TerminatorFigures,
) -> Sender<common::ipc::messages::terminator_to_filter::Decrypted, common::ipc::Nothing> {
    let (undelivered, lingering) = (figures.undelivered.clone(), figures.lingering.clone());
    let complaint = Seldom::new(COMPLAINT_PAUSE);
    let edge = TERMINATOR_TO_FILTER.name;
    Sender::start(edge, filters, sender_limits(terminator), move |parcel: Parcel<_>, why: Undelivered| {
        undelivered.up();
        if let Some(left_out) = complaint.now() {
            tracing::warn!(edge, left_out, "a client is refused after its handshake: {why}");
        }
        unserved::tell(parcel, &lingering);
    })
}

/// Records of a burst are allocated and freed together. glibc would give that memory back to the kernel and fetch it again,
/// page by page, for every burst; once a larger block has been freed it does not (mallopt(3), "dynamic mmap threshold").
fn keep_memory_warm() {
    drop(std::hint::black_box(vec![1u8; WARM_MEMORY]));
}
