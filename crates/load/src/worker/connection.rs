//! Opening, losing and reopening the connections of a thread.

use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::sockopt::socket_error;

use super::state::Worker;
use crate::clock::now_ns;
use crate::error_class::ErrorClass;
use crate::mix::Draw;
use crate::plan::Pace;
use crate::recorder::PendingRequest;
use crate::slot::{Slot, State};
use crate::socket;
use crate::words;

/// Most connections being opened at once before the run: fewer than the shortest usual backlog, so
/// that no SYN is dropped and retried a second later.
const OPENING_MAX: usize = 100;

/// How long a server that announced to close may take; then the client closes, as it asked for.
const CLOSING_NS_MAX: u64 = 100_000_000;

/// Least time for opening all connections, however short the time-out of a request is.
const OPENING_NS_MIN: u64 = 5_000_000_000;

impl Worker<'_> {
    /// Opens all connections, a bounded number at once. A server that accepts only some of them
    /// does not stop the run; one that accepts none does.
    pub(crate) fn open_all(&mut self) -> Result<()> {
        if self.once_from == 0 {
            return Ok(());
        }
        self.adopt_kept()?;
        let deadline_ns = self.now_ns + self.timeout_ns.max(OPENING_NS_MIN);
        let mut next = 0;
        while self.alive() < self.once_from as u64 && self.now_ns < deadline_ns {
            while next < self.once_from && self.connecting < OPENING_MAX {
                if self.slots[next].state == State::Down {
                    self.open_slot(next)?;
                }
                next += 1;
            }
            self.handle_opening(1_000_000)?;
            self.now_ns = now_ns();
            self.retry()?;
            self.fail_if_unreachable()?;
            if self.shared.stop.load(Ordering::Relaxed) {
                bail!("interrupted before the load began");
            }
        }
        if !self.ever_connected {
            bail!("{}: no connection could be opened", self.plan.target);
        }
        Ok(())
    }

    /// Goes on with the connections that the slice before has left.
    fn adopt_kept(&mut self) -> Result<()> {
        let kept = self.shared.sockets.map(|sockets| sockets.take(self.thread));
        for (index, socket) in kept.into_iter().flatten().enumerate() {
            let flags = self.watched(index);
            let Some(slot) = self.slots.get_mut(index) else {
                break;
            };
            slot.adopt(socket);
            let slot = &self.slots[index];
            self.poller.add(slot.socket(), slot.token(index), flags)?;
            self.ever_connected = true;
        }
        Ok(())
    }

    /// A target that has refused every connection from the start is an error, not a measurement.
    pub(super) fn fail_if_unreachable(&self) -> Result<()> {
        if self.last_failure == Some(ErrorClass::DescriptorLimit) && !self.started {
            bail!(
                "cannot open {} connections: out of descriptors",
                self.plan.connections
            );
        }
        if !self.ever_connected && self.connect_failures >= self.slots.len() as u64 {
            match self.last_failure {
                Some(ErrorClass::Refused) => {
                    let why = self
                        .last_errno
                        .map_or_else(Default::default, words::of_errno);
                    bail!("{}: {why}", self.plan.target)
                }
                Some(ErrorClass::AddressUnavailable) => {
                    bail!("{}: no local address", self.plan.target)
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The events that a socket is watched for when there is nothing to write. The peer's close is
    /// watched where it is part of every exchange: this saves the receive that would find it.
    pub(super) fn watched(&self, index: usize) -> EventFlags {
        if self.is_once(index) {
            EventFlags::IN | EventFlags::RDHUP
        } else {
            EventFlags::IN
        }
    }

    /// Uses a slot that is down: connects it, together with the request that is to be sent next.
    pub(super) fn open_slot(&mut self, index: usize) -> Result<()> {
        let running = self.now_ns < self.recorder.window.end_ns;
        match self.plan.pace {
            _ if !self.started => self.connect(index),
            Pace::Closed if self.think_ns > 0 => {
                self.think(index);
                Ok(())
            }
            Pace::Closed if running && self.is_mixed() => self.send_of_client(self.client(index)),
            Pace::Closed if running => self.connect_with_request(index),
            Pace::Closed => Ok(()),
            Pace::Open { .. } if self.is_once(index) => {
                self.mark_free(index);
                self.send_queued(1)
            }
            Pace::Open { .. } if running || !self.lanes[0].queue.is_empty() => self.connect(index),
            Pace::Open { .. } => Ok(()),
        }
    }

    /// Starts to connect a slot of a closed loop, for a request of now.
    pub(super) fn connect_with_request(&mut self, index: usize) -> Result<()> {
        let draw = self.draw();
        self.connect_with(index, draw)
    }

    fn connect_with(&mut self, index: usize, draw: Draw) -> Result<()> {
        let pending = self.recorder.schedule(self.now_ns, draw);
        self.slots[index].pending.push_back(pending);
        self.connect(index)
    }

    /// The next request of a client in a closed loop in which some requests have a connection of their
    /// own: on the one that it keeps, or on its other slot. Nothing happens while one is under way, or
    /// where the slot pauses after a failure: it is opened again, and the client goes on then.
    #[inline(never)]
    pub(super) fn send_of_client(&mut self, client: usize) -> Result<()> {
        if self.waits(client) {
            return Ok(());
        }
        let draw = self.draw();
        let index = client + self.once_from * usize::from(draw.once);
        let slot = &self.slots[index];
        match slot.state {
            State::Open if !draw.once => self.send_drawn(index, draw),
            State::Down if slot.retry_ns <= self.now_ns => self.connect_with(index, draw),
            _ => Ok(()),
        }
    }

    /// Whether a request of a client is under way, or its connection is being opened or closed.
    pub(super) fn waits(&self, client: usize) -> bool {
        let busy = |slot: &Slot| !slot.pending.is_empty();
        if !self.is_mixed() {
            return busy(&self.slots[client]);
        }
        let (kept, own) = (&self.slots[client], &self.slots[client + self.once_from]);
        busy(kept) || kept.state == State::Connecting || own.state != State::Down
    }

    /// Starts to connect a slot. Over loopback the connection usually is established when `connect`
    /// returns, so a request that waits for it is written at once.
    pub(super) fn connect(&mut self, index: usize) -> Result<()> {
        self.now_ns = now_ns();
        let slot = &mut self.slots[index];
        slot.since_ns = self.now_ns;
        match socket::open(self.plan.target.address(), None) {
            Ok(socket) => slot.fill(socket),
            Err(errno) => {
                self.last_errno = Some(errno);
                self.connect_failed(index, ErrorClass::of_connect(errno));
                return Ok(());
            }
        }
        self.connecting += 1;
        let token = slot.token(index);
        let has_request = !slot.pending.is_empty();
        let mut flags = self.watched(index);
        flags.set(EventFlags::OUT, !has_request);
        let slot = &self.slots[index];
        self.poller.add(slot.socket(), token, flags)?;
        if !has_request {
            return Ok(());
        }
        self.now_ns = now_ns();
        self.try_establish(index)?;
        let slot = &self.slots[index];
        if slot.is_current(token) && (slot.state == State::Connecting || slot.blocked) {
            let flags = self.watched(index) | EventFlags::OUT;
            self.poller.modify(slot.socket(), token, flags)?;
        }
        Ok(())
    }

    /// Finds out whether a connection is established, by writing its request if it has one.
    #[inline(never)]
    pub(super) fn try_establish(&mut self, index: usize) -> Result<()> {
        let slot = &self.slots[index];
        if slot.pending.is_empty() {
            match socket_error(slot.socket()).unwrap_or_else(Err) {
                Ok(()) => return self.established(index),
                Err(errno) => {
                    self.last_errno = Some(errno);
                    self.connect_failed(index, ErrorClass::of_connect(errno));
                }
            }
            return Ok(());
        }
        if slot.unwritten_bytes == 0 {
            for pending in 0..slot.pending.len() {
                self.append_request(index, self.slots[index].pending[pending]);
            }
        }
        match self.write(index) {
            Ok(()) => self.established(index),
            // Nothing was taken: the socket is still connecting.
            Err(Errno::AGAIN) if self.slots[index].written_bytes == 0 => Ok(()),
            Err(Errno::AGAIN) => {
                self.slots[index].blocked = true;
                self.established(index)
            }
            Err(errno) => {
                self.last_errno = Some(errno);
                self.connect_failed(index, ErrorClass::of_connect(errno));
                Ok(())
            }
        }
    }

    fn established(&mut self, index: usize) -> Result<()> {
        self.connecting -= 1;
        self.ever_connected = true;
        let once = self.is_once(index);
        let slot = &mut self.slots[index];
        slot.state = State::Open;
        // A connection held for the run counts whenever it was opened; a connection opened for a
        // request counts if the request does.
        let counts = slot.pending.front().map_or(!once, PendingRequest::measured);
        if counts {
            self.recorder.connect.record(self.now_ns - slot.since_ns);
        }
        for pending in &mut slot.pending {
            pending.sent_ns = self.now_ns;
            self.recorder.sent(pending);
        }
        if self.started && !once {
            return self.give_requests(index);
        }
        Ok(())
    }

    /// A connection could not be opened: the request that it was opened for has failed.
    pub(super) fn connect_failed(&mut self, index: usize, class: ErrorClass) {
        self.connect_failures += 1;
        self.last_failure = Some(class);
        let lane = usize::from(self.is_once(index));
        if self.slots[index].pending.is_empty()
            && let Some(pending) = self.lanes[lane].queue.pop_front()
        {
            self.recorder.finish(&pending, Some(class), self.now_ns);
        }
        self.release(index, class);
    }

    /// A connection broke: its requests are counted as `class`, and it is opened again.
    #[cold]
    #[inline(never)]
    pub(super) fn connection_lost(&mut self, index: usize, class: ErrorClass) {
        if self.recorder.window.contains(self.now_ns) {
            let state = self.slots[index].state;
            let broken = if self.is_once(index) {
                State::Closing
            } else {
                State::Open
            };
            self.lost += u64::from(state == broken);
        }
        self.release(index, class);
    }

    /// The peer closed or reset a connection. If it had answered everything, it was idle: many
    /// servers end those after a time.
    #[cold]
    #[inline(never)]
    pub(super) fn closed_by_peer(&mut self, index: usize, class: ErrorClass) {
        let slot = &self.slots[index];
        let idle = slot.state == State::Open && slot.has_replied && slot.pending.is_empty();
        if !idle || self.is_once(index) {
            return self.connection_lost(index, class);
        }
        if self.recorder.window.contains(self.now_ns) {
            self.closed += 1;
            self.closed_idle += 1;
        }
        self.release(index, class);
    }

    fn release(&mut self, index: usize, class: ErrorClass) {
        self.last_loss = class;
        let slot = &mut self.slots[index];
        self.connecting -= usize::from(slot.state == State::Connecting);
        for pending in slot.pending.drain(..) {
            self.recorder.finish(&pending, Some(class), self.now_ns);
        }
        slot.empty();
        slot.back_off(self.now_ns);
        self.retry_later(index);
    }

    /// The server closed the connection as announced; requests sent behind the last reply are lost.
    #[inline(never)]
    pub(super) fn closed_as_announced(&mut self, index: usize) -> Result<()> {
        let in_window = self.recorder.window.contains(self.now_ns);
        let kept = !self.is_once(index);
        let slot = &mut self.slots[index];
        if slot.state == State::Closing {
            self.usage.closing_ns += self.now_ns - slot.since_ns;
        }
        // It was to be kept for the next request, which another connection now has to carry.
        self.closed += u64::from(in_window && kept);
        for pending in slot.pending.drain(..) {
            self.recorder
                .finish(&pending, Some(ErrorClass::EarlyEnd), self.now_ns);
        }
        slot.empty();
        self.open_slot(index)
    }

    fn retry_later(&mut self, index: usize) {
        let retry_ns = self.slots[index].retry_ns;
        self.down.push(index);
        self.next_retry_ns = self.next_retry_ns.min(retry_ns);
        self.check_no_later_than(retry_ns);
    }

    /// Opens the lost connections whose pause is over.
    pub(super) fn retry(&mut self) -> Result<()> {
        self.next_retry_ns = u64::MAX;
        for index in std::mem::take(&mut self.down) {
            if self.slots[index].retry_ns <= self.now_ns {
                self.open_slot(index)?;
            } else {
                self.retry_later(index);
            }
        }
        Ok(())
    }

    /// Gives up requests and connections that have waited for longer than the time-out.
    pub(super) fn apply_timeouts(&mut self) -> Result<()> {
        let limit_ns = self.now_ns.saturating_sub(self.timeout_ns);
        let closing_limit_ns = self.now_ns - CLOSING_NS_MAX.min(self.timeout_ns).min(self.now_ns);
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            let oldest_ns = slot.pending.front().map(|pending| pending.intended_ns);
            match slot.state {
                State::Connecting if oldest_ns.unwrap_or(slot.since_ns) <= limit_ns => {
                    self.connect_failed(index, ErrorClass::ConnectTimeout);
                }
                State::Open if oldest_ns.is_some_and(|ns| ns <= limit_ns) => {
                    self.connection_lost(index, ErrorClass::Timeout);
                }
                // Its request is answered; a server that does not close only keeps the slot busy.
                State::Closing if slot.since_ns <= closing_limit_ns => {
                    self.closed_as_announced(index)?;
                }
                _ => {}
            }
        }
        for lane in &mut self.lanes {
            while let Some(pending) = lane.queue.front()
                && pending.intended_ns <= limit_ns
            {
                // One that was never sent, because connections pause after a failure, is part of that
                // failure; one that waited for a busy connection was let wait by the server.
                let class = match self.down.is_empty() {
                    true => ErrorClass::Timeout,
                    false => self.last_loss,
                };
                self.recorder.finish(pending, Some(class), self.now_ns);
                lane.queue.pop_front();
            }
        }
        Ok(())
    }
}
