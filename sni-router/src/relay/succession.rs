//! What a predecessor has left goes on here, and what no successor of ours had a place for goes on here for as long as we may stay.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use common::ipc::messages::relay_to_successor::{self as message, HandedOn};
use common::ipc::messages::router_to_relay::Passthrough;
use common::ipc::receiver::Verdict;
use common::ipc::sender::Parcel;
use common::net::client_limit::Place;

use super::passthrough::PassthroughService;
use super::tunnel::Tunnel;
use super::tunnels::Parties;

/// Takes what a predecessor gives, or returns it when this process is full.
pub fn take(service: &Rc<PassthroughService>, parcel: Parcel<HandedOn>) -> Verdict {
    let Some(place) = service.tunnels.enter_again(client_of(&parcel.body)) else {
        service.tunnels.metrics.full.up();
        return Verdict::Full;
    };
    let service = Rc::clone(service);
    Verdict::TakenOnce(Box::new(move || {
        service.tunnels.metrics.taken_over.up();
        go_on(service, parcel, Some(place), true);
    }))
}

/// Goes on here with what nobody else had a place for.
pub fn came_back(service: &Rc<PassthroughService>, parcel: Parcel<HandedOn>) {
    service.tunnels.metrics.came_back.up();
    let place = service.tunnels.enter_again(client_of(&parcel.body));
    go_on(Rc::clone(service), parcel, place, false);
}

fn client_of(handed: &HandedOn) -> std::net::IpAddr {
    match handed {
        HandedOn::Tunnel(tunnel) => tunnel.parties.ends.client.ip(),
        HandedOn::Client(Passthrough { ends, .. }) => ends.client.ip(),
    }
}

fn go_on(service: Rc<PassthroughService>, parcel: Parcel<HandedOn>, place: Option<Place>, may_leave: bool) {
    match parcel.body {
        HandedOn::Tunnel(tunnel) => {
            tokio::task::spawn_local(carry(service, tunnel, parcel.descriptors, place, may_leave));
        }
        HandedOn::Client(client) => {
            if let Some(socket) = parcel.descriptors.into_iter().next() {
                tokio::task::spawn_local(service.serve(client, socket, place, may_leave));
            }
        }
    }
}

async fn carry(
    service: Rc<PassthroughService>,
    tunnel: Box<message::Tunnel>,
    descriptors: Vec<OwnedFd>,
    place: Option<Place>,
    may_leave: bool,
) {
    let _place = place;
    let (tunnel, parties) = match Tunnel::go_on(*tunnel, descriptors, &service.tunnels.pipes) {
        Ok(living) => living,
        Err(error) => return tracing::error!("a tunnel that was handed on cannot go on and is cut: {error}"),
    };
    // If its server is still one of ours, the balancer hears of it.
    let pool = parties.pool.as_deref().and_then(|name| service.pool(name));
    let pick = pool.and_then(|pool| pool.balancer.count(&parties.server, Instant::now()));
    service.tunnels.carry(tunnel, Parties::heard(&parties), may_leave).await;
    drop(pick);
}
