//! A connection in the table of a loop.

use std::time::Instant;

use server::{Connection, Need, Server, Worker};

use crate::edge::EdgeState;
use crate::{Interest, Source, Timer, Token, Wheel};

/// A connection and how its loop watches it.
#[derive(Debug)]
pub(crate) struct Watched {
    pub connection: Connection,
    pub need: Need,
    pub interest: Interest,
    /// Its entry in the wheel.
    pub timer: Option<Timer>,
    /// Used if the selector reports changes and not states.
    pub edge: EdgeState,
}

impl Watched {
    /// A connection that was just accepted, and is watched for its first request.
    pub fn new(connection: Connection) -> Watched {
        Watched {
            connection,
            need: Need::Readable,
            interest: Interest::Read,
            timer: None,
            edge: EdgeState::default(),
        }
    }

    /// Steps the connection. If nothing is to be received, there is no FIN either.
    #[inline(always)]
    pub fn step(&mut self, worker: &mut Worker) -> Need {
        let need = self.connection.step(worker);
        self.note_step(need)
    }

    /// The same out of line, for what is not a loop's usual turn.
    #[inline(never)]
    pub fn step_rarely(&mut self, worker: &mut Worker) -> Need {
        let need = self.connection.step_rarely(worker);
        self.note_step(need)
    }

    #[inline(always)]
    fn note_step(&mut self, need: Need) -> Need {
        if self.connection.received_nothing() {
            self.edge.found_nothing();
        }
        need
    }

    /// Its deadline. A connection that waits to be computed has none but the end of a drain.
    #[inline]
    pub fn deadline(&self, server: &Server) -> Option<Instant> {
        match self.need {
            Need::Compute => {
                let began = server.drain.began();
                began.map(|began| server.drain.grace_ends(began))
            }
            _ => Some(self.connection.deadline(server)),
        }
    }

    /// Makes sure that the wheel fires when its deadline has passed.
    #[inline]
    pub fn arm(&mut self, wheel: &mut Wheel, token: Token, server: &Server) {
        if let Some(deadline) = self.deadline(server) {
            wheel.arm(&mut self.timer, Source::Connection(token), deadline);
        }
    }
}
