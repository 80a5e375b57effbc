//! THE order in which a request is judged, served and written down. Nothing else decides anything.

use std::convert::Infallible;
use std::rc::Rc;

use common_http::guarded::{Exchange, HeadVerdict};
use common_http::h2_gate::check_h2;
use http::{Request, Response};
use hyper::body::Incoming;

use super::connection::Connection;
use super::journey::Journey;
use super::normalise;
use super::response::{self, FilterBody, Refusal};
use super::serve::App;
use super::stages::access_list;
use super::{route, upgrade, upstream};

/// One request, from hyper to hyper.
pub async fn run(
    app: Rc<App>,
    connection: Rc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<FilterBody>, Infallible> {
    let exchange = connection.ledger.begin();
    let journey = Journey::begin(&app, &connection, &request);
    let wants = request.headers().get(http::header::ACCEPT).cloned();
    Ok(match judge_and_serve(&app, &connection, request, exchange, journey).await {
        Ok(response) => response,
        Err(refused) => response::refuse(*refused, wants.as_ref()),
    })
}

/// A request that this proxy answers itself, with what it takes to do so.
pub struct Refused {
    /// What the client is told.
    pub refusal: Refusal,
    /// Lives until the answer is written.
    pub exchange: Exchange,
    /// The log line.
    pub journey: Journey,
}

async fn judge_and_serve(
    app: &Rc<App>,
    connection: &Rc<Connection>,
    request: Request<Incoming>,
    exchange: Exchange,
    mut journey: Journey,
) -> Result<Response<FilterBody>, Box<Refused>> {
    let judged = receive(app, connection, &request, &exchange)
        .and_then(|()| normalise::read(app, connection, &request))
        .and_then(|seen| {
            journey.saw(&seen);
            access_list::judge(app, connection, &seen, &request, &mut journey)?;
            let route = route::choose(app, &seen)?;
            Ok((seen, route))
        });
    let (seen, route) = match judged {
        Ok(judged) => judged,
        Err(refusal) => return Err(Box::new(Refused { refusal, exchange, journey })),
    };
    journey.routed(&route.name, &route.pool.name);
    let (outgoing, client_upgrade) = match upstream::prepare(app, connection, request, &seen, route) {
        Ok(prepared) => prepared,
        Err(refusal) => return Err(Box::new(Refused { refusal, exchange, journey })),
    };
    match upstream::send(app, route, outgoing, &mut journey).await {
        Ok(answer) => match upgrade::switch(app, answer, client_upgrade, &exchange, &mut journey) {
            Ok(answer) => Ok(response::pass_on(answer, exchange, journey)),
            Err(refusal) => Err(Box::new(Refused { refusal, exchange, journey })),
        },
        Err(refusal) => Err(Box::new(Refused { refusal, exchange, journey })),
    }
}

/// What the bytes themselves said: the guard's verdict for HTTP/1, the gate's for HTTP/2.
fn receive(
    app: &App,
    connection: &Connection,
    request: &Request<Incoming>,
    exchange: &Exchange,
) -> Result<(), Refusal> {
    let violation = match exchange.verdict() {
        HeadVerdict::Refused(violation) => Some(violation),
        HeadVerdict::Accepted if connection.h2 => check_h2_head(app, request).err(),
        HeadVerdict::Accepted => None,
    };
    match violation {
        Some(violation) => {
            app.metrics.malformed.up();
            Err(Refusal::malformed(violation.status(), violation.text(), violation.label(), !connection.h2))
        }
        None => Ok(()),
    }
}

fn check_h2_head(app: &App, request: &Request<Incoming>) -> Result<(), common_http::framing::Violation> {
    let (parts, ()) = {
        let mut head = Request::new(());
        *head.method_mut() = request.method().clone();
        *head.uri_mut() = request.uri().clone();
        *head.headers_mut() = request.headers().clone();
        head.into_parts()
    };
    check_h2(&parts, &app.framing)
}
