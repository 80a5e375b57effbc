//! What the process works with. [`Instance`] outlives every reload: places, deadlines, figures, the way to the relay. [`App`] is one checked
//! configuration with everything that is made from it; a reload makes a new one and puts it in the place of the old one, which lives on
//! until the last request that began with it has ended.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use common::config::{Config, Files, ForwardedHeaders, HeaderRule, HttpFilter};
use common::ipc::messages::filter_to_relay::{Dial, Dialed};
use common::ipc::messages::filter_to_successor::HandedOn;
use common::ipc::sender::{Sender, SenderLimits};
use common::ipc::succession::Successor;
use common::net::client_limit::ClientLimit;
use common::startup::Depth;
use common_access::RuleSet;
use common_http::framing::Limits;
use common_http::guarded::{Clock, Deadlines, Watch};
use common_http::h2_guard::{Budgets, Counts};
use common_http::headers::{Style, Underscores};

use super::certified::Certified;
use super::identity_headers::IdentityHeaders;
use super::journal::Journal;
use super::metrics::Metrics;
use super::observe::settings::Settings;
use super::response::compression::Compression;
use super::response::error_page::ErrorPages;
use super::rewriting::HeaderRules;
use super::route::split::finish;
use super::route::{Routes, pool_names};
use super::stages::access_list;
use super::stages::rate_limit::Limits as RequestLimits;
use super::stages::web_attacks::rules::Rules;
use super::stages::web_attacks::{self, WebAttacks};
use super::streams::{StreamDeadlines, StreamWatch};
use super::succession::Leaving;
use super::unsent::Addresses;
use super::upstream::ServerPool;
use super::upstream::dialer::RelayDialer;
use super::upstream::prepare::underscores;
use super::upstream::sticky;
use super::upstream::tls::BackendTls;

/// What outlives a reload.
pub struct Instance {
    /// Places for connections.
    pub clients: ClientLimit,
    /// Deadlines of HTTP/1 connections and tunnels.
    pub watch_h1: Watch,
    /// Deadlines of HTTP/2 connections.
    pub watch_h2: Watch,
    /// Deadlines of single HTTP/2 streams.
    pub streams: Rc<StreamWatch>,
    /// What waits for HTTP/2 clients, by address.
    pub unsent: Addresses,
    /// Figures.
    pub metrics: Metrics,
    /// Coarse time, moved on by the sweep.
    pub clock: Clock,
    relay: Sender<Dial, Dialed>,
    current: RefCell<Rc<App>>,
    /// Replaced ones with requests under way: their pools' deadlines hold to the end.
    retired: RefCell<Vec<Weak<App>>>,
    /// The way out.
    pub leaving: Rc<Leaving>,
    /// What is in flight, for the next life; `None`: nobody keeps it.
    pub journal: Option<Rc<Journal>>,
}

