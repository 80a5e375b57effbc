//! What this process keeps of the configuration: its own section, the sites, and which clients without a site's name the
//! router sends here on purpose. Pure.

use common::config::{Config, Fallback, RouteAction, Site, Terminator};

/// The part of the configuration that matters here.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[tls-terminator]`
    pub terminator: Terminator,
    /// `[[site]]`
    pub sites: Vec<Site>,
    /// Whom the first site serves beside its own names.
    pub strangers: Strangers,
    /// `log.access`: one line at level info per finished connection, otherwise at level debug.
    pub access_log: bool,
}

/// Clients that name no site. They get the first site's certificate only where the configuration lets them in; a socket that
/// the router sends here without such a line is refused with `unrecognized_name`, so a fault there opens no door here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Strangers {
    /// Those that name nobody (`otherwise.no_sni = { terminate = true }`, or a route by ALPN only that terminates).
    pub without_name: bool,
    /// Those that name somebody else (`otherwise.unknown_name = { terminate = true }`, or such a route).
    pub unknown_name: bool,
}

impl Settings {
    /// Takes what is needed.
    pub fn of(config: &Config) -> Self {
        let any_name = config.routes.iter().any(|r| r.action == RouteAction::Terminate && r.server_names.is_empty());
        let otherwise = &config.sni_router.otherwise;
        Self {
            terminator: config.tls_terminator.clone(),
            sites: config.sites.clone(),
            strangers: Strangers {
                without_name: any_name || otherwise.no_sni == Fallback::Terminate,
                unknown_name: any_name || otherwise.unknown_name == Fallback::Terminate,
            },
            access_log: config.log.access,
        }
    }
}
