//! Memory that forked processes share.

use std::ffi::c_void;
use std::sync::atomic::AtomicU64;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// A slice of default values that this process shares with all that it forks later. It is never
/// unmapped. `T` should be plain data, with atomics for what changes; a lock in it must be one that
/// works between processes.
///
/// # Errors
/// ENOMEM.
pub fn slice<T: Sync + Default>(len: usize) -> rustix::io::Result<&'static [T]> {
    with_header::<(), T>(len).map(|(_, slice)| slice)
}

/// The same, with a header before the slice. Both are in one mapping, since a fork has to copy every
/// mapping.
///
/// # Errors
/// ENOMEM.
pub fn with_header<H, T>(len: usize) -> rustix::io::Result<(&'static H, &'static [T])>
where
    H: Sync + Default,
    T: Sync + Default,
{
    const {
        assert!(
            !std::mem::needs_drop::<H>() && !std::mem::needs_drop::<T>(),
            "shared values are never dropped"
        );
        let aligned = align_of::<H>() <= 4096 && align_of::<T>() <= 4096;
        assert!(aligned, "a mapping is aligned to a page");
    }
    let start = size_of::<H>().next_multiple_of(align_of::<T>());
    let bytes = (start + len * size_of::<T>()).max(1);
    // SAFETY: a new anonymous mapping overlaps nothing. It is page-aligned and large enough for the
    // header and, behind it at an aligned address, `len` values. All are written before they are
    // referred to, and the mapping is never removed.
    unsafe {
        let page = map(bytes)?;
        let (header, first) = (page.cast::<H>(), page.byte_add(start).cast::<T>());
        header.write(H::default());
        (0..len).for_each(|index| first.add(index).write(T::default()));
        Ok((&*header, std::slice::from_raw_parts(first, len)))
    }
}

/// A new mapping, shared with all that is forked later.
fn map(bytes: usize) -> rustix::io::Result<*mut c_void> {
    let anywhere = std::ptr::null_mut();
    // SAFETY: a new anonymous mapping overlaps nothing.
    unsafe {
        mmap_anonymous(
            anywhere,
            bytes,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
        )
    }
}

/// `len` counters of 0 that this process shares with all that it forks later. Pages that nobody writes
/// take no memory.
///
/// # Errors
/// ENOMEM.
pub fn words(len: usize) -> rustix::io::Result<&'static [AtomicU64]> {
    let bytes = (len * size_of::<AtomicU64>()).max(1);
    // SAFETY: a new anonymous mapping overlaps nothing, is aligned to a page and never removed. It is
    // full of zeros, and those are valid counters.
    unsafe {
        let page = map(bytes)?;
        Ok(std::slice::from_raw_parts(page.cast::<AtomicU64>(), len))
    }
}
