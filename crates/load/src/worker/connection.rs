//! Opening, losing and reopening the connections of a thread.

use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::sockopt::socket_error;

use super::state::Worker;
use crate::class::Class;
use crate::clock::now_ns;
use crate::ledger::Flight;
use crate::plan::Pace;
use crate::slot::State;
use crate::socket;

/// Most connections being opened at once before the run: fewer than the shortest usual backlog, so
/// that no SYN is dropped and retried a second later.
const OPENING_MAX: usize = 100;

/// Least time granted to opening all connections, however short a request's time-out.
const OPENING_NS_MIN: u64 = 5_000_000_000;

impl Worker<'_> {
    /// Opens all connections, a bounded number at once. A server that takes only some of them does
    /// not stop the run; one that takes none does.
    pub(crate) fn open_all(&mut self) -> Result<()> {
        if self.plan.new_connection {
            return Ok(());
        }
        let deadline_ns = self.now_ns + self.timeout_ns.max(OPENING_NS_MIN);
        let mut begun = 0;
        while self.alive() < self.slots.len() as u64 && self.now_ns < deadline_ns {
            while begun < self.slots.len() && self.connecting < OPENING_MAX {
                self.open_slot(begun)?;
                begun += 1;
            }
            self.handle_events(1_000_000)?;
            self.now_ns = now_ns();
            self.retry()?;
            self.give_up_if_hopeless()?;
            if self.shared.stop.load(Ordering::Relaxed) {
                bail!("interrupted before the load began");
            }
        }
        if !self.ever_connected {
            bail!("{}: no connection could be opened", self.plan.target);
        }
        Ok(())
    }

    /// A target that refuses everything from the start is an error, not a measurement.
    pub(super) fn give_up_if_hopeless(&self) -> Result<()> {
        if self.last_failure == Some(Class::DescriptorLimit) && !self.started {
            bail!(
                "cannot open {} connections: out of descriptors",
                self.plan.connections
            );
        }
        if !self.ever_connected && self.connect_failures >= self.slots.len() as u64 {
            match self.last_failure {
                Some(Class::Refused) => bail!("{}: connection refused", self.plan.target),
                Some(Class::AddressUnavailable) => bail!("{}: no local address", self.plan.target),
                _ => {}
            }
        }
        Ok(())
    }

    /// Events that a socket is watched for when nothing waits to be written. The peer's end is
    /// watched where it is part of every exchange: it saves the receive that would find it.
    pub(super) fn watched(&self) -> EventFlags {
        if self.plan.new_connection {
            EventFlags::IN | EventFlags::RDHUP
        } else {
            EventFlags::IN
        }
    }

    /// Puts a slot that is down to use: opens it, with the request that its loop now makes.
    pub(super) fn open_slot(&mut self, index: usize) -> Result<()> {
        let running = self.now_ns < self.ledger.window.end_ns;
        match self.plan.pace {
            _ if !self.started => self.connect(index),
            Pace::Closed if running => {
                let draw = self.draw();
                let flight = self.ledger.schedule(self.now_ns, draw);
                self.slots[index].flights.push_back(flight);
                self.connect(index)
            }
            Pace::Closed => Ok(()),
            Pace::Open { .. } if self.plan.new_connection => {
                self.list(index);
                self.serve_queue()
            }
            Pace::Open { .. } if running || !self.queue.is_empty() => self.connect(index),
            Pace::Open { .. } => Ok(()),
        }
    }

    /// Starts to connect a slot. Over loopback the connection usually exists when `connect`
    /// returns, so a request that waits for it is written at once.
    pub(super) fn connect(&mut self, index: usize) -> Result<()> {
        self.now_ns = now_ns();
        let slot = &mut self.slots[index];
        slot.since_ns = self.now_ns;
        match socket::open(self.plan.target.address(), None) {
            Ok(socket) => slot.fill(socket),
            Err(errno) => {
                self.connect_failed(index, Class::of_connect(errno));
                return Ok(());
            }
        }
        self.connecting += 1;
        let token = slot.token(index);
        let waits = slot.flights.is_empty();
        let mut flags = self.watched();
        flags.set(EventFlags::OUT, waits);
        let slot = &self.slots[index];
        self.poller.add(slot.socket(), token, flags)?;
        if waits {
            return Ok(());
        }
        self.now_ns = now_ns();
        self.try_establish(index)?;
        let slot = &self.slots[index];
        if slot.is_current(token) && (slot.state == State::Connecting || slot.blocked) {
            let flags = self.watched() | EventFlags::OUT;
            self.poller.modify(slot.socket(), token, flags)?;
        }
        Ok(())
    }

    /// Finds out whether a connection is established, by writing its request if it has one.
    pub(super) fn try_establish(&mut self, index: usize) -> Result<()> {
        let slot = &self.slots[index];
        if slot.flights.is_empty() {
            match socket_error(slot.socket()).unwrap_or_else(Err) {
                Ok(()) => return self.established(index),
                Err(errno) => self.connect_failed(index, Class::of_connect(errno)),
            }
            return Ok(());
        }
        if slot.owed_bytes == 0 {
            for flight in 0..slot.flights.len() {
                self.owe(index, self.slots[index].flights[flight]);
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
                self.connect_failed(index, Class::of_connect(errno));
                Ok(())
            }
        }
    }

    fn established(&mut self, index: usize) -> Result<()> {
        self.connecting -= 1;
        self.ever_connected = true;
        let slot = &mut self.slots[index];
        slot.state = State::Open;
        // A connection held for the run counts whenever it was opened; one opened for a request
        // counts if the request does.
        let counts = slot
            .flights
            .front()
            .map_or(!self.plan.new_connection, Flight::measured);
        if counts {
            self.ledger.connect.record(self.now_ns - slot.since_ns);
        }
        for flight in &mut slot.flights {
            flight.sent_ns = self.now_ns;
            self.ledger.sent(flight);
        }
        if self.started && !self.plan.new_connection {
            return self.ready(index);
        }
        Ok(())
    }

    /// A connection that could not be opened takes the request with it that it was opened for.
    pub(super) fn connect_failed(&mut self, index: usize, class: Class) {
        self.connect_failures += 1;
        self.last_failure = Some(class);
        if self.slots[index].flights.is_empty()
            && let Some(flight) = self.queue.pop_front()
        {
            self.ledger.settle(&flight, Some(class), self.now_ns);
        }
        self.vacate(index, class);
    }

    /// A connection broke: its requests are counted as `class`, and it is opened again.
    pub(super) fn lose(&mut self, index: usize, class: Class) {
        if self.ledger.window.contains(self.now_ns) {
            let state = self.slots[index].state;
            let broken = if self.plan.new_connection {
                State::Closing
            } else {
                State::Open
            };
            self.lost += u64::from(state == broken);
        }
        self.vacate(index, class);
    }

    fn vacate(&mut self, index: usize, class: Class) {
        let slot = &mut self.slots[index];
        self.connecting -= usize::from(slot.state == State::Connecting);
        for flight in slot.flights.drain(..) {
            self.ledger.settle(&flight, Some(class), self.now_ns);
        }
        slot.empty();
        slot.back_off(self.now_ns);
        self.retry_later(index);
    }

    /// The server ended the connection as announced; what was behind the last reply is lost.
    pub(super) fn close_politely(&mut self, index: usize) -> Result<()> {
        let in_window = self.ledger.window.contains(self.now_ns);
        let slot = &mut self.slots[index];
        if slot.state == State::Closing {
            self.usage.closing_ns += self.now_ns - slot.since_ns;
        }
        // It was to carry the next request too: what follows is another connection.
        self.closed += u64::from(in_window && !self.plan.new_connection);
        for flight in slot.flights.drain(..) {
            self.ledger
                .settle(&flight, Some(Class::EarlyEnd), self.now_ns);
        }
        slot.empty();
        self.open_slot(index)
    }

    fn retry_later(&mut self, index: usize) {
        let retry_ns = self.slots[index].retry_ns;
        self.down.push(index);
        self.next_retry_ns = self.next_retry_ns.min(retry_ns);
        self.hasten_check(retry_ns);
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

    /// Gives up what has waited for longer than the time-out.
    pub(super) fn expire(&mut self) -> Result<()> {
        let limit_ns = self.now_ns.saturating_sub(self.timeout_ns);
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            let oldest_ns = slot.flights.front().map(|flight| flight.intended_ns);
            match slot.state {
                State::Connecting if oldest_ns.unwrap_or(slot.since_ns) <= limit_ns => {
                    self.connect_failed(index, Class::ConnectTimeout);
                }
                State::Open if oldest_ns.is_some_and(|ns| ns <= limit_ns) => {
                    self.lose(index, Class::Timeout);
                }
                // Its request is answered; a server that does not close keeps only the slot.
                State::Closing if slot.since_ns <= limit_ns => self.close_politely(index)?,
                _ => {}
            }
        }
        while let Some(flight) = self.queue.front()
            && flight.intended_ns <= limit_ns
        {
            self.ledger
                .settle(flight, Some(Class::Timeout), self.now_ns);
            self.queue.pop_front();
        }
        Ok(())
    }
}
