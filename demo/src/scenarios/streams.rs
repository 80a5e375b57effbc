//! Bodies: long ones arrive whole in both directions, slow ones arrive as they are made.

use super::{ASK, Ask, BodyIs, EXPECT, Expect, H1, H2, Ip, Road, Scenario};
use crate::certificates::{SECURE, WWW};
use std::time::Duration;

const UPLOAD: u64 = 5 << 20;
const DOWNLOAD: u64 = 20 << 20;
/// Long bodies may take longer, on a slow machine without optimisation.
const LONG: Duration = Duration::from_secs(60);

/// Of a type that web-attack rules do not look at, as uploads should be.
const SEND: Ask =
    Ask { path: "/echo", upload: UPLOAD, headers: &[("content-type", "application/octet-stream")], ..ASK };
const SENT: Expect = Expect { body: BodyIs::Pattern(UPLOAD), deadline: LONG, ..EXPECT };
const FETCH: Ask = Ask { path: "/bytes/20971520", ..ASK };
const FETCHED: Expect = Expect { body: BodyIs::Pattern(DOWNLOAD), deadline: LONG, ..EXPECT };
const TRICKLE: Ask = Ask { path: "/slow", ..ASK };
/// The backend takes 600 ms; a proxy that waits for the end delivers everything at once.
const TRICKLED: Expect = Expect { body: BodyIs::Over(Duration::from_millis(300)), ..EXPECT };

const WWW_H1: Road = Road::Tls { server_name: Some(WWW), alpn: H1, ip: Ip::V4 };
const WWW_H2: Road = Road::Tls { server_name: Some(WWW), alpn: H2, ip: Ip::V4 };
const SECURE_H1: Road = Road::Tls { server_name: Some(SECURE), alpn: H1, ip: Ip::V4 };
const SECURE_H2: Road = Road::Tls { server_name: Some(SECURE), alpn: H2, ip: Ip::V4 };

const fn row(name: &'static str, about: &'static str, road: Road, ask: Ask, expect: Expect) -> Scenario {
    Scenario { name, about, road, ask, expect, paste: false }
}

/// The rows.
pub const ROWS: &[Scenario] = &[
    row("upload-termination-h1", "5 MiB up and back", WWW_H1, SEND, SENT),
    row("upload-termination-h2", "5 MiB up and back", WWW_H2, SEND, SENT),
    row("upload-passthrough-h1", "5 MiB up and back", SECURE_H1, SEND, SENT),
    row("upload-passthrough-h2", "5 MiB up and back", SECURE_H2, SEND, SENT),
    row("download-termination-h1", "20 MiB down", WWW_H1, FETCH, FETCHED),
    row("download-termination-h2", "20 MiB down", WWW_H2, FETCH, FETCHED),
    row("download-passthrough-h1", "20 MiB down", SECURE_H1, FETCH, FETCHED),
    row("download-passthrough-h2", "20 MiB down", SECURE_H2, FETCH, FETCHED),
    Scenario {
        paste: true,
        ..row("streaming-h1", "Streams: pieces arrive as they are made", WWW_H1, TRICKLE, TRICKLED)
    },
    row("streaming-h2", "Pieces arrive as they are made", WWW_H2, TRICKLE, TRICKLED),
];
