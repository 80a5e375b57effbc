//! Plays the cases: each on a connection of its own, from an address of its own, so that its lines in the log are found by the client's
//! address and not a byte of the request has to be changed.

use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use harness::World;
use harness::clients::{from, http, tls};

use crate::cases::Case;
use crate::{wire, world};

/// Cases on their way at a time.
const AT_ONCE: usize = 6;

/// How a case travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Tcp,
    Tls,
}

/// The address that a case comes from.
pub fn address(over: Over, number: usize) -> Ipv4Addr {
    let first = if over == Over::Tls { 1 << 16 } else { 0 };
    from::client_address(first + u32::try_from(number).expect("a few thousand cases"))
}

/// The status of the answer to each case; `None` if there was none.
pub fn all(world: &World, over: Over, cases: &[Case]) -> Vec<Option<u16>> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(vec![None; cases.len()]);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some(case) = cases.get(number) else { return };
                    let answer = one(world, over, number, case).ok();
                    answers.lock().expect("no panic inside")[number] = answer;
                }
            });
        }
    });
    answers.into_inner().expect("no panic inside")
}

fn one(world: &World, over: Over, number: usize, case: &Case) -> io::Result<u16> {
    let bytes = wire::build(&case.input);
    let source = address(over, number);
    match over {
        Over::Tcp => ask(&mut from::connect_from(source, world.http())?, &bytes),
        Over::Tls => {
            let stream = from::connect_from(source, world.https())?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            let name = world::site(case).unwrap_or_else(|| world::SITE.to_owned());
            ask(&mut tls::client(&name).over(stream)?, &bytes)
        }
    }
}

/// Sends it all and reads the first answer.
fn ask(stream: &mut (impl Read + Write), bytes: &[u8]) -> io::Result<u16> {
    // A refusal may come, and the connection end, before the last byte is out.
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
    if bytes.starts_with(b"HEAD ") {
        let head = http::read_head(stream)?;
        return head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData.into());
    }
    http::read_answer(stream).map(|answer| answer.status)
}
