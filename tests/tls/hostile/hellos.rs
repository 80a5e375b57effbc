//! Hellos of all kinds: strange ones that must be accepted, wrong ones that must not. The router reads each before the terminator
//! does, and both must read the same.

use crate::hello::{GREASE, Hello, P256, X25519, extension, numbers, share, short_vector, vector};
use crate::strange::{Strange, Verdict, content, handshake, message, record};

use super::{Probe, probe};

/// A hello that was changed, and if it is accepted, the rest of the handshake and a request.
fn hello(name: impl Into<String>, change: impl Fn(&mut Hello) + Send + Sync + 'static) -> Probe {
    probe(name, move |address| {
        let mut it = Strange::dial(address);
        let mut hello = it.usual_hello();
        change(&mut hello);
        it.send_hello(&hello);
        go_on(it)
    })
}

/// A hello that is sent in a way of its own.
fn sent(name: impl Into<String>, send: impl Fn(&mut Strange, &[u8]) + Send + Sync + 'static) -> Probe {
    probe(name, move |address| {
        let mut it = Strange::dial(address);
        let hello = it.usual_hello();
        let hello = it.note_hello(&hello);
        send(&mut it, &hello);
        go_on(it)
    })
}

fn go_on(mut it: Strange) -> Verdict {
    match it.server_flight() {
        Verdict::Accepted if it.is_ready() => {
            let finished = it.finished();
            it.say(content::HANDSHAKE, &finished);
            it.go_on();
            it.get("/hello")
        }
        other => other,
    }
}

/// The share of a usual hello.
fn public(hello: &mut Hello) -> Vec<u8> {
    hello.extension(extension::KEY_SHARE)[6..].to_vec()
}

pub fn probes() -> Vec<Probe> {
    [order(), fields(), groups(), versions(), missing(), psk(), retried(), early(), large(), transport()]
        .into_iter()
        .flatten()
        .collect()
}

fn order() -> Vec<Probe> {
    let mut all = vec![
        hello("hello: the usual one", |_| {}),
        hello("hello: extensions the other way round", |it| it.extensions.reverse()),
        hello("hello: GREASE everywhere", |it| {
            it.suites.insert(0, GREASE);
            it.with(GREASE, &[]);
            it.extensions.push((0x2a2a, vec![0]));
            *it.extension(extension::SUPPORTED_GROUPS) = vector(&numbers(&[GREASE, X25519]));
            *it.extension(extension::SUPPORTED_VERSIONS) = short_vector(&numbers(&[GREASE, 0x0304]));
            let public = public(it);
            let shares = [share(GREASE, &[0]), share(X25519, &public)].concat();
            *it.extension(extension::KEY_SHARE) = vector(&shares);
        }),
        hello("hello: padding of 10,000 bytes", |it| it.with(extension::PADDING, &[0; 10_000])),
        hello("hello: a cookie that nobody gave", |it| it.with(extension::COOKIE, &vector(b"cookie"))),
        hello("hello: post_handshake_auth", |it| it.with(extension::POST_HANDSHAKE_AUTH, &[])),
        hello("hello: one byte behind the extensions", |it| it.trailing = vec![0]),
    ];
    for rotation in 1..7 {
        all.push(hello(format!("hello: extensions rotated by {rotation}"), move |it| {
            it.extensions.rotate_left(rotation)
        }));
    }
    for count in [10, 100, 1000, 3000] {
        all.push(hello(format!("hello: {count} unknown extensions"), move |it| {
            it.extensions.extend((0..count).map(|at| (0x4000 + at, Vec::new())));
        }));
    }
    for number in [extension::SERVER_NAME, extension::KEY_SHARE, extension::SUPPORTED_VERSIONS, extension::ALPN, 0x4000]
    {
        all.push(hello(format!("hello: extension {number} twice"), move |it| {
            let body = it.extensions.iter().find(|(own, _)| *own == number).map(|(_, body)| body.clone());
            let body = body.unwrap_or_default();
            it.extensions.push((number, body.clone()));
            if number == 0x4000 {
                it.extensions.push((number, body));
            }
        }));
    }
    all
}

