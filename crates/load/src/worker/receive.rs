//! Receiving replies: events of connections, and what their bytes hold.

use anyhow::Result;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv, shutdown};

use super::state::Worker;
use crate::clock::now_ns;
use crate::error_class::ErrorClass;
use crate::malformed::Why;
use crate::reply::Reading;
use crate::slot::State;

/// What the bytes of one receive hold.
enum Received {
    /// That many replies are complete.
    Replies(usize),
    /// The last reply is the last one of its connection: the server announced that, or the client
    /// asked for it.
    LastReply { announced: bool },
    /// The bytes are not the replies to the requests.
    Malformed(Why),
}

impl Worker<'_> {
    /// Handles one event of epoll.
    #[inline(always)]
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
            self.flush_rarely(index)?;
            self.update_interest(index, token)?;
        }
        if flags.intersects(!EventFlags::OUT) && self.slots[index].is_current(token) {
            self.receive(index, flags)?;
        }
        Ok(())
    }

    /// Watches for room to write only while something waits for it.
    #[cold]
    #[inline(never)]
    fn update_interest(&mut self, index: usize, token: u64) -> Result<()> {
        let slot = &self.slots[index];
        if !slot.is_current(token) || slot.state == State::Connecting || slot.blocked {
            return Ok(());
        }
        self.poller
            .modify(slot.socket(), token, self.watched(index))
    }

    #[inline(always)]
    fn receive(&mut self, index: usize, flags: EventFlags) -> Result<()> {
        let slot = &self.slots[index];
        let received = recv(slot.socket(), &mut *self.scratch, RecvFlags::empty());
        self.now_ns = now_ns();
        match received {
            Ok((0, _)) => self.peer_closed(index),
            Ok((n, _)) => {
                self.usage.received_bytes += n as u64;
                match self.read_replies(index, n) {
                    Received::Malformed(why) => self.malformed(index, why),
                    Received::LastReply { announced } => {
                        let close_is_next =
                            n < self.scratch.len() && flags.contains(EventFlags::RDHUP);
                        return self.last_reply(index, close_is_next, announced);
                    }
                    Received::Replies(0) => {}
                    Received::Replies(n) => return self.refill(index, n),
                }
                Ok(())
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(_) if self.slots[index].state == State::Closing => self.closed_as_announced(index),
            Err(_) => {
                self.closed_by_peer(index, ErrorClass::Reset);
                Ok(())
            }
        }
    }

    /// The bytes of a connection are no reply.
    #[cold]
    #[inline(never)]
    fn malformed(&mut self, index: usize, why: Why) {
        self.recorder.malformed(why, self.now_ns);
        self.connection_lost(index, ErrorClass::Malformed);
    }

    /// Checks and records every reply in the first `n` bytes of the scratch buffer.
    #[inline(never)]
    fn read_replies(&mut self, index: usize, n: usize) -> Received {
        let once = self.is_once(index);
        let slot = &mut self.slots[index];
        let mut input = &self.scratch[..n];
        let mut replies = 0;
        while !input.is_empty() {
            let Some(&pending) = slot.pending.front() else {
                // Bytes without a request.
                return Received::Malformed(Why::ExtraBytes);
            };
            let checker = &mut self.checkers[pending.kind as usize];
            match slot.reader.next(checker, &mut input) {
                Reading::Incomplete => break,
                Reading::Malformed(why) => return Received::Malformed(why),
                Reading::Complete(verdict) => {
                    slot.pending.pop_front();
                    let last = verdict.close || once;
                    self.recorder.replied(&pending, verdict.status);
                    if !input.is_empty() && (last || slot.pending.is_empty()) {
                        // Nothing can follow the last reply of a connection, nor one behind which
                        // no request was sent.
                        let class = Some(ErrorClass::Malformed);
                        self.recorder.finish(&pending, class, self.now_ns);
                        return Received::Malformed(Why::ExtraBytes);
                    }
                    self.recorder.finish(&pending, verdict.class, self.now_ns);
                    replies += 1;
                    if last {
                        slot.has_replied = true;
                        slot.last_reply_ns = self.now_ns;
                        let announced = verdict.close;
                        return Received::LastReply { announced };
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
    /// that was opened for its request waits a little until the server closes it, as announced. If
    /// the server announced nothing, the client closes, as it asked for (RFC 9112 section 9.6).
    #[inline(never)]
    fn last_reply(&mut self, index: usize, close_is_next: bool, announced: bool) -> Result<()> {
        if !self.is_once(index) || close_is_next {
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
            Err(Errno::AGAIN) if announced || self.plan.unp_bytes.is_some() => Ok(()),
            Ok((1.., _)) => {
                self.malformed(index, Why::ExtraBytes);
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
            self.recorder.replied(&pending, verdict.status);
            self.recorder.finish(&pending, verdict.class, self.now_ns);
            return self.closed_as_announced(index);
        }
        self.closed_by_peer(index, ErrorClass::EarlyEnd);
        Ok(())
    }
}
