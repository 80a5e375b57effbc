//! Behind the handshake: records and messages that must not be, after one request that was served. Each ends with another request,
//! which is served where the thing is allowed.

use crate::strange::{Strange, Verdict, content, handshake, message, record};

use super::{Probe, probe};

/// The most plaintext a record may hold (RFC 8446 §5.1), and with its type and padding (§5.4).
const MOST: usize = 16_384;

/// A connection on which a request was served.
fn open(address: std::net::SocketAddr) -> Strange {
    let mut strange = Strange::open(address);
    assert_eq!(strange.get("/before"), Verdict::Served, "the connection works");
    strange
}

/// Sends what `act` makes, then a request.
fn then_get(name: impl Into<String>, act: impl Fn(&mut Strange) + Send + Sync + 'static) -> Probe {
    probe(name, move |address| {
        let mut strange = open(address);
        act(&mut strange);
        strange.get("/after")
    })
}

/// Sends what `act` makes, and waits for what is said to that.
fn then_wait(name: impl Into<String>, act: impl Fn(&mut Strange) + Send + Sync + 'static) -> Probe {
    probe(name, move |address| {
        let mut strange = open(address);
        act(&mut strange);
        strange.verdict()
    })
}

pub fn probes() -> Vec<Probe> {
    [lengths(), types(), updates(), messages(), alerts(), floods(), tampering(), ends()].into_iter().flatten().collect()
}

fn lengths() -> Vec<Probe> {
    let mut all = vec![
        then_get("record: nothing in particular", |_| {}),
        then_get("record: an empty one", |it| it.say(content::DATA, &[])),
        then_get("record: an empty one with padding", |it| {
            let sealed = it.seal_padded(content::DATA, &[], 500);
            it.send(&sealed);
        }),
        then_get("record: ten empty ones", |it| (0..10).for_each(|_| it.say(content::DATA, &[]))),
        then_get("record: padding of any kind", |it| {
            for padding in [1, 15, 16, 255, 256, 4095] {
                let sealed = it.seal_padded(content::DATA, b"", padding);
                it.send(&sealed);
            }
        }),
        then_wait("record: zeroes only", |it| {
            let sealed = it.seal_inner(&[0; 32], content::DATA, 0x0303);
            it.send(&sealed);
        }),
        then_wait("record: no inner plaintext at all", |it| {
            let sealed = it.seal_inner(&[], content::DATA, 0x0303);
            it.send(&sealed);
        }),
        probe("record: the longest, all of it content", |address| longest(address, MOST, 0)),
        probe("record: the longest, most of it padding", |address| longest(address, 300, MOST - 300)),
        probe("record: content one byte too long", |address| longest(address, MOST + 1, 0)),
        probe("record: padding one byte too long", |address| longest(address, 300, MOST - 300 + 1)),
        probe("record: content too long by 200", |address| longest(address, MOST + 200, 0)),
    ];
    for length in [MOST + 257, MOST + 300, 40_000, 65_535] {
        all.push(then_wait(format!("record: a head that says {length}"), move |it| {
            let length = (length as u16).to_be_bytes();
            it.send(&[content::DATA, 3, 3, length[0], length[1]]);
        }));
        all.push(then_wait(format!("record: {length} bytes of noise"), move |it| {
            it.send(&record(content::DATA, 0x0303, &vec![0x5a; length]));
        }));
    }
    for length in [0, 1, 15, 16, 17, 100, MOST + 256] {
        all.push(then_wait(format!("record: {length} bytes of noise"), move |it| {
            it.send(&record(content::DATA, 0x0303, &vec![0x5a; length]));
        }));
    }
    all
}

/// A request whose body comes in one record of that shape.
fn longest(address: std::net::SocketAddr, size: usize, padding: usize) -> Verdict {
    let mut strange = open(address);
    let head = format!("POST /longest HTTP/1.1\r\nHost: {}\r\nContent-Length: {size}\r\n\r\n", crate::world::SITE);
    strange.say(content::DATA, head.as_bytes());
    let sealed = strange.seal_padded(content::DATA, &vec![b'x'; size], padding);
    strange.send(&sealed);
    strange.expect("POST /longest ")
}