impl Instance {
    /// An instance with its first configuration.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(config: &Config, files: &Files, relay: Sender<Dial, Dialed>, metrics: Metrics) -> Result<Self, String> {
        let clock = Clock::new();
        let filter = &config.http_filter;
        let rules = Rules::now(&filter.web_attacks, files).map_err(|errors| errors.join("\n"))?;
        let app = App::new(config, files, &relay, &clock, &metrics, rules, None)?;
        Ok(Self {
            clients: ClientLimit::new(filter.max_connections, filter.max_connections_per_address),
            watch_h1: Watch::new(clock.clone(), deadlines(filter, filter.tunnel_idle_deadline)),
            watch_h2: Watch::new(clock.clone(), deadlines(filter, filter.idle_deadline)),
            streams: Rc::new(StreamWatch::new(clock.clone(), stream_deadlines(filter), metrics.timeouts.clone())),
            unsent: Addresses::new(filter.max_unsent_per_address, metrics.unsent.clone(), metrics.held_back.clone()),
            leaving: Leaving::new(metrics.handed_on.clone()),
            journal: None,
            metrics,
            clock,
            relay,
            current: RefCell::new(Rc::new(app)),
            retired: RefCell::default(),
        })
    }

    /// The configuration that a request which begins now is judged and served by.
    pub fn app(&self) -> Rc<App> {
        Rc::clone(&self.current.borrow())
    }

    /// Judges another configuration and builds all that it needs; nothing of the present one changes. Rules take their time, elsewhere.
    ///
    /// # Errors
    /// What is wrong with the new one.
    pub async fn prepare(self: &Rc<Self>, config: &Config, files: &Files) -> Result<impl FnOnce() + use<>, String> {
        let at_work = self.app().web_attacks.as_ref().map(|stage| stage.rules().clone());
        let rules = Rules::elsewhere(&config.http_filter.web_attacks, files, at_work).await;
        let rules = rules.map_err(|errors| errors.join("\n"))?;
        let old = self.app();
        let app = App::new(config, files, &self.relay, &self.clock, &self.metrics, rules, Some(&old))?;
        let instance = Rc::clone(self);
        Ok(move || instance.take_over(app))
    }

    /// Puts a configuration in the place of the present one, which lives on until its last request has ended.
    fn take_over(&self, app: App) {
        let filter = &app.config;
        self.clients.set_limits(filter.max_connections, filter.max_connections_per_address);
        self.watch_h1.set_deadlines(deadlines(filter, filter.tunnel_idle_deadline));
        self.watch_h2.set_deadlines(deadlines(filter, filter.idle_deadline));
        self.streams.set_deadlines(stream_deadlines(filter));
        self.unsent.set_max(filter.max_unsent_per_address);
        self.relay.set_limits(relay_limits(filter));
        self.journal.iter().for_each(|journal| journal.pardon());
        let old = self.current.replace(Rc::new(app));
        let mut retired = self.retired.borrow_mut();
        retired.retain(|app| app.strong_count() > 0);
        retired.push(Rc::downgrade(&old));
    }

    /// Nothing new is taken. With a successor connections go to it as soon as they have no request under way; without one idle
    /// connections end now, busy ones with their present request.
    pub fn leave(&self, successor: Option<Successor<HandedOn>>) {
        if successor.is_none() {
            self.watch_h1.expire_idle();
        }
        self.leaving.open(successor);
    }

    /// Moves the coarse clock on and enforces every deadline; called a few times a second.
    pub fn sweep(&self) {
        self.clock.advance();
        self.watch_h1.sweep();
        self.watch_h2.sweep();
        self.streams.sweep();
        self.journal.iter().for_each(|journal| journal.sweep());
        let current = self.app();
        current.pools.iter().for_each(|pool| pool.sweep());
        for old in self.retired.borrow().iter().filter_map(Weak::upgrade) {
            let own = old.pools.iter().filter(|pool| !current.pools.iter().any(|kept| Rc::ptr_eq(kept, pool)));
            own.for_each(|pool| pool.sweep());
        }
    }
}

/// Bounds of the way to the relay.
pub fn relay_limits(filter: &HttpFilter) -> SenderLimits {
    SenderLimits { max_unacknowledged: filter.max_unacknowledged, ..SenderLimits::default() }
}

/// One configuration at work.
pub struct App {
    /// Which one, counted from the start of the process.
    pub generation: u64,
    /// The process's section of the configuration.
    pub config: HttpFilter,
    /// Log, request ids and traces.
    pub observe: Settings,
    /// Limits of the strict reading.
    pub framing: Limits,
    /// What a client may do on an HTTP/2 connection.
    pub h2_budgets: Arc<Budgets>,
    /// Policy on header names with `_`.
    pub underscores: Underscores,
    /// What the backend is told about the client.
    pub forwarded: Style,
    /// Hosts that ask for client certificates.
    pub certified: Certified,
    /// What backends are told about client certificates; `None`: nothing anywhere.
    pub identity_headers: Option<Rc<IdentityHeaders>>,
    /// Access rules.
    pub access: RuleSet,
    /// Rate and concurrency limits.
    pub limits: RequestLimits,
    /// Inspection of requests for attacks; `None`: none.
    pub web_attacks: Option<Rc<WebAttacks>>,
    /// Routes; they name pools by their number in `pools`.
    pub routes: Routes,
    /// Every pool that a route leads to, once.
    pub pools: Vec<Rc<ServerPool>>,
    /// Changes to every request that is sent on.
    pub request_headers: HeaderRules,
    /// Changes to every answer.
    pub response_headers: HeaderRules,
    /// Pages for errors.
    pub error_pages: ErrorPages,
    /// What is compressed; `None`: nothing.
    pub compression: Option<Compression>,
    random: Cell<u64>,
    /// Figures: the instance's.
    pub metrics: Metrics,
}

