//! Memory that forked processes share.

/// A slice of default values that this process and all it will fork share, for as long as they
/// live. `T` is plain data with atomics for whatever changes; a lock inside would have to be one
/// that works between processes.
///
/// # Errors
/// ENOMEM.
pub fn slice<T: Sync + Default>(len: usize) -> rustix::io::Result<&'static [T]> {
    headed::<(), T>(len).map(|(_, slice)| slice)
}

/// The same with a head before it, in one mapping: each is one more for every fork to copy.
///
/// # Errors
/// ENOMEM.
pub fn headed<H, T>(len: usize) -> rustix::io::Result<(&'static H, &'static [T])>
where
    H: Sync + Default,
    T: Sync + Default,
{
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
    const {
        assert!(
            !std::mem::needs_drop::<H>() && !std::mem::needs_drop::<T>(),
            "what processes share owns nothing"
        );
        let aligned = align_of::<H>() <= 4096 && align_of::<T>() <= 4096;
        assert!(aligned, "a mapping is aligned to a page");
    }
    let start = size_of::<H>().next_multiple_of(align_of::<T>());
    let bytes = (start + len * size_of::<T>()).max(1);
    // SAFETY: a fresh anonymous mapping overlaps nothing. It is page-aligned and large enough for
    // the head and, from the next address that suits them, `len` values, all of which are written
    // before anything refers to them; and it is never unmapped.
    unsafe {
        let page = mmap_anonymous(
            std::ptr::null_mut(),
            bytes,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
        )?;
        let (head, first) = (page.cast::<H>(), page.byte_add(start).cast::<T>());
        head.write(H::default());
        (0..len).for_each(|index| first.add(index).write(T::default()));
        Ok((&*head, std::slice::from_raw_parts(first, len)))
    }
}
