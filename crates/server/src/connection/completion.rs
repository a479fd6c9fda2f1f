//! The other face of a connection: somebody else receives and sends, and what came of it goes in
//! here. A kernel that completes operations, or threads that stand in for one.
//!
//! A completion model looks at [`want`](Connection::want) after each of these calls. Wanting to
//! write, it sends what it was lent; otherwise it waits, for what it receives anyway as long as
//! the connection [`takes_input`](Connection::takes_input), and for the deadline.

use std::os::fd::AsFd;
use std::time::Instant;

use os::net;
use proto::Want;

use super::Connection;
use crate::{Phase, Server, Worker, board};

/// What the passing of a deadline asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDeadline {
    /// Nothing but another look at what the connection wants.
    GoOn,
    /// Its output is lent: have it back, whether it was sent or not, and on_deadline again.
    TakeBackOutput,
    /// The drain closes what is idle: receive no more, and if it is idle then, close.
    CloseIfIdle,
    /// Close.
    Close,
}

impl Connection {
    /// What the session wants now.
    pub fn want(&self) -> Want {
        self.session.want()
    }

    /// Takes bytes that were received.
    pub fn received(&mut self, bytes: &[u8], worker: &mut Worker) {
        board::add(&worker.block.bytes_in, bytes.len() as u64);
        let (_, mut turn) = worker.lend();
        self.session.receive(bytes, &mut turn);
        self.finish_step(worker);
    }

    /// Takes the peer's FIN.
    pub fn received_fin(&mut self, worker: &mut Worker) {
        let (_, mut turn) = worker.lend();
        self.session.receive_fin(&mut turn);
        self.finish_step(worker);
    }

    /// Moves the output out, to be sent whole and to come back by [`sent`](Self::sent) or
    /// [`return_output`](Self::return_output).
    pub fn take_output(&mut self, worker: &mut Worker) -> Vec<u8> {
        self.session.take_output(worker.scratch_mut())
    }

    /// Takes back output of which `bytes` were sent.
    pub fn sent(&mut self, output: Vec<u8>, bytes: usize, worker: &mut Worker) {
        board::add(&worker.block.bytes_out, bytes as u64);
        self.session.return_output(output);
        let (_, mut turn) = worker.lend();
        self.session.sent(bytes, &mut turn);
        self.finish_step(worker);
    }

    /// Takes back output that was recalled.
    pub fn return_output(&mut self, output: Vec<u8>) {
        self.session.return_output(output);
    }

    /// Whether the output is lent.
    pub fn is_output_taken(&self) -> bool {
        self.session.is_output_taken()
    }

    /// Until when it would rest once its output was sent, if that is all it would do.
    pub fn idle_deadline_once_sent(&self) -> Option<Instant> {
        self.session.idle_deadline_once_sent()
    }

    /// Whether it is between two requests.
    pub fn is_idle(&self) -> bool {
        self.session.is_idle()
    }

    /// Whether the peer had better be listened to: not when its FIN has come, when the last reply is
    /// on its way, or when it is far ahead of what was answered.
    pub fn takes_input(&self, server: &Server) -> bool {
        !self.session.ignores_input() && !self.session.is_ahead(&server.limits)
    }

    /// Sends FIN, once, and goes on receiving: what [`Want::Linger`] asks for. False where the
    /// peer has gone already.
    pub fn half_close(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.lingering, true);
        !first || net::shutdown_write(self.socket.as_fd()).is_ok()
    }

    /// Takes note that the peer has reset the connection, or the network has lost it: it is to be
    /// dropped.
    pub fn count_broken(&self, worker: &Worker) {
        board::add(&worker.block.broken, 1);
    }

    /// Takes note that the deadline has passed, if it has.
    pub fn on_deadline(&mut self, worker: &mut Worker) -> OnDeadline {
        match worker.server.drain.phase() {
            Phase::Cutting => {
                worker.server.count_cut();
                return OnDeadline::Close;
            }
            Phase::Closing if self.session.is_idle() && self.is_overdue(worker) => {
                return OnDeadline::CloseIfIdle;
            }
            _ if worker.now < self.session.deadline() => return OnDeadline::GoOn,
            _ if self.session.is_output_taken() => return OnDeadline::TakeBackOutput,
            _ => {}
        }
        let (_, mut turn) = worker.lend();
        self.session.expire(&mut turn);
        self.finish_step(worker);
        OnDeadline::GoOn
    }

    /// Output stays with its connection, whichever has the next turn.
    fn finish_step(&mut self, worker: &mut Worker) {
        self.session.keep_output(worker.scratch_mut());
        worker.count();
    }
}