fn fields() -> Vec<Probe> {
    let mut all = vec![
        hello("hello: no session id", |it| it.session.clear()),
        hello("hello: a session id of 33 bytes", |it| it.session = vec![1; 33]),
        hello("hello: a session id of 255 bytes", |it| it.session = vec![1; 255]),
        hello("hello: no suites", |it| it.suites.clear()),
        hello("hello: only suites that nobody has", |it| it.suites = vec![0x1304, 0x1305, 0x00ff, GREASE]),
        hello("hello: only suites of TLS 1.2", |it| it.suites = vec![0xc02b, 0xc02f]),
        hello("hello: a thousand suites", |it| it.suites = (0x6000..0x63e8).chain([0x1301]).collect()),
        hello("hello: no compression methods", |it| it.compression.clear()),
        hello("hello: compression only", |it| it.compression = vec![1]),
        hello("hello: compression, too", |it| it.compression = vec![1, 0]),
        hello("hello: no extensions at all", |it| it.extensions.clear()),
    ];
    for session in [1, 8, 31] {
        all.push(hello(format!("hello: a session id of {session} bytes"), move |it| it.session = vec![1; session]));
    }
    for (what, body) in [
        ("empty", vec![]),
        ("an empty list", vec![0, 0]),
        ("cut off", vec![0, 11, 0, 0, 8, b'w', b'w']),
        ("of another kind", vector(&[&[5][..], &vector(b"www.test")].concat())),
        ("an empty name", vector(&[&[0][..], &vector(b"")].concat())),
        ("two names", vector(&[&[0][..], &vector(b"www.test"), &[0], &vector(b"p384.test")].concat())),
        ("with a zero in it", vector(&[&[0][..], &vector(b"www.test\0.x")].concat())),
        ("an address", vector(&[&[0][..], &vector(b"127.0.0.1")].concat())),
        ("with a dot behind", vector(&[&[0][..], &vector(b"www.test.")].concat())),
        ("in capitals", vector(&[&[0][..], &vector(b"WWW.TEST")].concat())),
        ("with a byte behind", [vector(&[&[0][..], &vector(b"www.test")].concat()), vec![0]].concat()),
    ] {
        all.push(hello(format!("name: {what}"), move |it| it.extension(extension::SERVER_NAME).clone_from(&body)));
    }
    for (what, body) in [
        ("empty", vec![]),
        ("an empty list", vec![0, 0]),
        ("an empty protocol", vec![0, 1, 0]),
        ("nothing we have", vector(b"\x04imap")),
        ("cut off", vec![0, 9, 8, b'h']),
        ("many", vector(&[b"\x03abc".repeat(500), b"\x08http/1.1".to_vec()].concat())),
    ] {
        all.push(hello(format!("alpn: {what}"), move |it| it.extension(extension::ALPN).clone_from(&body)));
    }
    all
}

