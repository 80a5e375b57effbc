//! Forbidden acts for the sandbox's self-report: each really makes its system call, with arguments that do no harm if the
//! call is let through (a program that does not exist, a size of zero, a child that ends at once) and leave nothing behind.
//!
//! Only [`crate::sandbox`] calls these. `Ok` or any error other than a refusal means the call reached the kernel.

use std::ffi::CStr;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// A path that exists nowhere.
const NOWHERE: &CStr = c"/bulkhead/no/such/path";

/// Size of the memory that the memory acts take.
const PAGE: usize = 4096;

/// Turns a kernel answer of -1 into an error.
fn check(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Makes a system call that takes only numbers.
///
/// # Safety
/// For this call and these arguments, the kernel must not read or write memory through any of the numbers.
unsafe fn numbers(call: libc::c_long, arguments: [libc::c_long; 5]) -> io::Result<libc::c_long> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: the caller promises that no argument is used as a pointer.
    check(unsafe { libc::syscall(call, a, b, c, d, e) })
}

/// Closes the descriptor a call returned.
fn close(answer: io::Result<libc::c_long>) -> io::Result<()> {
    let fd = RawFd::try_from(answer?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just returned this descriptor to us; nobody else owns it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

/// Starts a program that does not exist.
pub fn execute() -> io::Result<()> {
    let nothing = [ptr::null::<libc::c_char>()];
    // SAFETY: a valid C string and two empty, null-terminated lists; on success it does not return.
    check(libc::c_long::from(unsafe { libc::execve(NOWHERE.as_ptr(), nothing.as_ptr(), nothing.as_ptr()) })).map(drop)
}

/// Starts a child process that ends at once, and waits for it.
pub fn fork() -> io::Result<()> {
    // SAFETY: the child does nothing but `_exit`, which is allowed after a fork even with several threads.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: `_exit` ends the child without running any of our code.
        0 => unsafe { libc::_exit(0) },
        child => {
            let mut status = 0;
            // SAFETY: `status` is a valid place for one int; the child is ours.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            Ok(())
        }
    }
}

/// Asks to trace itself without being traced (`ESRCH` when the call is let through).
pub fn trace() -> io::Result<()> {
    let own = libc::c_long::from(std::process::id().cast_signed());
    // SAFETY: PTRACE_CONT uses no memory of ours, and fails because nobody is traced.
    unsafe { numbers(libc::SYS_ptrace, [libc::PTRACE_CONT.into(), own, 0, 0, 0]) }.map(drop)
}

/// Reads no bytes of its parent's memory.
pub fn read_foreign_memory() -> io::Result<()> {
    let parent = libc::c_long::from(std::os::unix::process::parent_id().cast_signed());
    let local = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
    // SAFETY: one valid, empty buffer on our side; one address on the other side with a length of zero.
    let answer = unsafe {
        libc::syscall(libc::SYS_process_vm_readv, parent, &raw const local, 1_i64, &raw const local, 1_i64, 0_i64)
    };
    check(answer).map(drop)
}

/// Mounts a file system of a type that does not exist (`ENODEV` when the call is let through).
pub fn mount() -> io::Result<()> {
    // SAFETY: three valid C strings, no flags, no data.
    let answer =
        unsafe { libc::mount(c"none".as_ptr(), c"/".as_ptr(), c"bulkhead-no-such-type".as_ptr(), 0, ptr::null()) };
    check(libc::c_long::from(answer)).map(drop)
}

/// Leaves no namespace: the call without any flag.
pub fn unshare() -> io::Result<()> {
    // SAFETY: one number, which asks for nothing.
    unsafe { numbers(libc::SYS_unshare, [0; 5]) }.map(drop)
}

/// Enters a namespace through a descriptor that does not exist.
pub fn enter_namespace() -> io::Result<()> {
    // SAFETY: two numbers.
    unsafe { numbers(libc::SYS_setns, [-1, 0, 0, 0, 0]) }.map(drop)
}

/// Changes the permissions of a path that does not exist.
pub fn change_mode() -> io::Result<()> {
    // SAFETY: a valid C string and a number.
    check(libc::c_long::from(unsafe { libc::chmod(NOWHERE.as_ptr(), 0) })).map(drop)
}

/// Deletes a path that does not exist.
pub fn delete() -> io::Result<()> {
    // SAFETY: a valid C string.
    check(libc::c_long::from(unsafe { libc::unlink(NOWHERE.as_ptr()) })).map(drop)
}

/// Makes a file that exists only in memory (and from which a program could be started).
pub fn memory_file() -> io::Result<()> {
    // SAFETY: a valid C string and a number.
    close(check(unsafe {
        libc::syscall(libc::SYS_memfd_create, c"bulkhead".as_ptr(), libc::c_long::from(libc::MFD_CLOEXEC))
    }))
}

/// Takes memory that is writable and executable at once.
pub fn writable_code() -> io::Result<()> {
    take_memory(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC).map(release)
}

/// Takes writable memory and makes it executable.
pub fn code_from_data() -> io::Result<()> {
    let memory = take_memory(libc::PROT_READ | libc::PROT_WRITE)?;
    // SAFETY: the page is ours alone; nothing in it is ever executed.
    let answer = check(libc::c_long::from(unsafe { libc::mprotect(memory, PAGE, libc::PROT_READ | libc::PROT_EXEC) }));
    release(memory);
    answer.map(drop)
}

/// One private page.
fn take_memory(protection: libc::c_int) -> io::Result<*mut libc::c_void> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice touches no existing memory.
    let memory = unsafe { libc::mmap(ptr::null_mut(), PAGE, protection, flags, -1, 0) };
    if memory == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(memory) }
}

