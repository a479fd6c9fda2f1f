//! Several listeners on one address. The kernel chooses one for each connection, by a hash of its
//! addresses and ports.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::sockopt;

use crate::net::bound;

/// Opens `count` listeners on `addr`; port 0 is resolved once, for all. The options are those of
/// [`net::listen`](crate::net::listen).
///
/// The first is bound without `SO_REUSEPORT`. Otherwise an address that another process uses would not
/// be refused but shared with it (`socket(7)`).
///
/// # Errors
/// Those of socket, bind and listen.
pub fn listeners(addr: SocketAddr, backlog: i32, count: usize) -> std::io::Result<Vec<OwnedFd>> {
    let first = bound(&addr, false)?;
    sockopt::set_socket_reuseport(&first, true)?;
    let addr: SocketAddr = rustix::net::getsockname(&first)?
        .try_into()
        .map_err(|_| std::io::Error::other("it has no IP address"))?;
    let mut all = vec![first];
    for _ in 1..count {
        all.push(bound(&addr, true)?);
    }
    // None listens before all are bound, so the first connections are spread over all of them.
    for listener in &all {
        rustix::net::listen(listener, backlog)?;
    }
    Ok(all)
}

/// Lets others be opened on the address of a listener that was opened as the only one.
///
/// # Errors
/// EOPNOTSUPP: it is no TCP socket.
pub fn share(listener: impl AsFd) -> rustix::io::Result<()> {
    sockopt::set_socket_reuseport(listener, true)
}

/// Opens one more on an address that has such listeners. The kernel allows it to the user who has opened those.
///
/// # Errors
/// Those of socket, bind and listen.
pub fn another(addr: SocketAddr, backlog: i32) -> std::io::Result<OwnedFd> {
    let listener = bound(&addr, true)?;
    rustix::net::listen(&listener, backlog)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net;
    use std::net::TcpStream;

    #[test]
    fn every_listener_gets_connections() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let all = listeners(any.parse().unwrap(), 1024, 4).unwrap();
            let addr = rustix::net::getsockname(&all[0]).unwrap();
            let addr: SocketAddr = addr.try_into().unwrap();
            let clients: Vec<_> = (0..400)
                .map(|_| TcpStream::connect(addr).unwrap())
                .collect();
            let mut accepted = 0;
            for listener in &all {
                net::set_nonblocking(listener.as_fd()).unwrap();
                let mut own = 0;
                while net::accept(listener.as_fd(), false).is_ok() {
                    own += 1;
                }
                assert!(own > 0, "one of four has none of 400");
                accepted += own;
            }
            assert_eq!(accepted, clients.len());
        }
    }

    #[test]
    fn one_that_listens_alone_can_be_shared() {
        let alone = net::listen(&net::Addr::Tcp("127.0.0.1:0".parse().unwrap()), 1024).unwrap();
        let addr = rustix::net::getsockname(&alone).unwrap();
        let addr: SocketAddr = addr.try_into().unwrap();
        assert!(another(addr, 1024).is_err());
        share(&alone).unwrap();
        let other = another(addr, 1024).unwrap();
        let clients: Vec<_> = (0..100)
            .map(|_| TcpStream::connect(addr).unwrap())
            .collect();
        let mut accepted = 0;
        for listener in [&alone, &other] {
            net::set_nonblocking(listener.as_fd()).unwrap();
            let before = accepted;
            while net::accept(listener.as_fd(), false).is_ok() {
                accepted += 1;
            }
            assert!(accepted > before, "one of two has none of 100");
        }
        assert_eq!(accepted, clients.len());
    }

    #[test]
    fn an_address_in_use_is_refused() {
        let any = "127.0.0.1:0".parse().unwrap();
        let all = listeners(any, 16, 2).unwrap();
        let addr = rustix::net::getsockname(&all[1]).unwrap();
        let again = listeners(addr.try_into().unwrap(), 16, 2);
        assert_eq!(
            again.unwrap_err().kind(),
            std::io::ErrorKind::AddrInUse,
            "the address is not shared with the first listeners"
        );
    }
}
