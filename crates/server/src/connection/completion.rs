//! A connection whose calls are made elsewhere: by a kernel that completes operations, or by threads
//! that do this in its place. Their results are reported here.
//!
//! After each of these calls, a completion model checks what the session [wants](Connection::want). If
//! that is to write, it sends the output that it [takes](Connection::take_output). It also receives as
//! long as the connection [takes input](Connection::takes_input), and waits until the deadline.

use std::os::fd::AsFd;
use std::time::Instant;

use proto::Want;

use super::Connection;
use crate::{Phase, Server, Worker, board};

/// What the model must do when a deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDeadline {
    /// Nothing but check what the session wants.
    GoOn,
    /// The output is taken: return it, whether it was sent or not, and call
    /// [`Connection::on_deadline`] again.
    TakeBackOutput,
    /// The drain closes idle connections: cancel the receive, and if the connection is idle after its
    /// completion, close it.
    CloseIfIdle,
    /// Close the connection.
    Close,
}

impl Connection {
    /// What the session wants.
    pub fn want(&self) -> Want {
        self.session.want()
    }

    /// Processes received bytes.
    pub fn received(&mut self, bytes: &[u8], worker: &mut Worker) {
        board::add(&worker.block.bytes_in, bytes.len() as u64);
        if worker.is_look_due() {
            worker.look(self.socket.as_fd(), &mut self.session);
        }
        let (_, mut turn) = worker.turn();
        self.session.receive(bytes, &mut turn);
        self.finish_step(worker);
    }

    /// Processes the peer's FIN.
    pub fn received_fin(&mut self, worker: &mut Worker) {
        let (_, mut turn) = worker.turn();
        self.session.receive_fin(&mut turn);
        self.finish_step(worker);
    }

    /// Moves the output out of the connection. When it was sent, return it with [`sent`](Self::sent); if
    /// it was not, with [`return_output`](Self::return_output).
    pub fn take_output(&mut self, worker: &mut Worker) -> Vec<u8> {
        self.session.take_output(worker.scratch_mut())
    }

    /// Returns output of which `bytes` were sent.
    pub fn sent(&mut self, output: Vec<u8>, bytes: usize, worker: &mut Worker) {
        board::add(&worker.block.bytes_out, bytes as u64);
        self.session.return_output(output);
        let (_, mut turn) = worker.turn();
        self.session.sent(bytes, &mut turn);
        self.finish_step(worker);
    }

    /// Returns output of which nothing is known to be sent.
    pub fn return_output(&mut self, output: Vec<u8>) {
        self.session.return_output(output);
    }

    /// Whether the output is taken, and not returned yet.
    pub fn is_output_taken(&self) -> bool {
        self.session.is_output_taken()
    }

    /// The deadline that the connection will have when its output is sent, if it then waits for the next
    /// request. `None`: then it has something else to do.
    pub fn idle_deadline_once_sent(&self) -> Option<Instant> {
        self.session.idle_deadline_once_sent()
    }

    /// Whether it is between two requests.
    pub fn is_idle(&self) -> bool {
        self.session.is_idle()
    }

    /// Whether the model should receive. Not so after the peer's FIN, when the last reply is being sent,
    /// or when many bytes were received that the session has not processed.
    pub fn takes_input(&self, server: &Server) -> bool {
        !self.session.ignores_input() && !self.session.is_ahead(&server.limits)
    }

    /// Counts that the peer has reset the connection, or the network has lost it. It must be dropped.
    pub fn count_broken(&self, worker: &Worker) {
        board::add(&worker.block.broken, 1);
    }

    /// Processes the passing of the [deadline](Self::deadline). If it has not passed, nothing changes.
    pub fn on_deadline(&mut self, worker: &mut Worker) -> OnDeadline {
        match worker.server.drain.phase() {
            Phase::Cutting => {
                // A call that was cut, and counted, in a thread of a pool has ended the session.
                if self.session.want() != Want::Close {
                    worker.server.count_cut();
                }
                return OnDeadline::Close;
            }
            Phase::Closing if self.session.is_idle() && self.is_idle_time_over(worker) => {
                return OnDeadline::CloseIfIdle;
            }
            _ if worker.now < self.session.deadline() => return OnDeadline::GoOn,
            _ if self.session.is_output_taken() => return OnDeadline::TakeBackOutput,
            _ => {}
        }
        let (_, mut turn) = worker.turn();
        self.session.expire(&mut turn);
        self.finish_step(worker);
        if self.has_gone() {
            self.count_broken(worker);
            return OnDeadline::Close;
        }
        OnDeadline::GoOn
    }

    /// Output stays with the connection: the buffers of the worker are for the next one.
    fn finish_step(&mut self, worker: &mut Worker) {
        self.session.keep_output(worker.scratch_mut());
        worker.count();
    }
}
