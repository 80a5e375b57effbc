//! The stream over a real socket, with a record layer as its client: bytes both ways, ends, and a client that asks for keys but reads nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream as Socket};

use common::ipc::messages::terminator_to_filter::{Direction as Sent, KeyedDirection};
use common::ipc::secret::Secret as SentSecret;
use tls_record::{Direction, RecordLayer, Secret, State, Suite, tls12};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const SUITE: Suite = Suite::Aes128GcmSha256;

/// A stream, and the client's socket and record layer.
fn pair() -> (TlsStream, Socket, RecordLayer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Socket::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let (ours, theirs) = ([1; 32], [2; 32]);
    let sent = |secret: &[u8]| Sent { secret: SentSecret::new(secret).unwrap(), sequence: 0 };
    let secrets =
        Tls13Secrets { suite: SUITE.into(), read: sent(&theirs), write: sent(&ours), received: Vec::new().into() };
    let direction = |secret: &[u8]| Direction { secret: Secret::new(SUITE, secret).unwrap(), sequence: 0 };
    let state = State { suite: SUITE, read: direction(&ours), write: direction(&theirs) };
    let stream =
        TlsStream::tls13(TcpStream::from_std(socket).unwrap(), secrets, Limits::default(), Clock::new()).unwrap();
    (stream, client, RecordLayer::new(state, Limits::default()).unwrap())
}

/// The same in TLS 1.2, with a suite that has explicit nonces, somewhere in the middle of a connection.
fn pair_tls12() -> (TlsStream, Socket, tls12::RecordLayer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Socket::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let suite = tls12::Suite::try_from(0xc02f).unwrap();
    let sent = |byte, sequence| KeyedDirection {
        key: SentSecret::new(&[byte; 16]).unwrap(),
        iv: SentSecret::new(&[byte; 12]).unwrap(),
        sequence,
    };
    let keys = Tls12Keys { suite: suite.into(), read: sent(2, 7), write: sent(1, 3), received: Vec::new().into() };
    let direction = |byte, sequence| tls12::Direction {
        keys: tls12::Keys::new(suite, &[byte; 16], &[byte; 12]).unwrap(),
        sequence,
    };
    let state = tls12::State { suite, read: direction(1, 3), write: direction(2, 7) };
    // A limit of records per key that TLS 1.3 would heed by taking another key.
    let limits = Limits { records_per_key: 2, ..Limits::default() };
    let stream = TlsStream::tls12(TcpStream::from_std(socket).unwrap(), keys, limits, Clock::new()).unwrap();
    (stream, client, tls12::RecordLayer::new(state, Limits::default()).unwrap())
}

/// Opens all of `bytes`, whole records of TLS 1.2: the plaintext, and whether close_notify came.
fn open_tls12(layer: &mut tls12::RecordLayer, bytes: &mut [u8]) -> (Vec<u8>, bool) {
    let (mut text, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match layer.open(&mut bytes[at..]).unwrap() {
            Opened::Data { consumed, plain } => {
                text.extend_from_slice(plain);
                at += consumed;
            }
            Opened::Nothing { consumed } => at += consumed,
            Opened::Incomplete { .. } => panic!("a record is not whole"),
            Opened::Closed { .. } => return (text, true),
        }
    }
    (text, false)
}

#[test]
fn tls12_goes_both_ways_in_small_records_first_and_ends() {
    run(async {
        let (mut stream, mut client, mut layer) = pair_tls12();
        let mut hello = Vec::new();
        layer.seal(&[IoSlice::new(b"hello")], usize::MAX, MAX_PLAINTEXT, &mut hello).unwrap();
        layer.close(&mut hello);
        client.write_all(&hello).unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).await.unwrap();
        assert_eq!(text, b"hello");
        let body: Vec<u8> = (0..40_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
        stream.write_all(&body).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        let first = usize::from(u16::from_be_bytes([answer[3], answer[4]]));
        assert_eq!(5 + first, 1_500 - 40 - 32, "one packet");
        let (text, closed) = open_tls12(&mut layer, &mut answer);
        assert!(text == body && closed, "{} bytes", text.len());
    });
}

