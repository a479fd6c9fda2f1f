//! How a connection begins.

use std::os::fd::{AsFd, OwnedFd};

use os::net;
use proto::{Session, Turn};

use super::Connection;
use crate::{Worker, board};

impl Connection {
    /// A connection on an accepted socket, for models that compute a request where they receive it.
    pub fn new(socket: OwnedFd, worker: &mut Worker) -> Connection {
        let protocol = worker.server.protocol;
        Connection::with(socket, worker, |turn| Session::new(protocol, turn))
    }

    /// A connection on an accepted socket, for models that compute a request in another worker.
    pub fn staged(socket: OwnedFd, worker: &mut Worker) -> Connection {
        let protocol = worker.server.protocol;
        Connection::with(socket, worker, |turn| Session::staged(protocol, turn))
    }

    fn with(
        socket: OwnedFd,
        worker: &mut Worker,
        session: impl FnOnce(&Turn<'_>) -> Session,
    ) -> Connection {
        worker.tick();
        board::add(&worker.block.connections, 1);
        if worker.blocking && worker.server.has_unix_listener() {
            // A TCP socket inherits this timeout from its listener, a Unix socket does not. An error
            // means that the socket is broken, which the first receive will report.
            let _ = net::set_send_timeout(socket.as_fd(), worker.server.write_timeout());
        }
        let session = session(&worker.turn().1);
        Connection {
            socket,
            session,
            block: worker.block,
            accepted: worker.now,
            queued: worker.now,
            fin_sent: false,
            would_block: false,
            received_nothing: false,
        }
    }
}
