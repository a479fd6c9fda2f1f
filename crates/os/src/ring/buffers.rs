//! The receive buffers of a ring: lent by the kernel's choice, given back in the order of use.

use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

use crate::Errno;

/// Buffers and the ring through which they go back to the kernel (`io_uring_register_buf_ring(3)`),
/// in a mapping that is never unmapped: a closed ring ends its receives in its own time.
pub(super) struct Buffers {
    /// Page-aligned; `count` entries, then, on pages of their own, as many buffers.
    entries: *mut BufRingEntry,
    first: *mut u8,
    count: u16,
    bytes: usize,
    /// Entries handed to the kernel so far, as it will see them once published.
    tail: u16,
    /// The buffer a completion has brought, and how much of it.
    lent: Option<(u16, usize)>,
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
        // SAFETY: a fresh anonymous mapping overlaps nothing.
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
            // SAFETY: the mapping is `head` bytes and more.
            first: unsafe { base.cast::<u8>().add(head) },
            count: count as u16,
            bytes,
            tail: 0,
            lent: None,
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

    /// Takes note of a buffer that the kernel has filled with `bytes` bytes.
    pub(super) fn lend(&mut self, number: u16, bytes: usize) {
        debug_assert!(number < self.count && bytes <= self.bytes);
        self.lent = Some((number, bytes));
    }

    /// What is in the buffer that was lent last; nothing if none is.
    pub(super) fn lent(&self) -> &[u8] {
        let Some((number, bytes)) = self.lent else {
            return &[];
        };
        let place = self.place(number);
        // SAFETY: the kernel has filled this part of a buffer inside the mapping and writes to it
        // no more until `recycle`, which needs `self` for itself, has offered it again.
        unsafe { std::slice::from_raw_parts(place, bytes.min(self.bytes)) }
    }

    /// Offers the buffer that was lent again, with the next `publish`.
    pub(super) fn recycle(&mut self) {
        if let Some((number, _)) = self.lent.take() {
            self.offer(number);
        }
    }

    fn place(&self, number: u16) -> *mut u8 {
        assert!(number < self.count, "the kernel lends what it was offered");
        // SAFETY: there are `count` buffers of `bytes` bytes from `first`.
        unsafe { self.first.add(usize::from(number) * self.bytes) }
    }

    fn offer(&mut self, number: u16) {
        let place = self.place(number);
        // SAFETY: the index is below `count`. The kernel reads an entry only below the tail it was
        // shown, and this one lies above. The setters leave the field alone that holds the tail.
        unsafe {
            let entry = self.entries.add(usize::from(self.tail & (self.count - 1)));
            (*entry).set_addr(place as u64);
            (*entry).set_len(self.bytes as u32);
            (*entry).set_bid(number);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what was offered.
    pub(super) fn publish(&mut self) {
        // SAFETY: `entries` is the base of the ring, page-aligned and initialised; the tail is ours
        // to write and the kernel's to read, so both do it atomically.
        unsafe {
            let tail = BufRingEntry::tail(self.entries).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }
}
