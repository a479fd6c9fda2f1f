//! Memory that forked processes share.

/// A slice of default values that this process and all it will fork share, for as long as they
/// live. `T` is plain data with atomics for whatever changes; a lock inside would have to be one
/// that works between processes.
///
/// # Errors
/// ENOMEM.
pub fn slice<T: Sync + Default>(len: usize) -> rustix::io::Result<&'static [T]> {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
    const {
        assert!(
            !std::mem::needs_drop::<T>(),
            "what processes share owns nothing"
        );
        assert!(align_of::<T>() <= 4096, "a mapping is aligned to a page");
    }
    let bytes = (len * size_of::<T>()).max(1);
    // SAFETY: a fresh anonymous mapping overlaps nothing. It is page-aligned and large enough for
    // `len` values, which are written before the slice is made, and it is never unmapped.
    unsafe {
        let page = mmap_anonymous(
            std::ptr::null_mut(),
            bytes,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
        )?;
        let first = page.cast::<T>();
        (0..len).for_each(|index| first.add(index).write(T::default()));
        Ok(std::slice::from_raw_parts(first, len))
    }
}
