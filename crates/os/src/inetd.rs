//! Being started for one connection by a super-server (`inetd(8)`, systemd's `Accept=yes`).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, fstat, open};
use rustix::io::Errno;
use rustix::net::sockopt;

use crate::net;

/// Takes descriptor 0, which must be a connected stream socket, and makes it what an accepted one
/// is: blocking, without Nagle's delay, its sends bounded by `send_timeout`.
///
/// Standard input, and standard output and error where they are the connection too, become
/// `/dev/null`: nothing that is printed must get between the replies, and the peer must see FIN
/// when the connection is closed.
///
/// # Errors
/// What descriptor 0 is instead, or what failed, in words.
pub fn connection(send_timeout: Duration) -> Result<OwnedFd, String> {
    take(rustix::stdio::stdin(), send_timeout)
}

fn take(stdin: BorrowedFd<'_>, send_timeout: Duration) -> Result<OwnedFd, String> {
    let failed = |error: Errno| format!("descriptor 0: {error}");
    match sockopt::socket_type(stdin) {
        Ok(rustix::net::SocketType::STREAM) => {}
        Ok(_) => return Err("descriptor 0 is a socket, but not a stream".into()),
        Err(Errno::BADF) => return Err("descriptor 0 is closed".into()),
        Err(_) => return Err("descriptor 0 is not a socket".into()),
    }
    match rustix::net::getpeername(stdin) {
        Ok(_) => {}
        Err(Errno::NOTCONN) => return Err("descriptor 0 is a socket without a peer".into()),
        Err(error) => return Err(failed(error)),
    }
    let socket = rustix::io::fcntl_dupfd_cloexec(stdin, 3).map_err(failed)?;
    let flags = fcntl_getfl(&socket).map_err(failed)?;
    fcntl_setfl(&socket, flags - OFlags::NONBLOCK).map_err(failed)?;
    // A unix socket has no Nagle to turn off.
    let _ = sockopt::set_tcp_nodelay(&socket, true);
    net::set_send_timeout(socket.as_fd(), send_timeout).map_err(failed)?;
    hide(&socket).map_err(failed)?;
    Ok(socket)
}

/// Puts `/dev/null` where the standard descriptors are the connection.
fn hide(socket: &OwnedFd) -> Result<(), Errno> {
    use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout};
    let its = fstat(socket)?;
    let is_it =
        |fd| fstat(fd).is_ok_and(|other| (other.st_dev, other.st_ino) == (its.st_dev, its.st_ino));
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    if is_it(stdin()) {
        dup2_stdin(&null)?;
    }
    if is_it(stdout()) {
        dup2_stdout(&null)?;
    }
    if is_it(stderr()) {
        dup2_stderr(&null)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixStream;

    fn refusal(fd: &impl AsFd) -> String {
        take(fd.as_fd(), Duration::from_secs(1)).unwrap_err()
    }

    #[test]
    fn only_a_connected_stream_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(refusal(&listener).contains("without a peer"));
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(refusal(&datagrams).contains("not a stream"));
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(refusal(&file).contains("not a socket"));
    }

    #[test]
    fn what_is_taken_blocks() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (unix, _peer) = UnixStream::pair().unwrap();
        unix.set_nonblocking(true).unwrap();
        client.set_nonblocking(true).unwrap();
        for socket in [client.as_fd(), unix.as_fd()] {
            let taken = take(socket, Duration::from_secs(1)).unwrap();
            let flags = fcntl_getfl(&taken).unwrap();
            assert!(!flags.contains(OFlags::NONBLOCK), "{flags:?}");
        }
        assert!(sockopt::tcp_nodelay(&client).unwrap());
    }
}
