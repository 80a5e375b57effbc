//! The client's last flight: a Finished that is wrong, cut or missing, what comes in its place, and what comes with it. The last
//! record of the handshake is where the terminator lets go of a connection, so what is glued to it matters most.

use crate::strange::{Strange, Verdict, content, handshake, message, record};

use super::{Probe, probe};

/// Up to the server's Finished; `act` does the rest, and a request follows.
fn last_flight(name: impl Into<String>, act: impl Fn(&mut Strange) + Send + Sync + 'static) -> Probe {
    probe(name, move |address| {
        let mut strange = Strange::up_to_finished(address, |_| {});
        act(&mut strange);
        strange.go_on();
        strange.get("/after")
    })
}

/// The same without the request.
fn last_word(name: impl Into<String>, act: impl Fn(&mut Strange) + Send + Sync + 'static) -> Probe {
    probe(name, move |address| {
        let mut strange = Strange::up_to_finished(address, |_| {});
        act(&mut strange);
        strange.verdict()
    })
}

/// The right one, sealed.
fn finish(it: &mut Strange) {
    let finished = it.finished();
    it.say(content::HANDSHAKE, &finished);
}

const CCS: &[u8] = &[1];

pub fn probes() -> Vec<Probe> {
    [finished(), glued(), compatibility(), instead(), suites()].into_iter().flatten().collect()
}

fn finished() -> Vec<Probe> {
    let mut all = vec![last_flight("finished: the right one", finish)];
    for at in [0, 1, 16, 31] {
        for bit in [1, 128] {
            all.push(last_word(format!("finished: byte {at} wrong by {bit}"), move |it| {
                let mut wrong = it.finished();
                wrong[4 + at] ^= bit;
                it.say(content::HANDSHAKE, &wrong);
            }));
        }
    }
    for length in [0, 1, 12, 31, 33, 48, 64, 1000] {
        all.push(last_word(format!("finished: {length} bytes"), move |it| {
            let mut body = it.finished()[4..].to_vec();
            body.resize(length, 0);
            it.say(content::HANDSHAKE, &handshake(message::FINISHED, &body));
        }));
    }
    all.push(last_word("finished: not sealed", |it| {
        let finished = it.finished();
        it.send(&record(content::HANDSHAKE, 0x0303, &finished));
    }));
    all.push(last_word("finished: sealed with the next keys", |it| {
        let finished = it.finished();
        it.go_on();
        it.say(content::HANDSHAKE, &finished);
    }));
    for cut in [1, 3, 4, 20, 35] {
        all.push(last_flight(format!("finished: in two records, cut at {cut}"), move |it| {
            let finished = it.finished();
            it.say(content::HANDSHAKE, &finished[..cut]);
            it.say(content::HANDSHAKE, &finished[cut..]);
        }));
    }
    all.push(last_flight("finished: a record for each byte", |it| {
        it.finished().iter().for_each(|byte| it.say(content::HANDSHAKE, &[*byte]));
    }));
    all.push(last_flight("finished: with padding", |it| {
        let finished = it.finished();
        let sealed = it.seal_padded(content::HANDSHAKE, &finished, 10_000);
        it.send(&sealed);
    }));
    all.push(last_word("finished: half of it, then an empty record", |it| {
        let finished = it.finished();
        it.say(content::HANDSHAKE, &finished[..10]);
        it.say(content::HANDSHAKE, &[]);
    }));
    all.push(last_word("finished: half of it, then the end", |it| {
        let finished = it.finished();
        it.say(content::HANDSHAKE, &finished[..10]);
        it.hang_up();
    }));
    all
}