fn groups() -> Vec<Probe> {
    let mut all = vec![
        hello("groups: unknown ones first", |it| {
            let many: Vec<u16> = (0x0100..0x0140).chain([X25519]).collect();
            *it.extension(extension::SUPPORTED_GROUPS) = vector(&numbers(&many));
        }),
        hello("groups: none", |it| *it.extension(extension::SUPPORTED_GROUPS) = vec![0, 0]),
        hello("groups: cut in half", |it| *it.extension(extension::SUPPORTED_GROUPS) = vec![0, 3, 0, 0x1d, 0]),
        hello("groups: unknown ones only", |it| {
            *it.extension(extension::SUPPORTED_GROUPS) = vector(&numbers(&[0x0100, 0x4588]));
        }),
        hello("groups: the share's is not among them", |it| {
            *it.extension(extension::SUPPORTED_GROUPS) = vector(&numbers(&[P256]));
        }),
        hello("share: none", |it| *it.extension(extension::KEY_SHARE) = vec![0, 0]),
        hello("share: of an unknown group only", |it| {
            *it.extension(extension::KEY_SHARE) = vector(&share(0x0100, &[1; 32]))
        }),
        hello("share: zeroes", |it| *it.extension(extension::KEY_SHARE) = vector(&share(X25519, &[0; 32]))),
        hello("share: of order eight", |it| {
            let mut point = [0; 32];
            point[0] = 1;
            *it.extension(extension::KEY_SHARE) = vector(&share(X25519, &point));
        }),
        hello("share: P-256, no point of the curve", |it| {
            let point = [&[4][..], &[1; 64]].concat();
            *it.extension(extension::KEY_SHARE) = vector(&share(P256, &point));
        }),
        hello("share: P-256, at infinity", |it| *it.extension(extension::KEY_SHARE) = vector(&share(P256, &[0]))),
        hello("share: twice the same group", |it| {
            let one = share(X25519, &public(it));
            *it.extension(extension::KEY_SHARE) = vector(&[one.clone(), one].concat());
        }),
        hello("share: cut off", |it| *it.extension(extension::KEY_SHARE) = vec![0, 36, 0, 0x1d, 0, 32, 1]),
        hello("share: a byte behind", |it| it.extension(extension::KEY_SHARE).push(0)),
    ];
    for length in [0, 1, 31, 33, 64] {
        all.push(hello(format!("share: {length} bytes"), move |it| {
            *it.extension(extension::KEY_SHARE) = vector(&share(X25519, &vec![9; length]));
        }));
    }
    for (what, schemes) in [
        ("unknown ones first", vec![0x0f0f, 0xfe00, 0x0403]),
        ("unknown ones only", vec![0x0f0f, 0xfe00]),
        ("none", vec![]),
        ("SHA-1 only", vec![0x0201, 0x0203]),
        ("PKCS #1 only", vec![0x0401]),
    ] {
        all.push(hello(format!("signatures: {what}"), move |it| {
            *it.extension(extension::SIGNATURE_ALGORITHMS) = vector(&numbers(&schemes));
        }));
    }
    all
}

fn versions() -> Vec<Probe> {
    let mut all = Vec::new();
    for version in [0x0000, 0x0002, 0x0300, 0x0301, 0x0302, 0x0304, 0x0305, 0x7f1c, 0xffff] {
        all.push(hello(format!("version: legacy {version:#06x}"), move |it| it.version = version));
    }
    for (what, list) in [
        ("1.3 behind unknown ones", vec![0x7f1c, 0x0505, 0x0304]),
        ("unknown ones only", vec![0x0305, 0x7f1c]),
        ("1.1 and 1.0 only", vec![0x0302, 0x0301]),
        ("none", vec![]),
        ("a hundred", (0x1000..0x1063).chain([0x0304]).collect()),
    ] {
        all.push(hello(format!("version: {what}"), move |it| {
            *it.extension(extension::SUPPORTED_VERSIONS) = short_vector(&numbers(&list));
        }));
    }
    all.push(hello("version: cut in half", |it| *it.extension(extension::SUPPORTED_VERSIONS) = vec![3, 3, 4, 3]));
    all
}

fn missing() -> Vec<Probe> {
    [
        extension::SERVER_NAME,
        extension::SUPPORTED_GROUPS,
        extension::SIGNATURE_ALGORITHMS,
        extension::ALPN,
        extension::PSK_MODES,
        extension::KEY_SHARE,
    ]
    .into_iter()
    .map(|number| hello(format!("missing: extension {number}"), move |it| it.without(number)))
    .collect()
}

fn psk() -> Vec<Probe> {
    let identity = |length: usize| vector(&[vector(&vec![7; length]), vec![0, 0, 0, 0]].concat());
    let offer =
        move |length: usize, binder: usize| [identity(length), vector(&short_vector(&vec![3; binder]))].concat();
    let mut all = vec![
        hello("psk: early_data without one", |it| it.with(extension::EARLY_DATA, &[])),
        hello("psk: not the last extension", move |it| it.with(extension::PRE_SHARED_KEY, &offer(100, 32))),
        hello("psk: without modes", move |it| {
            it.without(extension::PSK_MODES);
            it.extensions.push((extension::PRE_SHARED_KEY, offer(100, 32)));
        }),
        hello("psk: modes empty", |it| *it.extension(extension::PSK_MODES) = vec![0]),
        hello("psk: modes unknown", |it| *it.extension(extension::PSK_MODES) = vec![2, 7, 9]),
        hello("psk: empty", |it| it.extensions.push((extension::PRE_SHARED_KEY, vec![]))),
        hello("psk: more binders than identities", move |it| {
            let binders = vector(&short_vector(&[3; 32]).repeat(2));
            it.extensions.push((extension::PRE_SHARED_KEY, [identity(50), binders].concat()));
        }),
    ];
    for (length, binder) in [(0, 32), (1, 32), (100, 0), (100, 31), (100, 32), (100, 48), (5000, 32)] {
        all.push(hello(format!("psk: a ticket of {length} bytes, a binder of {binder}"), move |it| {
            it.extensions.push((extension::PRE_SHARED_KEY, offer(length, binder)));
        }));
    }
    all
}