impl App {
    fn new(
        config: &Config,
        files: &Files,
        relay: &Sender<Dial, Dialed>,
        clock: &Clock,
        metrics: &Metrics,
        rules: Option<Rules>,
        previous: Option<&App>,
    ) -> Result<Self, String> {
        let filter = &config.http_filter;
        let framing = Limits {
            head: filter.max_header_bytes,
            request_line: filter.max_request_line,
            headers: filter.max_headers,
            ..Limits::DEFAULT
        };
        let environment = access_list::environment(config, files)?;
        let pools = pools(config, files, relay, clock, previous)?;
        pools
            .iter()
            .filter(|pool| previous.is_none_or(|old| !old.has(pool)))
            .for_each(|pool| pool.start_checks(metrics));
        Ok(Self {
            certified: Certified::new(&config.sites),
            identity_headers: IdentityHeaders::new(&config.sites)?,
            generation: previous.map_or(0, |app| app.generation + 1),
            access: access_list::rules(config, &environment).map_err(|errors| errors.join("\n"))?,
            h2_budgets: Arc::new(h2_budgets(filter)),
            limits: RequestLimits::new(filter, &environment, previous.map(|app| &app.limits))
                .map_err(|errors| errors.join("\n"))?,
            web_attacks: {
                let old = previous.and_then(|app| app.web_attacks.as_deref());
                WebAttacks::new(&filter.web_attacks, rules, &environment, clock, old)
                    .map_err(|errors| errors.join("\n"))?
            },
            routes: Routes::new(config, files, &environment).map_err(|errors| errors.join("\n"))?,
            pools,
            request_headers: rules_of_section("request_headers", &filter.request_headers)?,
            response_headers: rules_of_section("response_headers", &filter.response_headers)?,
            error_pages: ErrorPages::new(&filter.error_pages, files)?,
            compression: Compression::new(&filter.compression),
            random: Cell::new(seed()?),
            underscores: underscores(filter.underscore_headers),
            forwarded: style(filter.forwarded),
            framing,
            observe: settings(config, files, relay, clock, metrics, previous)?,
            config: filter.clone(),
            metrics: metrics.clone(),
        })
    }

    /// Whether that very pool is one of its pools.
    fn has(&self, pool: &Rc<ServerPool>) -> bool {
        self.pools.iter().any(|own| Rc::ptr_eq(own, pool))
    }

    /// What `--check` judges: everything that needs no other process.
    ///
    /// # Errors
    /// What is wrong, one sentence each.
    pub fn check(config: &Config, depth: Depth) -> Result<(), Vec<String>> {
        let files = Files::read(&config.files, common::process::Process::HttpFilter)?;
        for pool in &config.pools {
            let made = BackendTls::new(&pool.transport, &files).map(drop);
            made.map_err(|error| vec![format!("pool '{}': {error}", pool.name)])?;
        }
        let environment = access_list::environment(config, &files).map_err(|error| vec![error])?;
        sticky::check(config, &files).map_err(|error| vec![error])?;
        access_list::rules(config, &environment)?;
        RequestLimits::new(&config.http_filter, &environment, None)?;
        if depth != Depth::Quick {
            web_attacks::check(&config.http_filter.web_attacks, &files, &environment)?;
        }
        Routes::new(config, &files, &environment)?;
        rules_of_section("request_headers", &config.http_filter.request_headers)
            .and(ErrorPages::new(&config.http_filter.error_pages, &files).map(drop))
            .and_then(|()| super::observe::settings::check(config))
            .map_err(|error| vec![error])
    }

    /// A number for a choice that nobody needs to foresee or to keep secret (SplitMix64).
    pub fn random(&self) -> u64 {
        let next = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(next);
        finish(next)
    }

    /// Largest read buffer hyper may grow to: a whole head and some body.
    pub fn buffer_limit(&self) -> usize {
        (self.framing.head * 2).max(64 * 1024)
    }
}