fn glued() -> Vec<Probe> {
    let mut all = Vec::new();
    // In the record of Finished there must be nothing else: keys change behind it (§5.1).
    for (what, more) in [
        ("a KeyUpdate", handshake(message::KEY_UPDATE, &[0])),
        ("a KeyUpdate that asks", handshake(message::KEY_UPDATE, &[1])),
        ("another Finished", handshake(message::FINISHED, &[0; 32])),
        ("half a message", vec![24, 0]),
        ("a zero", vec![0]),
    ] {
        all.push(last_word(format!("glued to Finished: {what}"), move |it| {
            let both = [it.finished(), more.clone()].concat();
            it.say(content::HANDSHAKE, &both);
        }));
    }
    all.push(probe("in the segment of Finished: a request", |address| together(address, |_| Vec::new())));
    all.push(probe("in the segment of Finished: a KeyUpdate and a request", |address| {
        together(address, |it| {
            let update = it.seal(content::HANDSHAKE, &handshake(message::KEY_UPDATE, &[1]));
            it.renew();
            update
        })
    }));
    all.push(probe("in the segment of Finished: empty records and a request", |address| {
        together(address, |it| (0..5).flat_map(|_| it.seal(content::DATA, &[])).collect())
    }));
    all.push(probe("in the segment of Finished: noise", |address| {
        together(address, |_| record(content::DATA, 0x0303, &[0x5a; 60]))
    }));
    all.push(probe("in the segment of Finished: an unknown type", |address| together(address, |it| it.seal(99, &[1]))));
    all.push(probe("in the segment of Finished: a head that says 65535", |address| {
        together(address, |_| vec![content::DATA, 3, 3, 255, 255])
    }));
    all.push(probe("in the segment of Finished: a record too long", |address| {
        together(address, |_| record(content::DATA, 0x0303, &[0x5a; 16_384 + 257]))
    }));
    all.push(probe("in the segment of Finished: CCS", |address| {
        together(address, |_| record(content::CCS, 0x0303, CCS))
    }));
    all.push(probe("in the segment of Finished: close_notify", |address| {
        together(address, |it| it.seal(content::ALERT, &[1, 0]))
    }));
    all.push(probe("in the segment of Finished: a fatal alert", |address| {
        together(address, |it| it.seal(content::ALERT, &[2, 80]))
    }));
    all.push(probe("in the segment of Finished: half a record, and the end", |address| {
        let mut it = Strange::up_to_finished(address, |_| {});
        let finished = it.finished();
        let finished = it.seal(content::HANDSHAKE, &finished);
        it.go_on();
        let sealed = it.seal(content::DATA, b"GET / HTTP/1.1\r\n\r\n");
        it.send(&[finished, sealed[..20].to_vec()].concat());
        it.hang_up();
        it.verdict()
    }));
    all
}

/// Finished, what `more` makes with the new keys, and a request: in one segment.
fn together(address: std::net::SocketAddr, more: impl Fn(&mut Strange) -> Vec<u8>) -> Verdict {
    let mut it = Strange::up_to_finished(address, |_| {});
    let finished = it.finished();
    let finished = it.seal(content::HANDSHAKE, &finished);
    it.go_on();
    let more = more(&mut it);
    let request = it.seal(content::DATA, b"GET /together HTTP/1.1\r\nHost: www.test\r\n\r\n");
    it.send(&[finished, more, request].concat());
    it.expect("GET /together ")
}

