//! Requests out, replies in: the path that every request takes.

use anyhow::Result;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::state::Worker;
use crate::class::Class;
use crate::clock::now_ns;
use crate::ledger::Flight;
use crate::mix::Draw;
use crate::plan::Pace;
use crate::reply::Step;
use crate::slot::State;

/// What a batch of received bytes leads to.
enum Digest {
    /// That many replies are complete.
    Replies(usize),
    /// The last reply was announced to be the last of its connection.
    LastReply,
    /// The bytes make no sense.
    Malformed,
}

impl Worker<'_> {
    /// Serves one event of epoll.
    #[inline]
    pub(super) fn serve(&mut self, token: u64, flags: EventFlags) -> Result<()> {
        let index = (token & u64::from(u32::MAX)) as usize;
        let slot = &self.slots[index];
        if !slot.is_current(token) {
            return Ok(());
        }
        if slot.state == State::Connecting {
            self.now_ns = now_ns();
            self.try_establish(index)?;
            return self.settle_interest(index, token);
        }
        if slot.blocked && flags.contains(EventFlags::OUT) {
            self.flush(index)?;
            self.settle_interest(index, token)?;
        }
        if flags.intersects(!EventFlags::OUT) && self.slots[index].is_current(token) {
            self.receive(index, flags)?;
        }
        Ok(())
    }

    /// Watches for room to write only while something waits for it.
    fn settle_interest(&mut self, index: usize, token: u64) -> Result<()> {
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
            Ok((0, _)) => self.ended(index),
            Ok((n, _)) => {
                self.usage.received_bytes += n as u64;
                match self.digest(index, n) {
                    Digest::Malformed => self.lose(index, Class::Malformed),
                    Digest::LastReply => {
                        let end_is_next =
                            n < self.scratch.len() && flags.contains(EventFlags::RDHUP);
                        return self.last_reply(index, end_is_next);
                    }
                    Digest::Replies(0) => {}
                    Digest::Replies(n) => return self.refill(index, n),
                }
                Ok(())
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(_) if self.slots[index].state == State::Closing => self.close_politely(index),
            Err(_) => {
                self.lose(index, Class::Reset);
                Ok(())
            }
        }
    }

    /// Judges and books every reply in the first `n` bytes of the scratch buffer.
    #[inline]
    fn digest(&mut self, index: usize, n: usize) -> Digest {
        let slot = &mut self.slots[index];
        let mut input = &self.scratch[..n];
        let mut replies = 0;
        while !input.is_empty() {
            let Some(&flight) = slot.flights.front() else {
                // Bytes that nobody asked for.
                return Digest::Malformed;
            };
            let judge = &mut self.judges[flight.kind as usize];
            match slot.reader.next(judge, &mut input) {
                Step::More => break,
                Step::Broken => return Digest::Malformed,
                Step::Done(verdict) => {
                    slot.flights.pop_front();
                    let last = verdict.close || self.plan.new_connection;
                    if last && !input.is_empty() {
                        // Behind the last reply of a connection there can be nothing.
                        let class = Some(Class::Malformed);
                        self.ledger.settle(&flight, class, self.now_ns);
                        return Digest::Malformed;
                    }
                    self.ledger.settle(&flight, verdict.class, self.now_ns);
                    replies += 1;
                    if last {
                        slot.proven = true;
                        slot.last_reply_ns = self.now_ns;
                        return Digest::LastReply;
                    }
                }
            }
        }
        if replies > 0 {
            slot.proven = true;
            slot.last_reply_ns = self.now_ns;
        }
        Digest::Replies(replies)
    }

    /// After the last reply of a connection: held ones are replaced at once; one that was opened
    /// for its request waits for the server to close, as it promised.
    fn last_reply(&mut self, index: usize, end_is_next: bool) -> Result<()> {
        if !self.plan.new_connection || end_is_next {
            return self.close_politely(index);
        }
        let slot = &mut self.slots[index];
        slot.state = State::Closing;
        slot.since_ns = self.now_ns;
        if self.plan.unp_bytes.is_some() {
            // The line protocol cannot ask for the end: the client begins it. A peer that is gone
            // already is found by the receive.
            let _ = shutdown(slot.socket(), Shutdown::Write);
        }
        // The end usually comes with the reply.
        match recv(slot.socket(), &mut *self.scratch, RecvFlags::empty()) {
            Err(Errno::AGAIN) => Ok(()),
            Ok((1.., _)) => {
                self.lose(index, Class::Malformed);
                Ok(())
            }
            _ => self.close_politely(index),
        }
    }

    /// The peer has closed.
    fn ended(&mut self, index: usize) -> Result<()> {
        let slot = &mut self.slots[index];
        if slot.state == State::Closing {
            return self.close_politely(index);
        }
        if let Some(&flight) = slot.flights.front()
            && let Some(verdict) = slot.reader.end(&self.judges[flight.kind as usize])
        {
            slot.flights.pop_front();
            slot.proven = true;
            slot.last_reply_ns = self.now_ns;
            self.ledger.settle(&flight, verdict.class, self.now_ns);
            return self.close_politely(index);
        }
        self.lose(index, Class::EarlyEnd);
        Ok(())
    }

    /// A connection is established, or has answered all: it gets work.
    pub(super) fn ready(&mut self, index: usize) -> Result<()> {
        let room = self.plan.pipeline - self.slots[index].flights.len();
        self.refill(index, room)
    }

    /// Room for `n` requests has come free on an open connection.
    #[inline]
    fn refill(&mut self, index: usize, n: usize) -> Result<()> {
        if let Pace::Open { .. } = self.plan.pace {
            self.list(index);
            return self.serve_queue();
        }
        if n == 0 || self.now_ns >= self.ledger.window.end_ns {
            return Ok(());
        }
        for _ in 0..n {
            let draw = self.draw();
            let mut flight = self.ledger.schedule(self.now_ns, draw);
            flight.sent_ns = self.now_ns;
            self.ledger.sent(&flight);
            self.slots[index].flights.push_back(flight);
            self.owe(index, flight);
        }
        self.flush(index)
    }

    /// Puts a slot in the list of those that may take a request.
    pub(super) fn list(&mut self, index: usize) {
        if !self.slots[index].listed && self.has_room(index) {
            self.slots[index].listed = true;
            self.free.push_back(index);
        }
    }

    fn has_room(&self, index: usize) -> bool {
        let slot = &self.slots[index];
        if self.plan.new_connection {
            slot.state == State::Down && slot.retry_ns <= self.now_ns
        } else {
            slot.state == State::Open && slot.flights.len() < self.plan.pipeline
        }
    }

    /// Gives the free slots to the requests that have waited longest.
    pub(super) fn serve_queue(&mut self) -> Result<()> {
        while !self.queue.is_empty() {
            let Some(index) = self.free.pop_front() else {
                break;
            };
            self.slots[index].listed = false;
            if !self.has_room(index) {
                continue;
            }
            let Some(mut flight) = self.queue.pop_front() else {
                break;
            };
            self.ledger
                .waited(&flight, self.now_ns - flight.assigned_ns);
            flight.assigned_ns = self.now_ns;
            if self.plan.new_connection {
                self.slots[index].flights.push_back(flight);
                self.connect(index)?;
                continue;
            }
            flight.sent_ns = self.now_ns;
            self.ledger.sent(&flight);
            self.slots[index].flights.push_back(flight);
            self.owe(index, flight);
            self.flush(index)?;
            self.list(index);
        }
        Ok(())
    }

    /// Writes what a connection owes, as far as its socket takes it.
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
            Err(errno) => self.lose(index, Class::of_send(errno)),
        }
        Ok(())
    }

    /// Adds a request to what a connection owes its peer.
    #[inline]
    pub(super) fn owe(&mut self, index: usize, flight: Flight) {
        let slot = &mut self.slots[index];
        slot.owed_bytes += match &self.mix {
            None => self.request_bytes,
            Some(mix) => {
                let (kind, number) = (flight.kind, flight.number);
                mix.append(Draw { kind, number }, &mut slot.outgoing)
            }
        };
    }

    /// Writes until nothing is owed. Where requests are all alike, what is left to write is told
    /// by its length and by the place within the current request.
    #[inline]
    pub(super) fn write(&mut self, index: usize) -> rustix::io::Result<()> {
        if self.mix.is_some() {
            return self.slots[index].write_outgoing();
        }
        let slot = &mut self.slots[index];
        while slot.owed_bytes > 0 {
            let start = slot.written_bytes;
            let end = self.burst.len().min(start + slot.owed_bytes);
            match send(slot.socket(), &self.burst[start..end], SendFlags::NOSIGNAL) {
                Ok(n) => {
                    slot.owed_bytes -= n;
                    slot.written_bytes = if slot.owed_bytes == 0 {
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
