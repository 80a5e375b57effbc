//! Slow on purpose: clients that drip a byte a second hold a socket and nothing else. Others do not notice them, and they
//! cost no processor time, because nobody is woken for bytes that decide nothing.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use harness::backends::Backend;
use harness::clients::{http, raw, tls};
use harness::{World, processes, within};

const CLIENTS: usize = 200;
const SECONDS: u64 = 6;

/// One thread for all of them: a byte each, once a second.
fn drip(address: SocketAddr, bytes: Vec<u8>, over: &Arc<AtomicBool>) -> JoinHandle<usize> {
    let mut streams: Vec<TcpStream> = (0..CLIENTS).map(|_| raw::connect(address)).collect();
    let over = Arc::clone(over);
    thread::spawn(move || {
        for byte in bytes {
            let began = Instant::now();
            streams.iter_mut().for_each(|stream| drop(stream.write_all(&[byte])));
            while began.elapsed() < Duration::from_secs(1) {
                if over.load(Ordering::SeqCst) {
                    return streams.into_iter().filter_map(|mut stream| stream.write_all(b"x").ok()).count();
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        streams.len()
    })
}

fn innocent(world: &World) {
    let began = Instant::now();
    let mut stream = tls::client("www.test").connect(world.https()).unwrap();
    assert_eq!(http::get(&mut stream, "www.test", "/").unwrap().status, 200);
    tls::goodbye(stream);
    let mut stream = raw::connect(world.http());
    assert_eq!(http::get(&mut stream, "www.test", "/").unwrap().status, 200);
    assert!(began.elapsed() < Duration::from_secs(3), "an innocent client waited {:?}", began.elapsed());
}

fn under_drip(name: &str, victim: &str, bytes: Vec<u8>, to_https: bool) {
    let backend = Backend::application();
    let world = World::new(name)
        .set("http-filter", "header_deadline", "\"30s\"")
        .set("http-filter", "first_byte_deadline", "\"30s\"")
        .set("sni-router", "client_hello_deadline", "\"30s\"")
        .terminates(&["www.test"])
        .pool("app", &[backend.address()])
        .serves("app")
        .start();
    innocent(&world);
    let over = Arc::new(AtomicBool::new(false));
    let address = if to_https { world.https() } else { world.http() };
    let dripping = drip(address, bytes, &over);
    let pid = world.pid(victim);
    let before = processes::processor_seconds(pid).unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(SECONDS) {
        innocent(&world);
        thread::sleep(Duration::from_millis(400));
    }
    let used = processes::processor_seconds(pid).unwrap() - before;
    over.store(true, Ordering::SeqCst);
    let left = dripping.join().unwrap();
    assert!(left > CLIENTS / 2, "only {left} of {CLIENTS} were still there: the test tested nothing");
    // 1,200 bytes came; even a debug build must not need a millisecond for each.
    assert!(used < 1.0, "{victim} used {used} s for {CLIENTS} clients in {SECONDS} s");
}

#[test]
fn two_hundred_dripped_client_hellos_harm_nobody() {
    within(60, || under_drip("drip-hello", "sni-router", tls::client("www.test").hello().0, true));
}

#[test]
fn two_hundred_dripped_request_heads_harm_nobody() {
    within(60, || under_drip("drip-head", "http-filter", b"GET / HTTP/1.1\r\nHost: www.test\r\nX: y".to_vec(), false));
}
