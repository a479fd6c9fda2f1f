//! A connection whose request is answered in another process, which gets the socket and the request.
//!
//! The process that has accepted the connection counts it, and keeps its own descriptor of the socket. The
//! other one has a connection that is counted nowhere, and tells how its reply has [ended](Connection::end).

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::LazyLock;

use proto::{Complete, End, Session, Want};

use super::open::look_up;
use super::{Connection, Need};
use crate::{Block, Server, Worker};

/// What goes with a request, as it is passed: when it was complete, since when it waits for a worker, when
/// its bytes had come (0: unknown), all in ns of the clock that the processes share, and the length of its body
/// in bytes.
pub type Numbers = [u64; 4];

/// Size of these, bytes.
pub const NUMBERS_BYTES: usize = size_of::<Numbers>();

/// Counts connections that another process counts already.
static UNCOUNTED: LazyLock<Block> = LazyLock::new(Block::default);

impl Connection {
    /// The complete request with which this [needs](Need::Compute) to be computed, for another process.
    /// `None`: there is none that could be passed.
    pub fn to_pass(&self, server: &Server) -> Option<(Numbers, &[u8])> {
        let request = self.session.complete()?;
        let ns = |moment| server.drain.shared_ns(moment);
        let numbers = [
            ns(request.since),
            ns(self.queued),
            request.arrived.map_or(0, ns),
            request.body_bytes as u64,
        ];
        Some((numbers, request.bytes))
    }

    /// A connection for the request that another process has received on `socket`, to be computed.
    /// `None`: these are no such numbers and bytes.
    pub fn passed(
        socket: OwnedFd,
        numbers: Numbers,
        bytes: &[u8],
        worker: &mut Worker,
    ) -> Option<Connection> {
        worker.tick();
        let drain = &worker.server.drain;
        let [since_ns, queued_ns, arrived_ns, body_bytes] = numbers;
        let queued = drain.moment(queued_ns);
        let request = Complete {
            bytes,
            body_bytes: usize::try_from(body_bytes)
                .ok()
                .filter(|body| *body <= bytes.len())?,
            since: drain.moment(since_ns),
            arrived: (arrived_ns > 0).then(|| drain.moment(arrived_ns)),
        };
        let (protocol, asks_peers) = (worker.server.protocol, worker.server.asks_peers);
        let mut session = Session::resumed(protocol, request, &mut worker.turn().1);
        session.set_look_up(socket.as_raw_fd(), look_up);
        if asks_peers {
            session.ask_peer();
        }
        Some(Connection {
            socket,
            session,
            block: &UNCOUNTED,
            accepted: worker.now,
            queued,
            fin_sent: false,
            would_block: false,
            received_nothing: false,
            _counted: None,
        })
    }

    /// How the reply of a [passed](Self::passed) connection has ended, once it has.
    pub fn end(&self) -> Option<End> {
        self.session.end()
    }

    /// Goes on after another process has answered the request; what is needed next.
    pub fn answered(&mut self, end: End, worker: &mut Worker) -> Need {
        let (_, mut turn) = worker.turn();
        self.session.answered_elsewhere(end, &mut turn);
        match self.session.want() {
            Want::Read => Need::Readable,
            _ => self.step_rarely(worker),
        }
    }
}
