//! What operators ask of pools: how they are, and to let a server go.

use std::rc::Rc;
use std::sync::Arc;

use common::net::balance::ServerStatus;

use super::pool::ServerPool;
use crate::app::Instance;

/// One pool for `bulkhead status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Requests that wait for a free server.
    pub waiting: usize,
    /// Its servers, in the order of the configuration.
    pub servers: Vec<ServerStatus>,
}

impl Instance {
    /// Gives the server (`host:port` as configured) of the pool nothing new from now on (`true`), or takes that back. What it has under
    /// way ends as it will; sticky clients go elsewhere. Holds through reloads, not through a restart.
    ///
    /// # Errors
    /// One sentence: which name is not known, and which are.
    pub fn drain_server(&self, pool: &str, server: &str, drain: bool) -> Result<(), String> {
        let app = self.app();
        let Some(found) = app.pools.iter().find(|own| *own.name == *pool) else {
            let known: Vec<&str> = app.pools.iter().map(|pool| &*pool.name).collect();
            return Err(format!("http-filter uses no pool `{pool}`; it uses: {}", known.join(", ")));
        };
        if found.drain(server, drain) {
            return Ok(());
        }
        let known: Vec<String> = found.status().into_iter().map(|server| server.label.into()).collect();
        Err(format!("the pool `{pool}` has no server `{server}`; it has: {}", known.join(", ")))
    }

    /// Every pool that http-filter uses, and what is known of its servers.
    pub fn pool_status(&self) -> Vec<PoolStatus> {
        let app = self.app();
        let status = |pool: &Rc<ServerPool>| PoolStatus {
            name: Arc::clone(&pool.name),
            waiting: pool.waiting(),
            servers: pool.status(),
        };
        app.pools.iter().map(status).collect()
    }
}
