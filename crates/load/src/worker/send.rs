//! Sending requests: which connection takes the next one, and what is left to write.

use anyhow::Result;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::state::Worker;
use crate::error_class::ErrorClass;
use crate::mix::Draw;
use crate::plan::Pace;
use crate::recorder::PendingRequest;
use crate::slot::State;

impl Worker<'_> {
    /// A connection is established, or has answered everything: it gets requests.
    #[inline(never)]
    pub(super) fn give_requests(&mut self, index: usize) -> Result<()> {
        let room = self.plan.pipeline - self.slots[index].pending.len();
        self.refill(index, room)
    }

    /// An open connection can take `n` more requests.
    #[inline(always)]
    pub(super) fn refill(&mut self, index: usize, n: usize) -> Result<()> {
        if let Pace::Open { .. } = self.plan.pace {
            self.mark_free(index);
            return self.send_queued(0);
        }
        if n == 0 || self.now_ns >= self.at_once_until_ns {
            self.think(index);
            return Ok(());
        }
        if self.is_mixed() {
            return self.send_of_client(index);
        }
        for _ in 0..n {
            let draw = self.draw();
            self.add_request_of_now(index, draw);
        }
        self.flush(index)
    }

    /// Adds a request of a closed loop to those of a connection.
    #[inline(always)]
    fn add_request_of_now(&mut self, index: usize, draw: Draw) {
        let mut pending = self.recorder.schedule(self.now_ns, draw);
        pending.sent_ns = self.now_ns;
        self.recorder.sent(&pending);
        self.slots[index].pending.push_back(pending);
        self.append_request(index, pending);
    }

    /// An open connection sends a request, whose client has thought.
    #[inline(never)]
    pub(super) fn send_now(&mut self, index: usize) -> Result<()> {
        let draw = self.draw();
        self.send_drawn(index, draw)
    }

    /// An open connection sends a request that was drawn before.
    pub(super) fn send_drawn(&mut self, index: usize, draw: Draw) -> Result<()> {
        self.add_request_of_now(index, draw);
        self.flush(index)
    }

    /// Puts a slot in the list of those that may take a request.
    pub(super) fn mark_free(&mut self, index: usize) {
        if !self.slots[index].in_free_list && self.has_room(index) {
            self.slots[index].in_free_list = true;
            let lane = usize::from(self.is_once(index));
            self.lanes[lane].free.push_back(index);
        }
    }

    fn has_room(&self, index: usize) -> bool {
        let slot = &self.slots[index];
        if self.is_once(index) {
            slot.state == State::Down && slot.retry_ns <= self.now_ns
        } else {
            slot.state == State::Open && slot.pending.len() < self.plan.pipeline
        }
    }

    /// Gives the free slots of a lane to the requests that have waited longest.
    #[inline(always)]
    pub(super) fn send_queued(&mut self, lane: usize) -> Result<()> {
        while !self.lanes[lane].queue.is_empty() {
            let Some(index) = self.lanes[lane].free.pop_front() else {
                break;
            };
            self.slots[index].in_free_list = false;
            if !self.has_room(index) {
                continue;
            }
            let Some(mut pending) = self.lanes[lane].queue.pop_front() else {
                break;
            };
            self.recorder
                .waited(&pending, self.now_ns - pending.assigned_ns);
            pending.assigned_ns = self.now_ns;
            if self.is_once(index) {
                self.slots[index].pending.push_back(pending);
                self.connect(index)?;
                continue;
            }
            pending.sent_ns = self.now_ns;
            self.recorder.sent(&pending);
            self.slots[index].pending.push_back(pending);
            self.append_request(index, pending);
            self.flush(index)?;
            self.mark_free(index);
        }
        Ok(())
    }

    /// Writes the unwritten requests of a connection, as far as its socket takes them.
    #[inline(always)]
    pub(super) fn flush(&mut self, index: usize) -> Result<()> {
        match self.write(index) {
            Ok(()) => self.slots[index].blocked = false,
            Err(Errno::AGAIN) => {
                let slot = &mut self.slots[index];
                if !slot.blocked {
                    slot.blocked = true;
                    let flags = self.watched(index) | EventFlags::OUT;
                    let slot = &self.slots[index];
                    return self.poller.modify(slot.socket(), slot.token(index), flags);
                }
            }
            Err(errno) => self.connection_lost(index, ErrorClass::of_send(errno)),
        }
        Ok(())
    }

    /// The same out of line, for what is not a loop's usual turn.
    #[inline(never)]
    pub(super) fn flush_rarely(&mut self, index: usize) -> Result<()> {
        self.flush(index)
    }

    /// Adds a request to what a connection has to write.
    #[inline]
    pub(super) fn append_request(&mut self, index: usize, pending: PendingRequest) {
        let once = self.is_once(index);
        let slot = &mut self.slots[index];
        slot.unwritten_bytes += match &self.mix {
            None => self.request_bytes,
            Some(mix) => {
                let (kind, number) = (pending.kind, pending.number);
                let draw = Draw { kind, number, once };
                mix.append(draw, &mut slot.outgoing)
            }
        };
    }

    /// Writes until nothing is left. Where all requests are equal, what is left to write is given
    /// by its length and by the position within the current request.
    #[inline(always)]
    pub(super) fn write(&mut self, index: usize) -> rustix::io::Result<()> {
        if self.mix.is_some() {
            return self.slots[index].write_outgoing();
        }
        let slot = &mut self.slots[index];
        while slot.unwritten_bytes > 0 {
            let start = slot.written_bytes;
            let end = self.requests.len().min(start + slot.unwritten_bytes);
            match send(
                slot.socket(),
                &self.requests[start..end],
                SendFlags::NOSIGNAL,
            ) {
                Ok(n) => {
                    slot.unwritten_bytes -= n;
                    slot.written_bytes = if slot.unwritten_bytes == 0 {
                        0
                    } else {
                        (start + n) % self.request_bytes
                    };
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}
