//! Every test has a time limit: it runs in a thread of its own, and when the time is over the worlds it started are killed,
//! which wakes whatever it waits for, and the test fails.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Process groups started by one test.
type Groups = Arc<Mutex<HashSet<i32>>>;

thread_local! {
    static GROUPS: RefCell<Groups> = RefCell::default();
}

/// Notes a process group that must not outlive the test.
pub(crate) fn note_group(group: i32) {
    GROUPS.with_borrow(|groups| groups.lock().expect("no panic inside").insert(group));
}

/// The group has ended.
pub(crate) fn forget_group(group: i32) {
    GROUPS.with_borrow(|groups| groups.lock().expect("no panic inside").remove(&group));
}

/// Runs a test with a limit in seconds.
///
/// # Panics
/// When the test does, or when the time is over.
pub fn within(seconds: u64, test: impl FnOnce() + Send + 'static) {
    let groups = Groups::default();
    let (done, wait) = channel::<()>();
    let inner = Arc::clone(&groups);
    let name = thread::current().name().unwrap_or("test").to_owned();
    let running = thread::Builder::new().name(name.clone()).spawn(move || {
        GROUPS.set(inner);
        test();
        drop(done);
    });
    let running = running.expect("a thread");
    let late = wait.recv_timeout(Duration::from_secs(seconds)) == Err(RecvTimeoutError::Timeout);
    if late {
        let groups: Vec<i32> = groups.lock().expect("no panic inside").drain().collect();
        for group in groups {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        // A moment to print what its worlds logged.
        let _ = wait.recv_timeout(Duration::from_secs(5));
        panic!("{name} took longer than {seconds} s");
    }
    if let Err(panic) = running.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Asks again and again until the answer is `Some`, for at most `seconds`.
///
/// # Panics
/// When it never is.
pub fn eventually<T>(seconds: u64, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "not within {seconds} s: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_hangs_fails_and_one_that_panics_says_so() {
        let hangs = thread::spawn(|| within(1, || thread::sleep(Duration::from_secs(60))));
        assert!(hangs.join().unwrap_err().downcast_ref::<String>().unwrap().contains("longer than 1 s"));
        let panics = thread::spawn(|| within(5, || panic!("for a reason")));
        assert_eq!(panics.join().unwrap_err().downcast_ref::<&str>(), Some(&"for a reason"));
    }

    #[test]
    fn a_group_that_hangs_with_its_test_is_killed() {
        use std::os::unix::process::CommandExt;
        let hangs = thread::spawn(|| {
            within(1, || {
                let mut child = std::process::Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
                note_group(i32::try_from(child.id()).unwrap());
                child.wait().unwrap();
            });
        });
        assert!(hangs.join().is_err());
    }
}
