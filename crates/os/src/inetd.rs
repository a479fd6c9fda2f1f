//! Processes that a super-server starts for one connection (`inetd(8)`, systemd's `Accept=yes`).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, fstat, open};
use rustix::io::Errno;
use rustix::net::sockopt;

use crate::net;

/// Takes descriptor 0, which must be a connected stream socket, and gives it the options of an
/// accepted one: blocking, without Nagle's delay, each send bounded by `send_timeout`.
///
/// Standard input becomes `/dev/null`, and so do standard output and standard error if they are the
/// connection too. Otherwise printed text would be sent between the replies, and closing the connection
/// would not send FIN.
///
/// # Errors
/// What descriptor 0 is instead, or what has failed, in one line.
pub fn take_connection(send_timeout: Duration) -> Result<OwnedFd, String> {
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
    replace_standard_descriptors(&socket).map_err(failed)?;
    Ok(socket)
}

/// Replaces by `/dev/null` those standard descriptors that are the connection.
fn replace_standard_descriptors(socket: &OwnedFd) -> Result<(), Errno> {
    use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout};
    let file = fstat(socket)?;
    let is_connection = |fd| {
        fstat(fd).is_ok_and(|other| (other.st_dev, other.st_ino) == (file.st_dev, file.st_ino))
    };
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    if is_connection(stdin()) {
        dup2_stdin(&null)?;
    }
    if is_connection(stdout()) {
        dup2_stdout(&null)?;
    }
    if is_connection(stderr()) {
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
    fn the_taken_socket_blocks() {
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