fn types() -> Vec<Probe> {
    let mut all = Vec::new();
    for kind in [0, 1, 19, 24, 25, 99, 255] {
        all.push(then_wait(format!("type: {kind}, not sealed"), move |it| it.send(&record(kind, 0x0303, &[1, 2, 3]))));
        if kind > 0 {
            all.push(then_wait(format!("type: {kind} inside"), move |it| it.say(kind, &[1, 2, 3])));
            all.push(then_wait(format!("type: {kind} inside, empty"), move |it| it.say(kind, &[])));
        }
    }
    for kind in [content::CCS, content::ALERT, content::HANDSHAKE, 24, 0] {
        all.push(then_wait(format!("type: sealed data that says it is {kind}"), move |it| {
            let sealed = it.seal_inner(b"GET / HTTP/1.1\r\n\x17", kind, 0x0303);
            it.send(&sealed);
        }));
    }
    for version in [0x0000, 0x0300, 0x0301, 0x0304, 0x0305, 0xfefd, 0xffff] {
        all.push(then_get(format!("version {version:#06x} in a record"), move |it| {
            let sealed = it.seal_inner(&[content::DATA], content::DATA, version);
            it.send(&sealed);
        }));
    }
    all.push(then_wait("type: data not sealed", |it| {
        it.send(&record(content::DATA, 0x0303, b"GET / HTTP/1.1\r\n\r\n"))
    }));
    all.push(then_wait("type: an alert not sealed", |it| it.send(&record(content::ALERT, 0x0303, &[2, 40]))));
    all.push(then_wait("type: close_notify not sealed", |it| it.send(&record(content::ALERT, 0x0303, &[1, 0]))));
    all.push(then_wait("type: a KeyUpdate not sealed", |it| {
        it.send(&record(content::HANDSHAKE, 0x0303, &handshake(message::KEY_UPDATE, &[0])));
    }));
    all.push(then_wait("type: CCS afterwards", |it| it.send(&record(content::CCS, 0x0303, &[1]))));
    all.push(then_wait("type: CCS afterwards, sealed", |it| it.say(content::CCS, &[1])));
    all
}

fn updates() -> Vec<Probe> {
    let update = |value: &[u8]| handshake(message::KEY_UPDATE, value);
    let mut all = vec![];
    for asks in [0, 1] {
        all.push(then_get(format!("update: a right one ({asks})"), move |it| {
            it.say(content::HANDSHAKE, &handshake(message::KEY_UPDATE, &[asks]));
            it.renew();
        }));
        all.push(then_get(format!("update: eight, with data between ({asks})"), move |it| {
            for _ in 0..8 {
                it.say(content::HANDSHAKE, &handshake(message::KEY_UPDATE, &[asks]));
                it.renew();
                assert_eq!(it.get("/between"), Verdict::Served);
            }
        }));
        all.push(then_get(format!("update: with padding ({asks})"), move |it| {
            let sealed = it.seal_padded(content::HANDSHAKE, &handshake(message::KEY_UPDATE, &[asks]), 1000);
            it.send(&sealed);
            it.renew();
        }));
        all.push(then_get(format!("update: the old key afterwards ({asks})"), move |it| {
            it.say(content::HANDSHAKE, &handshake(message::KEY_UPDATE, &[asks]));
        }));
        all.push(then_wait(format!("update: two in one record ({asks})"), move |it| {
            let one = handshake(message::KEY_UPDATE, &[asks]);
            it.say(content::HANDSHAKE, &[one.clone(), one].concat());
        }));
        all.push(then_wait(format!("update: followed by half a message ({asks})"), move |it| {
            let one = handshake(message::KEY_UPDATE, &[asks]);
            it.say(content::HANDSHAKE, &[one, vec![24, 0]].concat());
        }));
    }
    for value in [2, 3, 128, 255] {
        all.push(then_wait(format!("update: value {value}"), move |it| it.say(content::HANDSHAKE, &update(&[value]))));
    }
    for length in [0, 2, 100] {
        all.push(then_wait(format!("update: {length} values"), move |it| {
            it.say(content::HANDSHAKE, &update(&vec![0; length]));
        }));
    }
    for cut in 1..5 {
        all.push(then_get(format!("update: in two records, cut at {cut}"), move |it| {
            let whole = handshake(message::KEY_UPDATE, &[1]);
            it.say(content::HANDSHAKE, &whole[..cut]);
            it.say(content::HANDSHAKE, &whole[cut..]);
            it.renew();
        }));
    }
    all.push(then_wait("update: half of one, then data", |it| {
        it.say(content::HANDSHAKE, &[24, 0, 0]);
        it.say(content::DATA, b"GET / HTTP/1.1\r\n\r\n");
    }));
    all.push(then_wait("update: half of one, then an empty record", |it| {
        it.say(content::HANDSHAKE, &[24, 0, 0]);
        it.say(content::HANDSHAKE, &[]);
    }));
    all
}