/// A first hello whose share is of no use, and what comes after the HelloRetryRequest.
fn retried() -> Vec<Probe> {
    let second = |name: &'static str, act: fn(&mut Strange, &mut Hello)| {
        probe(format!("retry: {name}"), move |address| {
            let mut it = Strange::dial(address);
            let mut hello = it.usual_hello();
            let share = hello.extension(extension::KEY_SHARE).clone();
            *hello.extension(extension::KEY_SHARE) = vec![0, 0];
            it.send_hello(&hello);
            let verdict = it.server_flight();
            if verdict != Verdict::Retry {
                return verdict;
            }
            *hello.extension(extension::KEY_SHARE) = share;
            act(&mut it, &mut hello);
            it.send_hello(&hello);
            go_on(it)
        })
    };
    vec![
        second("the right hello", |_, _| {}),
        second("CCS first", |it, _| it.send(&record(content::CCS, 0x0303, &[1]))),
        second("CCS three times", |it, _| (0..3).for_each(|_| it.send(&record(content::CCS, 0x0303, &[1])))),
        second("no share again", |_, hello| *hello.extension(extension::KEY_SHARE) = vec![0, 0]),
        second("a share of another group", |_, hello| {
            let point = [&[4][..], &[1; 64]].concat();
            *hello.extension(extension::KEY_SHARE) = vector(&share(P256, &point));
        }),
        second("another session id", |_, hello| hello.session = vec![9; 32]),
        second("other suites", |_, hello| hello.suites.reverse()),
        second("none of the suites", |_, hello| hello.suites = vec![0x1305]),
        second("another name", |_, hello| {
            let name = vector(&[&[0][..], &vector(b"p384.test")].concat());
            *hello.extension(extension::SERVER_NAME) = name;
        }),
        second("no name", |_, hello| hello.without(extension::SERVER_NAME)),
        second("a cookie that nobody gave", |_, hello| hello.with(extension::COOKIE, &vector(b"cookie"))),
        second("early_data", |_, hello| hello.with(extension::EARLY_DATA, &[])),
        second("data first", |it, _| it.send(&record(content::DATA, 0x0303, &[0x5a; 60]))),
        second("an alert first", |it, _| it.send(&record(content::ALERT, 0x0303, &[2, 40]))),
        second("a byte behind the extensions", |_, hello| hello.trailing = vec![0]),
    ]
}

/// Early data that nobody agreed to: it is skipped, up to some amount (RFC 8446 §4.2.10).
fn early() -> Vec<Probe> {
    let mut all = Vec::new();
    for (count, size) in [(0, 0), (1, 17), (1, 1000), (3, 5000), (1, 16_640), (20, 16_640)] {
        for offered in [true, false] {
            let name = format!(
                "early: {count} records of {size} bytes, {}",
                if offered { "announced" } else { "not announced" }
            );
            all.push(probe(name, move |address| {
                let mut it = Strange::dial(address);
                let mut hello = it.usual_hello();
                if offered {
                    let identity = vector(&[vector(&[7; 100]), vec![0, 0, 0, 0]].concat());
                    let binders = vector(&short_vector(&[3; 32]));
                    hello.with(extension::EARLY_DATA, &[]);
                    hello.extensions.push((extension::PRE_SHARED_KEY, [identity, binders].concat()));
                }
                it.send_hello(&hello);
                (0..count).for_each(|_| it.send(&record(content::DATA, 0x0303, &vec![0x5a; size])));
                go_on(it)
            }));
        }
    }
    all
}

