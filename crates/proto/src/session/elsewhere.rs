//! Requests that are answered in another process, which has the socket meanwhile.
//!
//! The session that has received the request [shows](Session::complete) it. The other process makes a
//! session [of it](Session::resumed), computes, sends, and learns from [`end`](Session::end) that the
//! reply is done, and how; with this the first session [goes on](Session::answered_elsewhere).

use std::time::Instant;

use super::{Phase, Session};
use crate::{Protocol, Turn, Want};

/// A complete request, with what a session knows about it.
#[derive(Debug, Clone, Copy)]
pub struct Complete<'a> {
    /// Its head as received, and its body without any chunked coding.
    pub bytes: &'a [u8],
    /// So many of the last bytes are its body.
    pub body_bytes: usize,
    /// When it was complete.
    pub since: Instant,
    /// When its last bytes had come, if that is known.
    pub arrived: Option<Instant>,
}

/// How a reply has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The connection is there for the next request.
    Persistent,
    /// It was the last reply of the connection.
    Closing,
    /// It has failed, in a way that only a reset tells the client.
    Aborted,
}

impl Session {
    /// The complete request with which the session wants [`Want::Compute`]. `None`: there is none, or a
    /// sink has its body.
    pub fn complete(&self) -> Option<Complete<'_>> {
        match &self.phase {
            Phase::Compute {
                body_bytes,
                since,
                taken,
            } if !self.cut_short && taken.as_ref().is_none_or(|taken| taken.is_kept()) => {
                Some(Complete {
                    bytes: &self.parked,
                    body_bytes: *body_bytes,
                    since: *since,
                    arrived: self.client.as_ref().and_then(|client| client.arrived),
                })
            }
            _ => None,
        }
    }

    /// The session of a request that another session has received: it wants [`Want::Compute`].
    pub fn resumed(protocol: Protocol, request: Complete<'_>, turn: &mut Turn<'_>) -> Session {
        let mut session = Session::staged(protocol, turn);
        session.parked = turn.scratch.take_buffer();
        session.parked.extend_from_slice(request.bytes);
        session.phase = Phase::Compute {
            body_bytes: request.body_bytes,
            since: request.since,
            taken: None,
        };
        if let Some(arrived) = request.arrived {
            session.set_arrival(arrived);
        }
        session
    }

    /// How the reply to a [resumed](Self::resumed) request has ended, once it has.
    pub fn end(&self) -> Option<End> {
        match self.want() {
            Want::Read => Some(End::Persistent),
            Want::Linger | Want::Close if self.aborted => Some(End::Aborted),
            Want::Linger | Want::Close => Some(End::Closing),
            Want::Write | Want::Compute | Want::Wait => None,
        }
    }

    /// Takes note that another session has answered the complete request of this one.
    pub fn answered_elsewhere(&mut self, end: End, turn: &mut Turn<'_>) {
        if !matches!(self.phase, Phase::Compute { .. }) {
            return;
        }
        turn.return_buffer(&mut self.parked);
        self.closing = end != End::Persistent;
        self.aborted = end == End::Aborted;
        self.next();
        if !self.pending.is_empty() {
            self.consume_pending(turn);
        }
        self.update(turn);
    }
}
