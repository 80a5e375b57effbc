//! Instances of `bulkhead up`: its launcher makes their sockets, starts them and lets them go.

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::ipc::ask::ask;
use common::ipc::messages::launcher::{Obeyed, Order};
use common::wiring::launcher_socket;

use crate::ask::{Silence, Target};

/// The launcher has deadlines of its own, which are shorter: `drain_deadline` may be an hour.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

/// The way to it.
#[derive(Debug, Clone)]
pub struct Launcher(PathBuf);

impl Launcher {
    /// Where there is one.
    pub fn of(runtime_dir: &Path) -> Option<Self> {
        let socket = launcher_socket(runtime_dir);
        socket.exists().then_some(Self(socket))
    }

    /// Starts an instance, or lets it finish.
    pub async fn change(&self, target: &Target, start: bool) -> Result<(), String> {
        let (process, instance) = (target.process, target.instance);
        let order = if start { Order::Start { process, instance } } else { Order::Stop { process, instance } };
        self.give(order).await
    }

    /// See [`Order::StartPageAgain`].
    pub async fn start_page_again(&self) -> Result<(), String> {
        self.give(Order::StartPageAgain).await
    }

    async fn give(&self, order: Order) -> Result<(), String> {
        let answer = tokio::time::timeout(PATIENCE, ask::<Order, Obeyed>(&self.0, &order)).await;
        let silence = match answer {
            Ok(Ok(Obeyed::Done)) => return Ok(()),
            Ok(Ok(Obeyed::Refused(why))) => return Err(why.into()),
            Ok(Err(error)) => Silence::from(error),
            Err(_) => Silence::NoAnswer(PATIENCE),
        };
        Err(format!("the launcher (`bulkhead up`): {silence}"))
    }
}
