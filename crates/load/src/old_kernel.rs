//! `epoll_wait` in milliseconds, for kernels before 5.11: rustix, told to use `epoll_pwait2`, no
//! longer offers it.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::epoll::{Event, EventData, EventFlags};
use rustix::io::{Errno, Result};

/// Replaces `events` by those that are ready within `timeout_ms`, at most its capacity.
pub(crate) fn epoll_wait_ms(
    epoll: &OwnedFd,
    events: &mut Vec<Event>,
    timeout_ms: u64,
) -> Result<()> {
    events.clear();
    let mut ready = vec![libc::epoll_event { events: 0, u64: 0 }; events.capacity().max(1)];
    let room = i32::try_from(ready.len()).unwrap_or(i32::MAX);
    let timeout = i32::try_from(timeout_ms).unwrap_or(i32::MAX);
    // SAFETY: the pointer and the count describe `ready`, which lives until the call returns.
    let n = unsafe { libc::epoll_wait(epoll.as_raw_fd(), ready.as_mut_ptr(), room, timeout) };
    let Ok(n) = usize::try_from(n) else {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    };
    events.extend(ready[..n].iter().map(|event| Event {
        flags: EventFlags::from_bits_retain(event.events),
        data: EventData::new_u64(event.u64),
    }));
    Ok(())
}