#[test]
fn a_tls12_client_that_wants_to_shake_hands_again_is_told_no_and_goes_on_and_so_does_a_successor() {
    run(async {
        let (mut stream, mut client, mut layer) = pair_tls12();
        let hello = peer_hello(&mut layer, b"before");
        client.write_all(&hello).unwrap();
        let mut text = [0; 6];
        stream.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"before");
        let read =
            poll_fn(|cx| Poll::Ready(Pin::new(&mut stream).poll_read(cx, &mut ReadBuf::new(&mut text)).is_ready()));
        assert!(!read.await, "nothing more to read");
        let mut refusal = [0; 5 + 8 + 2 + 16];
        client.read_exact(&mut refusal).unwrap();
        assert!(matches!(layer.open(&mut refusal), Ok(Opened::Nothing { .. })), "a warning");

        assert!(stream.is_movable());
        let Parted { socket, kind, ahead } = stream.part().unwrap();
        let Some(common::ipc::messages::terminator_to_filter::Kind::Tls12Keys(keys)) = kind else { panic!() };
        assert!(ahead.is_empty() && keys.received.is_empty());
        assert_eq!((keys.suite, keys.read.sequence, keys.write.sequence), (0xc02f, 9, 4));
        let socket = TcpStream::from_std(socket.into()).unwrap();
        let mut stream = TlsStream::tls12(socket, *keys, Limits::default(), Clock::new()).unwrap();
        stream.write_all(b"after").await.unwrap();
        AsyncWriteExt::flush(&mut stream).await.unwrap();
        let mut answer = [0; 5 + 8 + 5 + 16];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(open_tls12(&mut layer, &mut answer), (b"after".to_vec(), false));
    });
}

/// `text`, then a ClientHello without anything in it: bytes of a peer that was made for this, as our layer never asks for a handshake.
fn peer_hello(layer: &mut tls12::RecordLayer, text: &[u8]) -> Vec<u8> {
    use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let mut out = Vec::new();
    layer.seal(&[IoSlice::new(text)], usize::MAX, MAX_PLAINTEXT, &mut out).unwrap(); // number 7
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[2; 16]).unwrap());
    let (explicit, mut body) = ([9; 8], vec![1, 0, 0, 0]);
    let nonce: [u8; 12] = [&[2; 4][..], &explicit].concat().try_into().unwrap();
    let data = [0, 0, 0, 0, 0, 0, 0, 8, 22, 3, 3, 0, 4];
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(data), &mut body).unwrap();
    [&out[..], &[22, 3, 3, 0, 28], &explicit, &body].concat()
}

fn run<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

fn seal(layer: &mut RecordLayer, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    layer.seal(&[IoSlice::new(text)], usize::MAX, MAX_PLAINTEXT, &mut out).unwrap();
    out
}

/// Opens what `bytes` hold in whole records, and takes those off.
fn open(layer: &mut RecordLayer, bytes: &mut Vec<u8>) -> Vec<u8> {
    let (mut text, mut at) = (Vec::new(), 0);
    loop {
        match layer.open(&mut bytes[at..]).unwrap() {
            Opened::Data { consumed, plain } => {
                text.extend_from_slice(plain);
                at += consumed;
            }
            Opened::Nothing { consumed } => at += consumed,
            Opened::Incomplete { .. } | Opened::Closed { .. } => break,
        }
    }
    bytes.drain(..at);
    text
}

#[test]
fn bytes_and_ends_travel_both_ways() {
    run(async {
        let (mut stream, mut client, mut layer) = pair();
        let mut hello = seal(&mut layer, b"hello");
        layer.close(&mut hello);
        client.write_all(&hello).unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).await.unwrap();
        assert_eq!(text, b"hello");
        stream.write_all(b"good bye").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(open(&mut layer, &mut answer), b"good bye");
        assert!(matches!(layer.open(&mut answer), Ok(Opened::Closed { .. })));
        assert_eq!(layer.end(), Ok(()));
    });
}

