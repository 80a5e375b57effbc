//! Hears the orders of `bulkhead scale` and `bulkhead upgrade` on a socket beside the control sockets; root and the starter may
//! give them, as with those.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use common::ipc::messages::launcher::{Obeyed, Order};
use common::ipc::peer::PeerCheck;
use common::ipc::receiver::{Arrival, Receiver, Verdict};
use common::wiring::CONTROL;
use tokio::task::JoinHandle;

use super::house::House;

/// Hears and obeys until aborted. Call inside the runtime.
pub fn hear(house: Rc<House>, door: OwnedFd) -> JoinHandle<std::io::Result<()>> {
    let peers = PeerCheck::new([nix::unistd::geteuid().as_raw(), 0]);
    let receiver = Receiver::new(CONTROL, peers, move |arrival: Arrival<Order, Obeyed>| {
        let (house, order) = (Rc::clone(&house), arrival.parcel.body);
        if let Some(replier) = arrival.replier {
            tokio::task::spawn_local(async move { replier.send(obey(&house, order).await, Vec::new()) });
        }
        Verdict::Taken
    });
    tokio::task::spawn_local(receiver.serve(door))
}

async fn obey(house: &House, order: Order) -> Obeyed {
    let outcome = match order {
        Order::Start { process, instance } => house.begin(process, instance).await,
        Order::Stop { process, instance } => house.end(process, instance).await,
        Order::StartPageAgain => {
            house.start_page_again();
            Ok(())
        }
    };
    outcome.map_or_else(|why| Obeyed::Refused(why.into()), |()| Obeyed::Done)
}
