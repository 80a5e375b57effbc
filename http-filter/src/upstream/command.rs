//! What operators ask of pools: how they are, and to let a server go.

use std::rc::Rc;

use common::ipc::messages::control::PoolState;
use common::pool_desk::{self, PoolDesk};

use super::pool::ServerPool;
use crate::app::Instance;

impl PoolDesk for Instance {
    fn pools(&self) -> Vec<PoolState> {
        let state = |pool: &Rc<ServerPool>| PoolState {
            waiting: u64::try_from(pool.waiting()).unwrap_or(u64::MAX),
            ..pool_desk::state(&pool.name, pool.balancer())
        };
        self.app().pools.iter().map(state).collect()
    }

    /// Sticky clients go elsewhere, too.
    fn drain(&self, pool: &str, server: &str, drain: bool) -> Result<(), String> {
        let app = self.app();
        let Some(found) = app.pools.iter().find(|own| *own.name == *pool) else {
            return Err(pool_desk::no_pool("http-filter", pool, app.pools.iter().map(|pool| &*pool.name)));
        };
        if found.drain(server, drain) {
            return Ok(());
        }
        Err(pool_desk::no_server(pool, server, found.balancer()))
    }
}