/// Asks for a new key of the other side, as no [`RecordLayer`] does: bytes of a peer that was made for this.
struct Asking {
    secret: Vec<u8>,
    sequence: u64,
}

impl Asking {
    /// A record that holds `content` of this type.
    fn record(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &self.expand("key", 16)).unwrap());
        let mut nonce: [u8; 12] = self.expand("iv", 12).try_into().unwrap();
        nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
        self.sequence += 1;
        let mut body = [content, &[kind]].concat();
        let header = [23, 3, 3, 0, u8::try_from(body.len() + 16).unwrap()];
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(header), &mut body).unwrap();
        [&header[..], &body].concat()
    }

    fn ask(&mut self) -> Vec<u8> {
        let record = self.record(22, &[24, 0, 0, 1, 1]);
        *self = Self { secret: self.expand("traffic upd", 32), sequence: 0 };
        record
    }

    /// HKDF-Expand-Label (RFC 8446 §7.1) of at most 32 bytes.
    fn expand(&self, label: &str, length: u8) -> Vec<u8> {
        use aws_lc_rs::hmac;
        let label = format!("tls13 {label}");
        let info = [&[0, length, u8::try_from(label.len()).unwrap()], label.as_bytes(), &[0, 1]].concat();
        let block = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.secret), &info);
        block.as_ref()[..usize::from(length)].to_vec()
    }
}

#[test]
fn a_client_that_asks_for_keys_and_does_not_read_gets_one_answer() {
    run(async {
        let (mut stream, mut client, mut layer) = pair();
        // Fill the way to the client, until the kernel takes no more for a while.
        let block = vec![b'x'; STEP];
        let (mut written, mut full) = (0, 0);
        while full < 20 {
            poll_fn(|cx| {
                match stream.flush(cx) {
                    Poll::Pending => full += 1,
                    Poll::Ready(done) => {
                        done.unwrap();
                        full = 0;
                        if let Poll::Ready(count) = Pin::new(&mut stream).poll_write(cx, &block) {
                            written += count.unwrap();
                        }
                    }
                }
                Poll::Ready(())
            })
            .await;
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let held = stream.unsent.len();
        assert!(held > 0);
        let mut asking = Asking { secret: vec![2; 32], sequence: 0 };
        for _ in 0..2_000 {
            client.write_all(&[asking.record(23, b"!"), asking.ask()].concat()).unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), b'!');
        }
        assert!(stream.unsent.len() <= held, "{} bytes have been piled up", stream.unsent.len() - held);

        // The client reads at last: everything, then what is written under the new key.
        let writing = async {
            stream.write_all(b"the end").await.unwrap();
            AsyncWriteExt::flush(&mut stream).await.unwrap();
        };
        let reading = tokio::task::spawn_blocking(move || {
            let (mut bytes, mut text, mut buffer) = (Vec::new(), Vec::new(), vec![0; 1 << 16]);
            while text.len() < written + 7 {
                let count = client.read(&mut buffer).unwrap();
                assert!(count > 0, "{} of {} bytes", text.len(), written + 7);
                bytes.extend_from_slice(&buffer[..count]);
                text.append(&mut open(&mut layer, &mut bytes));
            }
            assert!(text.ends_with(b"xthe end"));
        });
        let (read, ()) = tokio::join!(reading, writing);
        read.unwrap();
    });
}

#[test]
fn a_client_that_breaks_the_protocol_is_told_even_if_the_way_to_it_is_full() {
    run(async {
        let (mut stream, mut client, _) = pair();
        stream.unsent = vec![0; 10]; // as if the socket had not taken it
        client.write_all(&[20, 3, 3, 0, 1, 1]).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(fault(&error), Some(&Fault::Unprotected(20)));
        drop(stream);
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 10 + 5 + 2 + 17, "what was left, and the alert behind it");
    });
}
