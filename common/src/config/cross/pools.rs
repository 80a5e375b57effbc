//! Pools: what fits together only in view of the rest of the file.

use super::Drafts;
use crate::config::checked::{Config, HealthCheck, SameSite};
use crate::config::ledger::Ledger;

/// What works, but not as its author will have meant it.
pub(super) fn judge(ledger: &Ledger, config: &Config, drafts: &Drafts) {
    let instances = config.http_filter.instances;
    for draft in &drafts.pools {
        let warn = |key: &str, what: String, help: &str| {
            let warning = ledger.warning(key, what).at(&draft.name.span, "of this pool");
            ledger.report(warning.help(help));
        };
        if let Some(sticky) = &draft.pool.sticky {
            if sticky.key.is_none() && instances > 1 {
                let what = format!("each of the {instances} instances of http-filter would have a key of its own");
                warn(
                    "pool.sticky.key",
                    what,
                    "name a file with at least 32 random bytes, so that they know each other's cookies",
                );
            }
            if sticky.same_site == SameSite::None && !sticky.always_secure {
                let what = "browsers refuse a cookie with `SameSite=None` that is not `Secure`".to_owned();
                warn("pool.sticky.same_site", what, "set `secure = \"always\"`");
            }
        }
        if draft.pool.health.as_ref().is_some_and(HealthCheck::is_slower_than_its_interval) {
            let what = "a check may take longer than the time between two".to_owned();
            warn("pool.health.timeout", what, "a server that hangs is then found out later than `interval` suggests");
        }
    }
}
