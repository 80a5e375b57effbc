//! Memory of the C library's allocator.

/// Gives pages back to the kernel that were freed and that the allocator keeps for later. Reading a configuration takes many
/// times what stays of it: of a file with a thousand sites some 4 MiB in each process, which nobody would ever use again.
/// Takes a millisecond or two; for the end of a start, not for the data path. Elsewhere than with the GNU C library: nothing.
pub fn give_back() {
    // SAFETY: takes a number and no pointer, and touches nothing but free memory of the allocator, under its own locks
    // (malloc_trim(3): MT-Safe).
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