/// Gives [`take_memory`]'s page back.
fn release(memory: *mut libc::c_void) {
    // SAFETY: `memory` is the page that `take_memory` mapped, and nothing refers to it any more.
    unsafe { libc::munmap(memory, PAGE) };
}

/// Asks bpf for a command that does not exist.
pub fn bpf() -> io::Result<()> {
    // SAFETY: command -1 does not exist, and the attributes have a size of zero.
    unsafe { numbers(libc::SYS_bpf, [-1, 0, 0, 0, 0]) }.map(drop)
}

/// Asks for an io_uring of zero entries.
pub fn io_uring() -> io::Result<()> {
    // SAFETY: the parameter block is null, which the kernel checks before anything else.
    close(unsafe { numbers(libc::SYS_io_uring_setup, [0; 5]) })
}

/// Asks to handle page faults, with flags that do not exist.
pub fn userfaultfd() -> io::Result<()> {
    // SAFETY: one number, which is no valid set of flags.
    close(unsafe { numbers(libc::SYS_userfaultfd, [-1, 0, 0, 0, 0]) })
}

/// Asks the performance counters for nothing.
pub fn performance_counters() -> io::Result<()> {
    // SAFETY: the description is null, which the kernel checks.
    close(unsafe { numbers(libc::SYS_perf_event_open, [0, 0, -1, -1, 0]) })
}

/// Asks the kernel's keyring for a command that does not exist.
pub fn keyring() -> io::Result<()> {
    // SAFETY: command -1 does not exist; no argument is used.
    unsafe { numbers(libc::SYS_keyctl, [-1, 0, 0, 0, 0]) }.map(drop)
}

/// Makes System V shared memory of zero bytes (`EINVAL` when the call is let through).
pub fn shared_memory() -> io::Result<()> {
    // SAFETY: three numbers; a size of zero makes nothing.
    unsafe { numbers(libc::SYS_shmget, [0, 0, 0, 0, 0]) }.map(drop)
}

/// Loads a kernel module from a descriptor that does not exist.
pub fn kernel_module() -> io::Result<()> {
    // SAFETY: a valid, empty C string and two numbers; descriptor -1 does not exist.
    check(unsafe { libc::syscall(libc::SYS_finit_module, -1_i64, c"".as_ptr(), 0_i64) }).map(drop)
}

/// Becomes dumpable again, so that a debugger of the same user could attach; undone if let through.
pub fn become_dumpable() -> io::Result<()> {
    // SAFETY: numbers only.
    let before = unsafe { numbers(libc::SYS_prctl, [libc::PR_GET_DUMPABLE.into(), 0, 0, 0, 0]) }?;
    // SAFETY: numbers only.
    unsafe { numbers(libc::SYS_prctl, [libc::PR_SET_DUMPABLE.into(), 1, 0, 0, 0]) }?;
    // SAFETY: numbers only.
    unsafe { numbers(libc::SYS_prctl, [libc::PR_SET_DUMPABLE.into(), before, 0, 0, 0]) }.map(drop)
}

/// Becomes root; undone if let through.
pub fn become_root() -> io::Result<()> {
    // SAFETY: reads the process's own number.
    let before = libc::c_long::from(unsafe { libc::geteuid() });
    // SAFETY: numbers only. The raw call changes this thread alone, and there is no other.
    unsafe { numbers(libc::SYS_setresuid, [-1, 0, -1, 0, 0]) }?;
    // SAFETY: numbers only; back to what was before.
    unsafe { numbers(libc::SYS_setresuid, [-1, before, -1, 0, 0]) }.map(drop)
}
