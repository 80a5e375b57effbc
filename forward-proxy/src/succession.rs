//! A client's connection goes on in another process when this one finishes: between two requests, or before its first one is whole.
//! Nothing else is known of it: users are asked anew with every request (RFC 9110 §11.7), and tunnels are with passthrough-relay.

use std::rc::Rc;

use common::ipc::messages::Ends;
use common::ipc::messages::forward_to_successor::{HandedOn, MAX_AHEAD};
use common::ipc::receiver::Verdict;
use common::ipc::sender::Parcel;
use common::net::client_limit::{ClientKey, Place};
use tokio::net::TcpStream;

use crate::accept::first_request;
use crate::plain_forward::{self, Past};
use crate::serve::Proxy;

/// Gives a connection away. More of a request than a message holds is nothing to wait with: then it ends.
pub fn hand_on(proxy: &Proxy, client: TcpStream, ends: Ends, requests: u64, ahead: Vec<u8>) {
    let (Some(successor), Ok(client)) = (proxy.stop.successor(), client.into_std()) else { return };
    if ahead.len() <= MAX_AHEAD {
        proxy.metrics.handed_on.up();
        successor.give(HandedOn { ends, requests, ahead: ahead.into() }, vec![client.into()]);
    }
}

/// Takes what a predecessor gives, or returns it when this process is full.
pub fn take(proxy: &Rc<Proxy>, parcel: Parcel<HandedOn>) -> Verdict {
    let Some(place) = enter(proxy, &parcel) else { return Verdict::Full };
    let proxy = Rc::clone(proxy);
    Verdict::TakenOnce(Box::new(move || {
        proxy.metrics.taken_over.up();
        go_on(proxy, parcel, place, true);
    }))
}

/// A connection for which no successor had a place ends as idle connections do: with the answer to what has begun.
pub fn came_back(proxy: &Rc<Proxy>, parcel: Parcel<HandedOn>) {
    proxy.metrics.came_back.up();
    if let Some(place) = enter(proxy, &parcel) {
        go_on(Rc::clone(proxy), parcel, place, false);
    }
}

fn enter(proxy: &Proxy, parcel: &Parcel<HandedOn>) -> Option<Place> {
    proxy.places.enter_again(ClientKey::from(parcel.body.ends.client.ip()))
}

fn go_on(proxy: Rc<Proxy>, parcel: Parcel<HandedOn>, place: Place, may_leave: bool) {
    let HandedOn { ends, requests, ahead } = parcel.body;
    let Some(client) = parcel.descriptors.into_iter().next() else { return };
    if requests == 0 {
        tokio::task::spawn_local(first_request(proxy, client, ahead.into(), ends, place, may_leave));
        return;
    }
    tokio::task::spawn_local(async move {
        let _held = proxy.metrics.connections.hold();
        let Ok(client) = TcpStream::from_std(client.into()) else { return };
        let past = Past { requests, ahead: ahead.into(), may_leave };
        plain_forward::serve(Rc::clone(&proxy), client, past, ends, place).await;
    });
}
