//! Sending requests and receiving replies: the path of every request.

use anyhow::Result;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::state::Worker;
use crate::clock::now_ns;
use crate::error_class::ErrorClass;
use crate::mix::Draw;
use crate::plan::Pace;
use crate::recorder::PendingRequest;
use crate::reply::Reading;
use crate::slot::State;

/// What the bytes of one receive hold.
enum Received {
    /// That many replies are complete.
    Replies(usize),
    /// The last reply is the last one of its connection, as it announced.
    LastReply,
    /// The bytes are not the replies to the requests.
    Malformed,
}

impl Worker<'_> {
    /// Handles one event of epoll.
    #[inline]
    pub(super) fn handle_event(&mut self, token: u64, flags: EventFlags) -> Result<()> {
        let index = (token & u64::from(u32::MAX)) as usize;
        let slot = &self.slots[index];
        if !slot.is_current(token) {
            return Ok(());
        }
        if slot.state == State::Connecting {
            self.now_ns = now_ns();
            self.try_establish(index)?;
            return self.update_interest(index, token);
        }
        if slot.blocked && flags.contains(EventFlags::OUT) {
            self.flush(index)?;
            self.update_interest(index, token)?;
        }
        if flags.intersects(!EventFlags::OUT) && self.slots[index].is_current(token) {
            self.receive(index, flags)?;
        }
        Ok(())
    }

    /// Watches for room to write only while something waits for it.
    fn update_interest(&mut self, index: usize, token: u64) -> Result<()> {
        let slot = &self.slots[index];
        if !slot.is_current(token) || slot.state == State::Connecting || slot.blocked {
            return Ok(());
        }
        self.poller.modify(slot.socket(), token, self.watched())
    }

    #[inline]
    fn receive(&mut self, index: usize, flags: EventFlags) -> Result<()> {
        let slot = &self.slots[index];
        let received = recv(slot.socket(), &mut *self.scratch, RecvFlags::empty());
        self.now_ns = now_ns();
        match received {
            Ok((0, _)) => self.peer_closed(index),
            Ok((n, _)) => {
                self.usage.received_bytes += n as u64;
                match self.read_replies(index, n) {
                    Received::Malformed => self.connection_lost(index, ErrorClass::Malformed),
                    Received::LastReply => {
                        let close_is_next =
                            n < self.scratch.len() && flags.contains(EventFlags::RDHUP);
                        return self.last_reply(index, close_is_next);
                    }
                    Received::Replies(0) => {}
                    Received::Replies(n) => return self.refill(index, n),
                }
                Ok(())
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(_) if self.slots[index].state == State::Closing => self.closed_as_announced(index),
            Err(_) => {
                self.connection_lost(index, ErrorClass::Reset);
                Ok(())
            }
        }
    }

    /// Checks and records every reply in the first `n` bytes of the scratch buffer.
    #[inline]
    fn read_replies(&mut self, index: usize, n: usize) -> Received {
        let slot = &mut self.slots[index];
        let mut input = &self.scratch[..n];
        let mut replies = 0;
        while !input.is_empty() {
            let Some(&pending) = slot.pending.front() else {
                // Bytes without a request.
                return Received::Malformed;
            };
            let checker = &mut self.checkers[pending.kind as usize];
            match slot.reader.next(checker, &mut input) {
                Reading::Incomplete => break,
                Reading::Malformed => return Received::Malformed,
                Reading::Complete(verdict) => {
                    slot.pending.pop_front();
                    let last = verdict.close || self.plan.new_connection;
                    if last && !input.is_empty() {
                        // Nothing can follow the last reply of a connection.
                        let class = Some(ErrorClass::Malformed);
                        self.recorder.finish(&pending, class, self.now_ns);
                        return Received::Malformed;
                    }
                    self.recorder.finish(&pending, verdict.class, self.now_ns);
                    replies += 1;
                    if last {
                        slot.has_replied = true;
                        slot.last_reply_ns = self.now_ns;
                        return Received::LastReply;
                    }
                }
            }
        }
        if replies > 0 {
            slot.has_replied = true;
            slot.last_reply_ns = self.now_ns;
        }
        Received::Replies(replies)
    }

    /// After the last reply of a connection: a held connection is replaced at once; a connection
    /// that was opened for its request waits until the server closes it, as announced.
    fn last_reply(&mut self, index: usize, close_is_next: bool) -> Result<()> {
        if !self.plan.new_connection || close_is_next {
            return self.closed_as_announced(index);
        }
        let slot = &mut self.slots[index];
        slot.state = State::Closing;
        slot.since_ns = self.now_ns;
        if self.plan.unp_bytes.is_some() {
            // The line protocol cannot ask the server to close: the client closes first. The
            // receive finds out if the peer has closed already.
            let _ = shutdown(slot.socket(), Shutdown::Write);
        }
        // The server's close usually arrives with the reply.
        match recv(slot.socket(), &mut *self.scratch, RecvFlags::empty()) {
            Err(Errno::AGAIN) => Ok(()),
            Ok((1.., _)) => {
                self.connection_lost(index, ErrorClass::Malformed);
                Ok(())
            }
            _ => self.closed_as_announced(index),
        }
    }

    /// The peer has closed.
    fn peer_closed(&mut self, index: usize) -> Result<()> {
        let slot = &mut self.slots[index];
        if slot.state == State::Closing {
            return self.closed_as_announced(index);
        }
        if let Some(&pending) = slot.pending.front()
            && let Some(verdict) = slot.reader.end(&self.checkers[pending.kind as usize])
        {
            slot.pending.pop_front();
            slot.has_replied = true;
            slot.last_reply_ns = self.now_ns;
            self.recorder.finish(&pending, verdict.class, self.now_ns);
            return self.closed_as_announced(index);
        }
        self.connection_lost(index, ErrorClass::EarlyEnd);
        Ok(())
    }

    /// A connection is established, or has answered everything: it gets requests.
    pub(super) fn give_requests(&mut self, index: usize) -> Result<()> {
        let room = self.plan.pipeline - self.slots[index].pending.len();
        self.refill(index, room)
    }

    /// An open connection can take `n` more requests.
    #[inline]
    fn refill(&mut self, index: usize, n: usize) -> Result<()> {
        if let Pace::Open { .. } = self.plan.pace {
            self.mark_free(index);
            return self.send_queued();
        }
        if n == 0 || self.now_ns >= self.recorder.window.end_ns {
            return Ok(());
        }
        for _ in 0..n {
            let draw = self.draw();
            let mut pending = self.recorder.schedule(self.now_ns, draw);
            pending.sent_ns = self.now_ns;
            self.recorder.sent(&pending);
            self.slots[index].pending.push_back(pending);
            self.append_request(index, pending);
        }
        self.flush(index)
    }

    /// Puts a slot in the list of those that may take a request.
    pub(super) fn mark_free(&mut self, index: usize) {
        if !self.slots[index].in_free_list && self.has_room(index) {
            self.slots[index].in_free_list = true;
            self.free.push_back(index);
        }
    }

    fn has_room(&self, index: usize) -> bool {
        let slot = &self.slots[index];
        if self.plan.new_connection {
            slot.state == State::Down && slot.retry_ns <= self.now_ns
        } else {
            slot.state == State::Open && slot.pending.len() < self.plan.pipeline
        }
    }

    /// Gives the free slots to the requests that have waited longest.
    pub(super) fn send_queued(&mut self) -> Result<()> {
        while !self.queue.is_empty() {
            let Some(index) = self.free.pop_front() else {
                break;
            };
            self.slots[index].in_free_list = false;
            if !self.has_room(index) {
                continue;
            }
            let Some(mut pending) = self.queue.pop_front() else {
                break;
            };
            self.recorder
                .waited(&pending, self.now_ns - pending.assigned_ns);
            pending.assigned_ns = self.now_ns;
            if self.plan.new_connection {
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
    #[inline]
    fn flush(&mut self, index: usize) -> Result<()> {
        match self.write(index) {
            Ok(()) => self.slots[index].blocked = false,
            Err(Errno::AGAIN) => {
                let slot = &mut self.slots[index];
                if !slot.blocked {
                    slot.blocked = true;
                    let flags = self.watched() | EventFlags::OUT;
                    let slot = &self.slots[index];
                    return self.poller.modify(slot.socket(), slot.token(index), flags);
                }
            }
            Err(errno) => self.connection_lost(index, ErrorClass::of_send(errno)),
        }
        Ok(())
    }

    /// Adds a request to what a connection has to write.
    #[inline]
    pub(super) fn append_request(&mut self, index: usize, pending: PendingRequest) {
        let slot = &mut self.slots[index];
        slot.unwritten_bytes += match &self.mix {
            None => self.request_bytes,
            Some(mix) => {
                let (kind, number) = (pending.kind, pending.number);
                mix.append(Draw { kind, number }, &mut slot.outgoing)
            }
        };
    }

    /// Writes until nothing is left. Where all requests are equal, what is left to write is given
    /// by its length and by the position within the current request.
    #[inline]
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
