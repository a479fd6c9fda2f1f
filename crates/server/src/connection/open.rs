//! How a connection begins.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use os::net;
use proto::{Peer, Session, Turn};

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
        let mut session = session(&worker.turn().1);
        session.set_look_up(socket.as_raw_fd(), look_up);
        if worker.server.logs_accesses()
            && let Some(peer) = net::peer(socket.as_fd())
        {
            session.set_peer(peer);
        }
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

/// Asks the kernel whose connection this is. The number is that of a socket which its connection owns, and
/// a service asks during a call on that connection.
#[cold]
fn look_up(socket: i32) -> Peer {
    net::with_number(socket, |socket| match net::peer_name(socket) {
        Ok(Some(addr)) => Peer::Ip(addr),
        Ok(None) => Peer::Unix,
        Err(_) => Peer::Unknown,
    })
}