fn messages() -> Vec<Probe> {
    let mut all = Vec::new();
    for kind in [
        0,
        message::CLIENT_HELLO,
        message::SERVER_HELLO,
        message::NEW_SESSION_TICKET,
        message::END_OF_EARLY_DATA,
        8,
        message::CERTIFICATE,
        message::CERTIFICATE_REQUEST,
        15,
        message::FINISHED,
        99,
        254,
    ] {
        all.push(then_wait(format!("message: {kind}, empty"), move |it| {
            it.say(content::HANDSHAKE, &handshake(kind, &[]))
        }));
        all.push(then_wait(format!("message: {kind}"), move |it| {
            it.say(content::HANDSHAKE, &handshake(kind, &[3; 48]));
        }));
    }
    all.push(then_wait("message: a whole ClientHello (renegotiation)", |it| {
        let hello = it_hello();
        it.say(content::HANDSHAKE, &hello);
    }));
    all.push(then_wait("message: an empty record of them", |it| it.say(content::HANDSHAKE, &[])));
    all.push(then_wait("message: one that says it has 16 MiB", |it| {
        it.say(content::HANDSHAKE, &[message::KEY_UPDATE, 255, 255, 255, 0]);
    }));
    all.push(then_wait("message: a ticket that says it has 16 MiB", |it| {
        it.say(content::HANDSHAKE, &[message::NEW_SESSION_TICKET, 255, 255, 255, 0]);
        (0..20).for_each(|_| it.say(content::HANDSHAKE, &[0; 16_000]));
    }));
    all
}

fn it_hello() -> Vec<u8> {
    crate::hello::Hello::usual(&[9; 32]).bytes()
}

fn alerts() -> Vec<Probe> {
    let mut all = vec![
        then_wait("alert: close_notify", |it| it.say(content::ALERT, &[1, 0])),
        then_wait("alert: close_notify, called fatal", |it| it.say(content::ALERT, &[2, 0])),
        then_get("alert: close_notify, and a request behind it", |it| it.say(content::ALERT, &[1, 0])),
        then_get("alert: user_canceled", |it| it.say(content::ALERT, &[1, 90])),
        then_wait("alert: user_canceled and close_notify", |it| {
            it.say(content::ALERT, &[1, 90]);
            it.say(content::ALERT, &[1, 0]);
        }),
        then_wait("alert: an empty one", |it| it.say(content::ALERT, &[])),
        then_wait("alert: half of one", |it| it.say(content::ALERT, &[2])),
        then_wait("alert: in two records", |it| {
            it.say(content::ALERT, &[1]);
            it.say(content::ALERT, &[0]);
        }),
        then_wait("alert: two in one record", |it| it.say(content::ALERT, &[1, 0, 1, 0])),
        then_wait("alert: three bytes", |it| it.say(content::ALERT, &[1, 0, 0])),
    ];
    for (level, description) in
        [(1, 10), (1, 112), (1, 255), (2, 20), (2, 40), (2, 80), (2, 255), (0, 0), (3, 0), (255, 40)]
    {
        all.push(then_get(format!("alert: {level} {description}"), move |it| {
            it.say(content::ALERT, &[level, description])
        }));
    }
    all
}

