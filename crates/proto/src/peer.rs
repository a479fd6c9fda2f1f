//! Who is at the other end of a connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;

/// The other end of a connection: the client, or the last proxy before this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peer {
    /// An address of IPv4 or IPv6. An IPv4 address that came through an IPv6 socket is given as IPv4.
    Ip(SocketAddr),
    /// A Unix socket, whose other end has no address.
    Unix,
    /// The kernel does not say: the connection was reset before it was asked.
    Unknown,
}

impl Peer {
    /// Its IP address, if it has one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Peer::Ip(addr) => Some(addr.ip()),
            Peer::Unix | Peer::Unknown => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Ip(addr) => addr.fmt(f),
            Peer::Unix => f.write_str("unix"),
            Peer::Unknown => f.write_str("unknown"),
        }
    }
}

/// How the peer of one connection is found out, and what it is once a service has asked: a service that
/// never asks costs no system call.
pub(crate) struct PeerLookup {
    /// Boxed, so that the connections of those who do not ask stay small.
    known: OnceLock<Box<Peer>>,
    socket: i32,
    look_up: fn(i32) -> Peer,
}

impl PeerLookup {
    /// Of a session whose driver does not say.
    pub(crate) fn unknown() -> PeerLookup {
        PeerLookup::new(-1, |_| Peer::Unknown)
    }

    pub(crate) fn new(socket: i32, look_up: fn(i32) -> Peer) -> PeerLookup {
        PeerLookup {
            known: OnceLock::new(),
            socket,
            look_up,
        }
    }

    /// The number by which the driver knows the connection.
    pub(crate) fn socket(&self) -> i32 {
        self.socket
    }

    pub(crate) fn ask(&self) -> Peer {
        **self
            .known
            .get_or_init(|| Box::new((self.look_up)(self.socket)))
    }

    pub(crate) fn known(&self) -> Option<Peer> {
        self.known.get().map(|known| **known)
    }
}

impl fmt::Debug for PeerLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeerLookup")
            .field(&self.known.get())
            .finish()
    }
}
