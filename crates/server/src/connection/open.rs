//! How a connection begins.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;

use os::net;
use proto::{Peer, Session, Turn};

use super::Connection;
use crate::addresses::{Counted, Entered};
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
        let counted = match worker.server.asks_peers {
            true => know_peer(&socket, &mut session, worker),
            false => None,
        };
        Connection {
            socket,
            session,
            block: worker.block,
            accepted: worker.now,
            queued: worker.now,
            fin_sent: false,
            would_block: false,
            received_nothing: false,
            _counted: counted,
        }
    }
}

/// Finds out who the peer is. Where connections are counted by address this one is; if others that were
/// accepted at the same time have taken the last place, it ends.
#[cold]
#[inline(never)]
fn know_peer(socket: &OwnedFd, session: &mut Session, worker: &mut Worker) -> Option<Box<Counted>> {
    let peer = session.ask_peer().ip()?;
    let server = worker.server;
    let now_ns = server.drain.shared_ns(worker.now);
    match server.addresses?.enter(peer, worker.number, now_ns) {
        Entered::Counted(counted) => return Some(Box::new(counted)),
        Entered::Untracked => {
            let untracked = &server.board.refused.untracked;
            untracked.fetch_add(1, Ordering::Relaxed);
        }
        Entered::Refused => {
            let refused = &server.board.refused.connections;
            refused.fetch_add(1, Ordering::Relaxed);
            session.refuse_all(&mut worker.turn().1);
            // A loop learns of it as of any other end.
            net::shutdown_both(socket.as_raw_fd());
        }
    }
    None
}

/// Asks the kernel whose connection this is. The number is that of a socket which its connection owns, and
/// a service asks during a call on that connection.
#[cold]
pub(super) fn look_up(socket: i32) -> Peer {
    net::with_number(socket, |socket| match net::peer_name(socket) {
        Ok(Some(addr)) => Peer::Ip(addr),
        Ok(None) => Peer::Unix,
        Err(_) => Peer::Unknown,
    })
}
