//! Memory that a start leaves behind.

#[cfg(target_env = "gnu")]
use std::ffi::CStr;

/// Gives back to the kernel what the start needed and serving does not. Reading a configuration takes many times what stays of
/// it: of a file with a thousand sites some 5 MiB in each process. And most of the program's own pages that were touched
/// until now (reading and judging a configuration, drawing messages, relocating, closing the sandbox) are not touched again; those
/// that are come back from the page cache by themselves.
///
/// Takes a millisecond or two; for the end of a start or a reload, not for the data path. Elsewhere than with the GNU C
/// library: nothing.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    {
        give_back_heap();
        give_back_program();
    }
}

/// The heap alone, after a reload.
pub fn give_back_heap() {
    // SAFETY: takes a number and no pointer, and touches nothing but free memory of the allocator, under its own locks
    // (malloc_trim(3): MT-Safe).
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The pages of the program's and the libraries' files that cannot be written to.
#[cfg(target_env = "gnu")]
fn give_back_program() {
    // SAFETY: the callback has the signature that is asked for and uses its arguments only during the call.
    unsafe {
        libc::dl_iterate_phdr(Some(give_back_segments), std::ptr::null_mut());
    }
}

/// One file's segments. Only those that were never writable, so that every page of them is still what the file says: relocated
/// data (`.data.rel.ro`) lies in a writable segment, whatever its protection is by now.
///
/// # Safety
/// Only for `dl_iterate_phdr`, which passes what it promises.
#[cfg(target_env = "gnu")]
unsafe extern "C" fn give_back_segments(
    file: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    _data: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the loader passes a valid description, with a name and a table of so many segments.
    let (name, base, segments) = unsafe {
        let file = &*file;
        if file.dlpi_name.is_null() || file.dlpi_phdr.is_null() {
            return 0;
        }
        let segments = std::slice::from_raw_parts(file.dlpi_phdr, usize::from(file.dlpi_phnum));
        (CStr::from_ptr(file.dlpi_name).to_bytes(), file.dlpi_addr, segments)
    };
    if !name.is_empty() && !name.starts_with(b"/") {
        return 0; // the program itself has no name, libraries have a path; the rest is the kernel's (vdso(7))
    }
    let loaded = segments.iter().filter(|segment| segment.p_type == libc::PT_LOAD);
    for segment in loaded.filter(|segment| segment.p_flags & libc::PF_W == 0) {
        let begin = base.wrapping_add(segment.p_vaddr);
        let aligned = begin & !(PAGE - 1);
        let length = begin.wrapping_add(segment.p_memsz).wrapping_sub(aligned);
        let (Ok(address), Ok(length)) = (usize::try_from(aligned), usize::try_from(length)) else { continue };
        // SAFETY: the range is a private mapping of a file that nothing has written to, so what is dropped is read again from the
        // file as it was. An error (pages are larger, memory is locked) changes nothing.
        unsafe {
            libc::madvise(std::ptr::with_exposed_provenance_mut(address), length, libc::MADV_DONTNEED);
        }
    }
    0
}

/// Of the smallest machines; where pages are larger the call is refused and nothing happens.
#[cfg(target_env = "gnu")]
const PAGE: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    static CONSTANT: [u64; 4096] = [7; 4096];

    #[test]
    fn everything_is_still_there() {
        let before = CONSTANT.iter().sum::<u64>();
        let table = std::hint::black_box([str::len as fn(&str) -> usize, |text| text.lines().count()]);
        give_back();
        assert_eq!(std::hint::black_box(&CONSTANT).iter().sum::<u64>(), before);
        assert_eq!(table.map(|count| count("a\nb")), [3, 2], "relocated pointers");
        assert!("x".parse::<u8>().is_err_and(|error| error.to_string().contains("digit")));
    }
}
