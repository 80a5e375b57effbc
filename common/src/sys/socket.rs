//! Socket and scheduling calls that no safe crate offers, and the taking over and passing on of descriptors.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Sets `SO_RCVLOWAT`: the socket counts as readable only when at least `bytes` are there (socket(7), Linux ≥ 2.4).
pub fn set_receive_low_water(socket: impl AsFd, bytes: usize) -> io::Result<()> {
    let value = libc::c_int::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    set_integer(socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, value)
}

/// Sets `TCP_DEFER_ACCEPT` on a listener (tcp(7)): a connection is handed out when its first byte is there, or after about
/// this long. Whole seconds, rounded up; zero leaves the listener as it is.
pub fn defer_accept(listener: impl AsFd, time: std::time::Duration) -> io::Result<()> {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    match libc::c_int::try_from(seconds).map_err(|_| io::ErrorKind::InvalidInput)? {
        0 => Ok(()),
        value => set_integer(listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, value),
    }
}

fn set_integer(socket: impl AsFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let raw = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed and so open; the pointer and size describe one c_int that outlives the call.
    let result = unsafe { libc::setsockopt(raw, level, option, std::ptr::from_ref(&value).cast(), size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts this process under `SCHED_BATCH` (sched(7)): being woken no longer preempts the process that woke it.
pub fn use_batch_scheduling() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: pid 0 is this process; the pointer is to a live, initialised sched_param.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes ownership of a descriptor that the process was started with. Marks it close-on-exec.
///
/// Only for descriptors that nothing else in this process knows: `listen_fds` calls it once per number at start-up.
pub fn adopt_inherited(number: RawFd) -> io::Result<OwnedFd> {
    if number <= libc::STDERR_FILENO {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: fcntl reads the number only; a closed one gives EBADF.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open (just checked), above standard error, and by the contract above owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Highest descriptor number that [`with_open_descriptors`] looks at. At start-up numbers are small and dense.
const HIGHEST: RawFd = 4096;

/// Calls `use_them` with every descriptor above standard error that is open now. For start-up, with one thread.
pub fn with_open_descriptors<R>(use_them: impl FnOnce(&[BorrowedFd<'_>]) -> R) -> R {
    let open = (3..HIGHEST).filter(|number| {
        // SAFETY: fcntl reads the number only; a closed one gives EBADF.
        unsafe { libc::fcntl(*number, libc::F_GETFD) >= 0 }
    });
    // SAFETY: each is open (just checked), there is one thread, and the borrow ends with this call.
    let borrowed: Vec<BorrowedFd<'_>> = open.map(|number| unsafe { BorrowedFd::borrow_raw(number) }).collect();
    use_them(&borrowed)
}

/// Makes `command` start with exactly these descriptors as 3, 4, 5 …, beside its standard three, and be killed when the
/// thread that starts it ends (prctl(2), `PR_SET_PDEATHSIG`), whatever ends it.
///
/// They are moved out of the way first, so that none overwrites another that is still to be placed. The descriptors given
/// must be fresh duplicates: they then occupy the lowest free numbers, so the pipe on which the standard library reports a
/// failed start, made later, lies above every number that is overwritten here.
pub fn pass_descriptors(command: &mut std::process::Command, descriptors: Vec<OwnedFd>) {
    use std::os::unix::process::CommandExt;
    let starter = libc::pid_t::try_from(std::process::id()).unwrap_or_default();
    let place = move || -> io::Result<()> {
        die_with(starter)?;
        let floor = 3 + libc::c_int::try_from(descriptors.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        for (target, descriptor) in (3..).zip(&descriptors) {
            let raw = descriptor.as_raw_fd();
            // SAFETY: plain descriptor arithmetic in the forked child; every number involved is open or checked.
            let moved = unsafe { libc::fcntl(raw, libc::F_DUPFD_CLOEXEC, floor.max(200)) };
            if moved < 0 {
                return Err(io::Error::last_os_error());
            }
            MOVED.with(|list| list.borrow_mut().push((moved, target)));
        }
        MOVED.with(|list| {
            for (moved, target) in list.borrow_mut().drain(..) {
                // SAFETY: as above; dup2 clears close-on-exec on the target, which is what the new program is to find.
                if unsafe { libc::dup2(moved, target) } < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        })
    };
    thread_local! {
        static MOVED: std::cell::RefCell<Vec<(libc::c_int, libc::c_int)>> = std::cell::RefCell::new(Vec::with_capacity(1024));
    }
    MOVED.with(|list| drop(list.borrow())); // allocates before the fork, not after it
    // SAFETY: the closure only calls prctl, getppid, fcntl and dup2 and touches memory that was allocated before the fork; the front door,
    // its only caller, has one thread.
    unsafe {
        command.pre_exec(place);
    }
}

/// In the child between fork and exec: asks to be killed with its parent. The parent may have ended before we asked.
fn die_with(parent: libc::pid_t) -> io::Result<()> {
    // SAFETY: prctl takes plain numbers here; getppid takes nothing and cannot fail.
    let (asked, now) = unsafe { (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), libc::getppid()) };
    match (asked, now == parent) {
        (0, true) => Ok(()),
        (0, false) => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        _ => Err(io::Error::last_os_error()),
    }
}
