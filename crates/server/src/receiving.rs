//! Request bodies that services receive inside their calls, where the caller may wait.
//!
//! A call waits in `poll`, and not in a receive that the watchdog interrupts: the body may be read by another
//! thread than the worker's, and the sockets of pools do not block.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use os::Errno;
use os::net::{self, PollFd, PollFlags};
use proto::{Lost, Service, Transport};

use crate::{Calls, Holds, Server, Variant, board, log};

/// How long a call waits for its client before it looks whether the server drains.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Whether who calls `service` in this variant may wait there for the rest of a body.
pub(crate) fn may_receive(variant: &Variant, service: &dyn Service) -> bool {
    match variant.workers.calls {
        // A front that passes requests to processes passes them whole.
        Calls::Worker | Calls::ExtraThread => !passes_whole(variant),
        // Beside the loop, which must be known before it is built.
        Calls::Task => variant.needs.aside.is_some() && service.receives() && !service.awaits(),
        Calls::Loop => false,
    }
}

/// Whether it is a front that passes requests to other processes.
pub(crate) fn passes_whole(variant: &Variant) -> bool {
    variant.needs.front.is_some_and(|front| front.processes) && variant.workers.holds == Holds::Many
}

/// Says so if a service would receive bodies where it cannot.
pub(crate) fn say(name: &str, variant: &Variant, service: &dyn Service) {
    if !service.receives() || may_receive(variant, service) {
        return;
    }
    if passes_whole(variant) {
        log(format_args!(
            "{name}: this service receives large bodies inside its calls, and --front poll passes requests to \
             processes whole: a body beyond --body-bytes-max is refused with 413"
        ));
    } else {
        log(format_args!(
            "{name}: this service receives large bodies inside its calls, where a loop must not wait: a body beyond \
             --body-bytes-max is refused with 413; models that can: {}",
            crate::MAY_WAIT
        ));
    }
}

/// The same of a service that is built where it runs, on a model that would have had to know it before.
#[cold]
pub(crate) fn say_late(name: &str) {
    log(format_args!(
        "{name}: a body beyond --body-bytes-max is refused with 413: the service says only now, when it is built, \
         that it receives large bodies inside its calls"
    ));
}

impl Transport for Server {
    fn receive(&self, socket: i32, buffer: &mut Vec<u8>, deadline: Instant) -> Result<usize, Lost> {
        net::with_number(socket, |socket| {
            loop {
                match net::receive_now(socket, buffer) {
                    Ok(bytes) => return Ok(bytes),
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => self.wait_for(socket, PollFlags::IN, deadline)?,
                    Err(_) => return Err(Lost::Broken),
                }
            }
        })
    }

    fn send(&self, socket: i32, mut bytes: &[u8], deadline: Instant) -> Result<(), Lost> {
        net::with_number(socket, |socket| {
            while !bytes.is_empty() {
                match net::send(socket, bytes) {
                    Ok(sent) => bytes = &bytes[sent..],
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => self.wait_for(socket, PollFlags::OUT, deadline)?,
                    Err(_) => return Err(Lost::Broken),
                }
            }
            Ok(())
        })
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn count(&self, worker: u32, received: u64, sent: u64, lost: Option<Lost>) {
        let block = &self.blocks[worker as usize];
        board::add(&block.bytes_in, received);
        board::add(&block.bytes_out, sent);
        match lost {
            Some(Lost::Broken) => board::add(&block.broken, 1),
            // The drain itself may have cut and counted the connection of a blocking worker.
            Some(Lost::Cut) if !self.may_wait_to_send || block.cut(|_| {}) => self.count_cut(),
            _ => {}
        }
    }
}

impl Server {
    /// Waits until `socket` may be ready, and no longer than until it is time to look at the drain again.
    fn wait_for(
        &self,
        socket: BorrowedFd<'_>,
        flags: PollFlags,
        deadline: Instant,
    ) -> Result<(), Lost> {
        let now = Instant::now();
        let cut_at = self.drain.began().map(|began| self.drain.grace_ends(began));
        if cut_at.is_some_and(|cut_at| cut_at <= now) {
            return Err(Lost::Cut);
        }
        let left = deadline.saturating_duration_since(now);
        if left.is_zero() {
            return Err(Lost::Late);
        }
        let until_cut = cut_at.map_or(LOOK_EVERY, |cut_at| cut_at - now);
        // EINTR: a signal of the drain, or of the watchdog of another worker.
        let _ = net::poll(
            &mut [PollFd::new(&socket, flags)],
            Some(left.min(until_cut).min(LOOK_EVERY)),
        );
        Ok(())
    }
}
