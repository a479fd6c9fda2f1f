//! The connections of a loop: called when what they need is there, or its deadline has passed.

use std::time::Instant;

use server::{Connection, Need, Server, Worker};

use crate::edge::News;
use crate::reactor::LISTENER;
use crate::reactor::listeners::Listeners;
use crate::{Interest, Reactor, Ready, Selector, Timer, Token, Wheel};

/// A connection and how the loop watches it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) connection: Connection,
    pub(crate) need: Need,
    pub(crate) interest: Interest,
    /// Its entry in the wheel.
    pub(crate) timer: Option<Timer>,
    /// Used where changes are reported and not states.
    pub(crate) news: News,
}

impl Held {
    /// When the connection is to be looked at. One that waits to be computed has no deadline but the
    /// end of a drain.
    #[inline]
    fn deadline(&self, server: &Server) -> Option<Instant> {
        match self.need {
            Need::Compute => {
                let began = server.drain.began();
                began.map(|began| server.drain.grace_ends(began))
            }
            _ => Some(self.connection.deadline(server)),
        }
    }

    /// Steps the connection. Where nothing is to be received, no FIN is.
    #[inline]
    fn step(&mut self, worker: &mut Worker) -> Need {
        let need = self.connection.step(worker);
        if self.connection.is_dry() {
            self.news.found_nothing();
        }
        need
    }

    /// Sees to it that the wheel comes up with it when its deadline has passed.
    #[inline]
    pub(crate) fn cover(&mut self, wheel: &mut Wheel, token: Token, server: &Server) {
        if let Some(deadline) = self.deadline(server) {
            wheel.cover(&mut self.timer, token.number(), deadline);
        }
    }
}

impl<S: Selector> Reactor<S> {
    /// A connection is ready for what it needed.
    pub(crate) fn serve(&mut self, token: Token, ready: Ready) {
        let backed_up = self.is_backed_up();
        let Some(held) = self.held.get_mut(token) else {
            self.unwatch(token);
            return;
        };
        if S::EDGE && !held.news.hear(&ready, held.need) {
            return;
        }
        let need = match held.need {
            // Nobody asked: the peer sends on while its reply waits, or is gone.
            Need::Time | Need::Compute if ready.hung_up => Need::Closed,
            Need::Time | Need::Compute => {
                self.watch(token, Interest::Nothing);
                return;
            }
            Need::Readable if backed_up && !ready.hung_up => {
                self.line_up(token);
                return;
            }
            _ => held.step(&mut self.worker),
        };
        self.settle(token, need);
    }

    /// Those with more to do go on, each for a turn: whoever has much does not keep others waiting.
    pub(crate) fn take_turns(&mut self, turns: &mut Vec<u64>) {
        std::mem::swap(&mut self.again, turns);
        for number in turns.drain(..) {
            if number & LISTENER != 0 {
                self.look(number);
                continue;
            }
            let token = Token::from_number(number);
            let Some(held) = self.held.get_mut(token) else {
                continue;
            };
            held.news.dequeue();
            if matches!(held.need, Need::Readable | Need::Writable) {
                let need = held.step(&mut self.worker);
                self.settle(token, need);
            }
        }
    }

    /// An entry of the wheel has come up: is it the connection's, and is it really due?
    pub(crate) fn expire(&mut self, token: Token, tick: u64) {
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        if !Timer::is_spent(&mut held.timer, tick) {
            return;
        }
        match held.deadline(self.server) {
            Some(deadline) if deadline <= self.worker.now => {}
            Some(deadline) => {
                self.wheel.cover(&mut held.timer, token.number(), deadline);
                return;
            }
            None => return,
        }
        let need = held.connection.expire(&mut self.worker);
        self.settle(token, need);
    }

    /// Sees to it that the connection is called when `need` is there, or its deadline has passed.
    pub(crate) fn settle(&mut self, token: Token, need: Need) {
        if need == Need::Closed {
            self.end(token);
            if self.listeners == Listeners::Shut {
                self.open_listeners();
            }
            return;
        }
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        let before = std::mem::replace(&mut held.need, need);
        if need == Need::Compute && before != Need::Compute {
            self.hand_out(token);
            return;
        }
        if S::EDGE && held.news.stepped(before, need, held.connection.is_spent()) {
            self.again.push(token.number());
        }
        let interest = match need {
            Need::Readable => Interest::Read,
            Need::Writable => Interest::Write,
            Need::Time | Need::Compute | Need::Closed => held.interest,
        };
        held.cover(&mut self.wheel, token, self.server);
        if interest != held.interest {
            self.watch(token, interest);
        }
    }

    pub(crate) fn end(&mut self, token: Token) {
        if let Some(held) = self.held.remove(token) {
            self.selector.closing(&held.connection);
        }
    }

    pub(crate) fn watch(&mut self, token: Token, interest: Interest) {
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        held.interest = interest;
        if self
            .selector
            .set(&held.connection, token.number(), interest)
            .is_err()
        {
            self.end(token); // Out of kernel memory: it could never be woken again.
        }
    }
}