/// Hellos of more than one record.
fn large() -> Vec<Probe> {
    let mut all = Vec::new();
    for size in [15_000, 16_100, 20_000, 30_000, 40_000, 60_000] {
        all.push(probe(format!("large: a hello with padding of {size} bytes"), move |address| {
            let mut it = Strange::dial(address);
            let mut hello = it.usual_hello();
            hello.with(extension::PADDING, &vec![0; size]);
            let hello = it.note_hello(&hello);
            for piece in hello.chunks(16_384) {
                it.send(&record(content::HANDSHAKE, 0x0301, piece));
            }
            go_on(it)
        }));
    }
    for count in [20, 32, 33, 100, 1000] {
        all.push(hello(format!("large: {count} protocols"), move |it| {
            let many: Vec<u8> = (1..count).flat_map(|at| short_vector(format!("{at:04}").as_bytes())).collect();
            *it.extension(extension::ALPN) = vector(&[many, short_vector(b"http/1.1")].concat());
        }));
    }
    all
}

fn transport() -> Vec<Probe> {
    let mut all = Vec::new();
    for version in [0x0300, 0x0301, 0x0302, 0x0303, 0x0304, 0x0000, 0xffff] {
        all.push(sent(format!("sent: in a record of version {version:#06x}"), move |it, hello| {
            it.send(&record(content::HANDSHAKE, version, hello));
        }));
    }
    for size in [1, 3, 4, 50] {
        all.push(sent(format!("sent: {size} bytes per record"), move |it, hello| {
            let records: Vec<u8> =
                hello.chunks(size).flat_map(|piece| record(content::HANDSHAKE, 0x0301, piece)).collect();
            it.send(&records);
        }));
    }
    all.push(sent("sent: an empty record first", |it, hello| {
        it.send(&[record(content::HANDSHAKE, 0x0301, &[]), record(content::HANDSHAKE, 0x0301, hello)].concat());
    }));
    all.push(sent("sent: half of it, then an alert", |it, hello| {
        it.send(&record(content::HANDSHAKE, 0x0301, &hello[..50]));
        it.send(&record(content::ALERT, 0x0301, &[1, 0]));
    }));
    all.push(sent("sent: half of it, then data", |it, hello| {
        it.send(&record(content::HANDSHAKE, 0x0301, &hello[..50]));
        it.send(&record(content::DATA, 0x0301, &hello[50..]));
    }));
    all.push(sent("sent: twice in one record", |it, hello| {
        it.send(&record(content::HANDSHAKE, 0x0301, &hello.repeat(2)))
    }));
    all.push(sent("sent: twice", |it, hello| it.send(&record(content::HANDSHAKE, 0x0301, hello).repeat(2))));
    all.push(sent("sent: with data behind it", |it, hello| {
        it.send(&record(content::HANDSHAKE, 0x0301, hello));
        it.send(&record(content::DATA, 0x0303, &[0x5a; 100]));
    }));
    all.push(sent("sent: Finished glued to it", |it, hello| {
        let both = [hello.to_vec(), handshake(message::FINISHED, &[0; 32])].concat();
        it.send(&record(content::HANDSHAKE, 0x0301, &both));
    }));
    for (what, bytes) in [
        ("a close_notify", record(content::ALERT, 0x0301, &[1, 0])),
        ("a fatal alert", record(content::ALERT, 0x0301, &[2, 40])),
        ("an empty alert", record(content::ALERT, 0x0301, &[])),
        ("data", record(content::DATA, 0x0301, &[1; 50])),
        ("an unknown type", record(99, 0x0301, &[1; 50])),
        ("an empty handshake message", record(content::HANDSHAKE, 0x0301, &handshake(message::CLIENT_HELLO, &[]))),
        ("a ServerHello", record(content::HANDSHAKE, 0x0301, &handshake(message::SERVER_HELLO, &[3; 80]))),
        ("a hello that says it has 16 MiB", record(content::HANDSHAKE, 0x0301, &[1, 255, 255, 255, 3, 3])),
        ("a record that says it has 65535 bytes", vec![content::HANDSHAKE, 3, 1, 255, 255, 1, 0]),
        ("plain HTTP", b"GET / HTTP/1.1\r\nHost: www.test\r\n\r\n".to_vec()),
        ("SSLv2", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10".to_vec()),
        ("nothing", Vec::new()),
    ] {
        all.push(probe(format!("first: {what}"), move |address| {
            let mut it = Strange::dial(address);
            it.send(&bytes);
            it.server_flight()
        }));
    }
    all
}