/// How much of what brings nothing forward is borne.
fn floods() -> Vec<Probe> {
    let mut all = Vec::new();
    for count in [31, 32, 33, 200] {
        for asks in [0, 1] {
            all.push(then_get(format!("flood: {count} KeyUpdates ({asks})"), move |it| {
                for _ in 0..count {
                    it.say(content::HANDSHAKE, &handshake(message::KEY_UPDATE, &[asks]));
                    it.renew();
                }
            }));
        }
        all.push(then_get(format!("flood: {count} empty records"), move |it| {
            (0..count).for_each(|_| it.say(content::DATA, &[]));
        }));
    }
    for count in [1, 4, 5, 50] {
        all.push(then_get(format!("flood: {count} times user_canceled"), move |it| {
            (0..count).for_each(|_| it.say(content::ALERT, &[1, 90]));
        }));
    }
    all
}

fn tampering() -> Vec<Probe> {
    let mut all = Vec::new();
    let request = b"GET /tampered HTTP/1.1\r\nHost: www.test\r\n\r\n";
    for (what, from_end) in
        [("the last byte of the tag", 1), ("the first byte of the tag", 16), ("the type", 17), ("the text", 30)]
    {
        for bit in [1, 128] {
            all.push(then_wait(format!("tampering: {what}, bit {bit}"), move |it| {
                let mut sealed = it.seal(content::DATA, request);
                let at = sealed.len() - from_end;
                sealed[at] ^= bit;
                it.send(&sealed);
            }));
        }
    }
    all.push(then_wait("tampering: the length, one less", |it| {
        let mut sealed = it.seal(content::DATA, request);
        sealed[4] -= 1;
        sealed.pop();
        it.send(&sealed);
    }));
    all.push(then_wait("tampering: one byte more", |it| {
        let mut sealed = it.seal(content::DATA, request);
        sealed[4] += 1;
        sealed.push(0);
        it.send(&sealed);
    }));
    all.push(then_wait("replay: an empty record twice", |it| {
        let sealed = it.seal(content::DATA, &[]);
        it.send(&[sealed.clone(), sealed].concat());
    }));
    all.push(then_wait("order: two records exchanged", |it| {
        let (first, second) = (it.seal(content::DATA, b"GET"), it.seal(content::DATA, b" / "));
        it.send(&[second, first].concat());
    }));
    all.push(then_get("order: a record left out", |it| {
        let _ = it.seal(content::DATA, &[]);
    }));
    all.push(then_get("tampering: a generation left out", |it| {
        it.say(content::HANDSHAKE, &handshake(message::KEY_UPDATE, &[0]));
        it.renew();
        it.renew();
    }));
    all
}

fn ends() -> Vec<Probe> {
    vec![
        then_wait("end: FIN without close_notify", Strange::hang_up),
        then_wait("end: FIN after close_notify", |it| {
            it.say(content::ALERT, &[1, 0]);
            it.hang_up();
        }),
        then_wait("end: FIN in the middle of a head", |it| {
            it.send(&[content::DATA, 3, 3]);
            it.hang_up();
        }),
        then_wait("end: FIN in the middle of a record", |it| {
            let sealed = it.seal(content::DATA, b"GET / HTTP/1.1\r\n\r\n");
            it.send(&sealed[..20]);
            it.hang_up();
        }),
        then_wait("end: plain HTTP", |it| it.send(b"GET / HTTP/1.1\r\nHost: www.test\r\n\r\n")),
        then_wait("end: another hello, in the clear", |it| it.send(&record(content::HANDSHAKE, 0x0301, &it_hello()))),
    ]
}
