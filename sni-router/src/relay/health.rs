//! Active health checks of passthrough pools: now and then each server is connected to, and let go again. This process knows no
//! protocol of theirs, so whether the connection is taken is all that it can ask.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::rc::{Rc, Weak};
use std::time::Instant;

use common::config::HealthCheck;
use common::net::balance::{Change, schedule};
use tokio::task::JoinHandle;

use super::passthrough::{PassthroughService, Pool};

/// The tasks of one pool, a server each; they end with the pool.
#[derive(Debug, Default)]
pub struct Checks(RefCell<Vec<JoinHandle<()>>>);

impl Drop for Checks {
    fn drop(&mut self) {
        self.0.get_mut().iter().for_each(JoinHandle::abort);
    }
}

/// Begins the checks of a pool, if it has any and they have not begun.
pub fn start(service: &Rc<PassthroughService>, pool: &Rc<Pool>) {
    let mut tasks = pool.checks.0.borrow_mut();
    if let Some(health) = pool.health.as_ref().filter(|_| tasks.is_empty()) {
        let watch = |index| watch(Rc::downgrade(service), Rc::downgrade(pool), index, health.clone());
        tasks.extend((0..pool.servers.len()).map(|index| tokio::task::spawn_local(watch(index))));
    }
}

async fn watch(service: Weak<PassthroughService>, pool: Weak<Pool>, index: usize, health: HealthCheck) {
    let random = RandomState::new();
    let mut pause = schedule::first(health.interval, random.hash_one(0_u64));
    for round in 1_u64.. {
        tokio::time::sleep(pause).await;
        let (Some(service), Some(pool)) = (service.upgrade(), pool.upgrade()) else { return };
        let Some(server) = pool.servers.get(index) else { return };
        let result = service.dial(server, health.timeout).await.map(drop).map_err(|(why, _)| why);
        let metrics = &service.tunnels.metrics;
        metrics.checks.up();
        if result.is_err() {
            metrics.checks_failed.up();
        }
        let change = pool.balancer.checked(index, result.is_ok(), [health.rise, health.fall], Instant::now());
        match change {
            Some(Change::Down) => {
                metrics.servers_went_down.up();
                let why = result.err().unwrap_or_default();
                tracing::warn!(pool = &*pool.name, server = &*server.label, "down: {why}");
            }
            Some(Change::Up) => {
                metrics.servers_came_up.up();
                tracing::info!(pool = &*pool.name, server = &*server.label, "up");
            }
            None => {}
        }
        pause = schedule::next(health.interval, random.hash_one(round));
    }
}
