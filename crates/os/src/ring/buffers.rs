//! The receive buffers of a ring. The kernel chooses one for each receive, and gets it back when its
//! bytes were used.

use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

use crate::Errno;

/// Buffers, and the queue by which they are offered to the kernel (`io_uring_register_buf_ring(3)`). Their
/// mapping is never removed, since the kernel ends the receives of a closed ring at some later time.
pub(super) struct Buffers {
    /// The mapping: `count` entries of the queue, then, on pages of their own, `count` buffers.
    entries: *mut BufRingEntry,
    first: *mut u8,
    count: u16,
    bytes: usize,
    /// Number of entries offered so far; the kernel sees them once published.
    tail: u16,
    /// The buffer of the receive that completed last, and how many bytes are in it.
    filled: Option<(u16, usize)>,
}

const PAGE: usize = 4096;
const COUNT_MAX: usize = 1 << 15;

impl Buffers {
    pub(super) fn new(count: usize, bytes: usize) -> Result<Buffers, Errno> {
        let count = count.clamp(1, COUNT_MAX).next_power_of_two();
        let bytes = bytes.clamp(1, u32::MAX as usize);
        let head = (count * size_of::<BufRingEntry>()).next_multiple_of(PAGE);
        let length = count
            .checked_mul(bytes)
            .and_then(|all| all.checked_add(head));
        // SAFETY: a new anonymous mapping overlaps nothing.
        let base = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                length.ok_or(Errno::NOMEM)?,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?
        };
        let mut buffers = Buffers {
            entries: base.cast(),
            // SAFETY: the mapping is longer than `head` bytes.
            first: unsafe { base.cast::<u8>().add(head) },
            count: count as u16,
            bytes,
            tail: 0,
            filled: None,
        };
        (0..buffers.count).for_each(|number| buffers.offer(number));
        buffers.publish();
        Ok(buffers)
    }

    pub(super) fn address(&self) -> u64 {
        self.entries as u64
    }

    pub(super) fn count(&self) -> u16 {
        self.count
    }

    /// Takes note of a buffer into which the kernel has written `bytes` bytes.
    pub(super) fn filled(&mut self, number: u16, bytes: usize) {
        debug_assert!(number < self.count && bytes <= self.bytes);
        self.filled = Some((number, bytes));
    }

    /// The bytes of the buffer that was filled last; none if it was recycled.
    pub(super) fn received(&self) -> &[u8] {
        let Some((number, bytes)) = self.filled else {
            return &[];
        };
        let place = self.place(number);
        // SAFETY: the kernel has written this part of a buffer in the mapping. It does not write there
        // again until `recycle`, which borrows `self` exclusively, has offered the buffer.
        unsafe { std::slice::from_raw_parts(place, bytes.min(self.bytes)) }
    }

    /// Offers the buffer that was filled last again; the kernel sees it with the next `publish`.
    pub(super) fn recycle(&mut self) {
        if let Some((number, _)) = self.filled.take() {
            self.offer(number);
        }
    }

    fn place(&self, number: u16) -> *mut u8 {
        assert!(
            number < self.count,
            "the kernel uses buffers that it was offered"
        );
        // SAFETY: there are `count` buffers of `bytes` bytes from `first`.
        unsafe { self.first.add(usize::from(number) * self.bytes) }
    }

    fn offer(&mut self, number: u16) {
        let place = self.place(number);
        // SAFETY: the index is below `count`. The kernel reads entries below the published tail only,
        // and this one is not. The setters do not write the field that holds the tail.
        unsafe {
            let entry = self.entries.add(usize::from(self.tail & (self.count - 1)));
            (*entry).set_addr(place as u64);
            (*entry).set_len(self.bytes as u32);
            (*entry).set_bid(number);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see what was offered.
    pub(super) fn publish(&mut self) {
        // SAFETY: `entries` is the base of the queue, page-aligned and initialised. This writes the
        // tail and the kernel reads it, so both accesses are atomic.
        unsafe {
            let tail = BufRingEntry::tail(self.entries).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }
}
