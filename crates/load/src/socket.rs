//! Opening sockets without waiting, and the limit on descriptors.

use std::os::fd::OwnedFd;

use rustix::io::{Errno, Result};
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::target::Address;

/// Starts to connect, with a receive buffer of that many bytes if one is given. The connection may
/// not be established yet when this returns.
///
/// # Errors
/// Whatever `socket` and `connect` fail with at once, but not `EINPROGRESS`.
pub(crate) fn open(address: &Address, receive_bytes: Option<usize>) -> Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, connected) = match address {
        Address::Tcp(address) => {
            let family = if address.is_ipv4() {
                AddressFamily::INET
            } else {
                AddressFamily::INET6
            };
            let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
            sockopt::set_tcp_nodelay(&socket, true)?;
            // Before connecting, or the window would have been announced already.
            if let Some(bytes) = receive_bytes {
                sockopt::set_socket_recv_buffer_size(&socket, bytes)?;
            }
            let connected = net::connect(&socket, address);
            (socket, connected)
        }
        Address::Unix(path) => {
            let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            let connected = net::connect(&socket, &SocketAddrUnix::new(path)?);
            (socket, connected)
        }
    };
    match connected {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// Raises the soft limit on descriptors to the hard one, and returns it; `None` is no limit.
pub(crate) fn raise_descriptor_limit() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // If it cannot be raised, the old limit stays and is returned.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    getrlimit(Resource::Nofile).current
}