fn compatibility() -> Vec<Probe> {
    let ccs = |it: &mut Strange, bytes: &[u8]| it.send(&record(content::CCS, 0x0303, bytes));
    let mut all = vec![
        last_flight("ccs: one", move |it| {
            ccs(it, CCS);
            finish(it);
        }),
        last_flight("ccs: two", move |it| {
            (0..2).for_each(|_| ccs(it, CCS));
            finish(it);
        }),
        last_flight("ccs: ten", move |it| {
            (0..10).for_each(|_| ccs(it, CCS));
            finish(it);
        }),
        last_word("ccs: sealed", |it| it.say(content::CCS, CCS)),
        last_flight("ccs: in the middle of Finished", move |it| {
            let finished = it.finished();
            it.say(content::HANDSHAKE, &finished[..10]);
            ccs(it, CCS);
            it.say(content::HANDSHAKE, &finished[10..]);
        }),
    ];
    for bytes in [&[][..], &[0], &[2], &[255], &[1, 1], &[1, 0]] {
        all.push(last_flight(format!("ccs: {bytes:?}"), move |it| {
            ccs(it, bytes);
            finish(it);
        }));
    }
    all.push(probe("ccs: before the hello", |address| {
        let mut it = Strange::dial(address);
        it.send(&record(content::CCS, 0x0303, CCS));
        let hello = it.usual_hello();
        it.send_hello(&hello);
        it.server_flight()
    }));
    all.push(probe("ccs: at once behind the hello", |address| {
        let mut it = Strange::dial(address);
        let hello = it.usual_hello();
        let hello = it.note_hello(&hello);
        it.send(&[record(content::HANDSHAKE, 0x0301, &hello), record(content::CCS, 0x0303, CCS)].concat());
        it.server_flight()
    }));
    all
}

fn instead() -> Vec<Probe> {
    vec![
        last_word("instead of Finished: data", |it| it.say(content::DATA, b"GET / HTTP/1.1\r\n\r\n")),
        last_word("instead of Finished: empty data", |it| it.say(content::DATA, &[])),
        last_word("instead of Finished: data not sealed", |it| {
            it.send(&record(content::DATA, 0x0303, b"GET / HTTP/1.1"))
        }),
        last_word("instead of Finished: a KeyUpdate", |it| {
            it.say(content::HANDSHAKE, &handshake(message::KEY_UPDATE, &[0]));
        }),
        last_word("instead of Finished: EndOfEarlyData", |it| {
            it.say(content::HANDSHAKE, &handshake(message::END_OF_EARLY_DATA, &[]));
        }),
        last_word("instead of Finished: a certificate", |it| {
            it.say(content::HANDSHAKE, &handshake(message::CERTIFICATE, &[0, 0, 0, 0]));
        }),
        last_word("instead of Finished: another hello", |it| {
            let hello = it.usual_hello().bytes();
            it.say(content::HANDSHAKE, &hello);
        }),
        last_word("instead of Finished: another hello, in the clear", |it| {
            let hello = it.usual_hello().bytes();
            it.send(&record(content::HANDSHAKE, 0x0303, &hello));
        }),
        last_word("instead of Finished: close_notify", |it| it.say(content::ALERT, &[1, 0])),
        last_word("instead of Finished: close_notify, in the clear", |it| {
            it.send(&record(content::ALERT, 0x0303, &[1, 0]))
        }),
        last_word("instead of Finished: a fatal alert", |it| it.say(content::ALERT, &[2, 40])),
        last_word("instead of Finished: a fatal alert, in the clear", |it| {
            it.send(&record(content::ALERT, 0x0303, &[2, 40]))
        }),
        last_word("instead of Finished: an empty alert", |it| it.send(&record(content::ALERT, 0x0303, &[]))),
        last_word("instead of Finished: an unknown type", |it| it.say(99, &[1, 2, 3])),
        last_word("instead of Finished: zeroes only", |it| {
            let sealed = it.seal_inner(&[0; 32], content::DATA, 0x0303);
            it.send(&sealed);
        }),
        last_word("instead of Finished: noise", |it| it.send(&record(content::DATA, 0x0303, &[0x5a; 53]))),
        last_word("instead of Finished: noise too long", |it| {
            it.send(&record(content::DATA, 0x0303, &[0x5a; 16_384 + 257]))
        }),
        last_word("instead of Finished: the end", Strange::hang_up),
    ]
}

fn suites() -> Vec<Probe> {
    [0x1301_u16, 0x1302, 0x1303]
        .into_iter()
        .map(|suite| {
            probe(format!("suite: {suite:#06x}"), move |address| {
                let mut it = Strange::open_with(address, |hello| hello.suites = vec![suite]);
                it.get("/suite")
            })
        })
        .collect()
}
