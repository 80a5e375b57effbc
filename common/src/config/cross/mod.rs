//! What needs the whole file: names that must exist or be unique, addresses, and whether every way leads somewhere.

mod covered;
mod ends;
mod names;
mod pools;
mod tls;
mod ways;

use super::checked::Config;
use super::ledger::Ledger;
use super::read::http::HttpRouteDraft;
use super::read::pool::PoolDraft;
use super::read::router::RouteDraft;
use super::read::terminator::SiteDraft;

/// The parts of the file with their places.
pub(super) struct Drafts {
    pub(super) routes: Vec<RouteDraft>,
    pub(super) pools: Vec<PoolDraft>,
    pub(super) sites: Vec<SiteDraft>,
    pub(super) http_routes: Vec<HttpRouteDraft>,
}

/// Judges the whole; everything that is wrong goes to the ledger.
pub(super) fn judge(ledger: &Ledger, config: &Config, drafts: &Drafts) {
    names::unique(ledger);
    names::known(ledger, config);
    names::addresses(ledger);
    ways::routes(ledger, config, &drafts.routes);
    ways::sites(ledger, config, drafts);
    ways::termination(ledger, config, drafts);
    ends::http_needs_route(ledger, config, drafts);
    ends::http_routes(ledger, drafts);
    ends::pools(ledger, drafts);
    pools::judge(ledger, config, drafts);
    tls::judge(ledger, config);
    ends::listeners(ledger, config);
    ends::dead_ends(ledger, config, drafts);
    ends::open_proxy(ledger, config);
}