#[cfg_attr(not(feature = "otlp"), allow(unused_variables, unused_mut))]
fn settings(
    config: &Config,
    files: &Files,
    relay: &Sender<Dial, Dialed>,
    clock: &Clock,
    metrics: &Metrics,
    previous: Option<&App>,
) -> Result<Settings, String> {
    let previous = previous.map(|app| &app.observe);
    let mut settings = Settings::new(config, metrics, previous)?;
    #[cfg(feature = "otlp")]
    {
        let exporter = previous.and_then(|previous| previous.exporter.as_ref());
        settings.exporter = crate::observe::otlp::Exporter::new(config, files, relay, clock, metrics, exporter)?;
    }
    Ok(settings)
}

fn style(choice: ForwardedHeaders) -> Style {
    let (x_forwarded, forwarded) = match choice {
        ForwardedHeaders::Both => (true, true),
        ForwardedHeaders::XForwarded => (true, false),
        ForwardedHeaders::Forwarded => (false, true),
        ForwardedHeaders::None => (false, false),
    };
    Style { x_forwarded, forwarded, ..Style::default() }
}

/// A header block can be longer than the fields in it only by the coding's few bytes each; twice is generous.
fn h2_budgets(filter: &HttpFilter) -> Budgets {
    let own = &filter.h2;
    Budgets::new(&Counts {
        window: own.window,
        resets: own.resets,
        provoked_resets: own.provoked_resets,
        settings: own.settings,
        pings: own.pings,
        priorities: own.priorities,
        empty_data: own.empty_data,
        tiny_data: own.tiny_data,
        window_updates: own.window_updates,
        unknown_frames: own.unknown_frames,
        continuations: own.continuations,
        header_block: u32::try_from(filter.max_header_bytes.saturating_mul(2)).ok(),
    })
}

/// How long an idle connection keeps its buffers.
const REST: Duration = Duration::from_millis(100);

fn deadlines(filter: &HttpFilter, opaque_idle: Duration) -> Deadlines {
    Deadlines {
        first_byte: filter.first_byte_deadline,
        head: filter.header_deadline,
        keep_alive: filter.idle_deadline,
        body_window: filter.body_idle_deadline,
        body_bytes: at_rate(filter.min_body_rate, filter.body_idle_deadline),
        write_bytes: at_rate(filter.min_answer_rate, filter.body_idle_deadline),
        write: filter.body_idle_deadline,
        rest: Some(REST),
        opaque_idle,
        ..Deadlines::default()
    }
}

/// Bytes in a window of time at so many bytes per second; at least one, which is what no rate means.
fn at_rate(per_second: u64, window: Duration) -> u64 {
    let bytes = u128::from(per_second).saturating_mul(window.as_millis()) / 1000;
    u64::try_from(bytes).unwrap_or(u64::MAX).max(1)
}

fn stream_deadlines(filter: &HttpFilter) -> StreamDeadlines {
    StreamDeadlines { body: filter.body_idle_deadline, both_ways: filter.tunnel_idle_deadline }
}

/// The pools that routes lead to. One whose configuration has not changed keeps its connections and what it knows of its servers.
fn pools(
    config: &Config,
    files: &Files,
    relay: &Sender<Dial, Dialed>,
    clock: &Clock,
    previous: Option<&App>,
) -> Result<Vec<Rc<ServerPool>>, String> {
    let filter = &config.http_filter;
    let mut pools: Vec<Rc<ServerPool>> = Vec::new();
    for name in pool_names(config) {
        let own = config.pool(&name).ok_or_else(|| format!("there is no pool {name}"))?;
        let known = previous.and_then(|app| app.pools.iter().find(|pool| pool.name == own.name));
        pools.push(match known {
            Some(same) if same.is_made_from(own, filter, files) => Rc::clone(same),
            _ => {
                let dialer = RelayDialer::new(relay.clone(), &own.transport, files);
                let dialer = dialer.map_err(|error| format!("pool '{}': {error}", own.name))?;
                let old = known.map(|pool| &**pool);
                Rc::new(ServerPool::new(own, filter, files, dialer, clock.clone(), old)?)
            }
        });
    }
    Ok(pools)
}

fn rules_of_section(key: &str, rules: &[HeaderRule]) -> Result<HeaderRules, String> {
    HeaderRules::new(rules).map_err(|why| format!("http-filter.{key}: {why}"))
}

fn seed() -> Result<u64, String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random numbers: {error}"))?;
    Ok(u64::from_ne_bytes(bytes))
}
