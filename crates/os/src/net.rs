//! Addresses, listeners and the four calls of a connection's life.

use std::fmt;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Result;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType,
};

use rustix::event::Timespec;
pub use rustix::event::{PollFd, PollFlags};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addr {
    /// `127.0.0.1:8080` or `[::1]:8080`; port 0 lets the kernel choose.
    Tcp(SocketAddr),
    /// `unix:/path`.
    Unix(PathBuf),
    /// `fd:N`: a listener inherited from whoever started this process.
    Inherited(RawFd),
}

impl std::str::FromStr for Addr {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Addr, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err("unix: needs a path".into())
            } else {
                Ok(Addr::Unix(path.into()))
            };
        }
        if let Some(number) = text.strip_prefix("fd:") {
            return match number.parse() {
                Ok(fd) if fd >= 0 => Ok(Addr::Inherited(fd)),
                _ => Err(format!("fd:{number} is not a descriptor number")),
            };
        }
        text.parse()
            .map(Addr::Tcp)
            .map_err(|_| format!("{text:?} is not ADDR:PORT, [ADDR]:PORT, unix:/path or fd:N"))
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Addr::Tcp(addr) => addr.fmt(f),
            Addr::Unix(path) => write!(f, "unix:{}", path.display()),
            Addr::Inherited(fd) => write!(f, "fd:{fd}"),
        }
    }
}

/// Opens a listener. TCP options set here are inherited by what it accepts (`tcp(7)`), so that no
/// connection pays for them. A stale Unix socket that nobody answers on is replaced.
pub fn listen(addr: &Addr, backlog: i32) -> std::io::Result<OwnedFd> {
    let socket = match addr {
        Addr::Tcp(addr) => {
            let family = if addr.is_ipv4() {
                AddressFamily::INET
            } else {
                AddressFamily::INET6
            };
            let socket =
                rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
            sockopt::set_socket_reuseaddr(&socket, true)?;
            sockopt::set_tcp_nodelay(&socket, true)?;
            rustix::net::bind(&socket, addr)?;
            socket
        }
        Addr::Unix(path) => {
            let socket = rustix::net::socket_with(
                AddressFamily::UNIX,
                SocketType::STREAM,
                SocketFlags::CLOEXEC,
                None,
            )?;
            let name = SocketAddrUnix::new(path.as_path())?;
            if let Err(error) = rustix::net::bind(&socket, &name) {
                if error != rustix::io::Errno::ADDRINUSE || !is_stale(path, &name) {
                    return Err(error.into());
                }
                std::fs::remove_file(path)?;
                rustix::net::bind(&socket, &name)?;
            }
            socket
        }
        Addr::Inherited(fd) => return inherit(*fd),
    };
    rustix::net::listen(&socket, backlog)?;
    Ok(socket)
}

/// Whether a socket lies at `path` that nobody listens on. Whatever else lies there refuses a
/// connection too, and is not ours to remove.
fn is_stale(path: &Path, name: &SocketAddrUnix) -> bool {
    let is_socket = |file: std::fs::Metadata| file.file_type().is_socket();
    if !std::fs::symlink_metadata(path).is_ok_and(is_socket) {
        return false;
    }
    let probe = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    );
    probe.is_ok_and(|probe| {
        rustix::net::connect(&probe, name) == Err(rustix::io::Errno::CONNREFUSED)
    })
}

fn inherit(fd: RawFd) -> std::io::Result<OwnedFd> {
    // SAFETY: the number is given once, on the command line, and nobody else owns it. If it is not
    // open, it is not dropped, that is closed.
    let listener = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(fd) });
    match sockopt::socket_acceptconn(&*listener) {
        Ok(true) => {}
        Ok(false) => return Err(std::io::Error::other("it is a socket that does not listen")),
        Err(error) => return Err(error.into()),
    }
    rustix::io::fcntl_setfd(&*listener, rustix::io::FdFlags::CLOEXEC)?;
    Ok(ManuallyDrop::into_inner(listener))
}

/// The address a listener is really bound to, as users write it.
pub fn local_addr(listener: BorrowedFd<'_>, asked: &Addr) -> Addr {
    let bound = rustix::net::getsockname(listener).ok();
    match bound.and_then(|addr| SocketAddr::try_from(addr).ok()) {
        Some(addr) => Addr::Tcp(addr),
        None => asked.clone(),
    }
}

/// Accepts a connection; `nonblocking` concerns the new one, not the listener.
#[inline]
pub fn accept(listener: BorrowedFd<'_>, nonblocking: bool) -> Result<OwnedFd> {
    let flags = if nonblocking {
        SocketFlags::NONBLOCK
    } else {
        SocketFlags::empty()
    };
    rustix::net::accept_with(listener, SocketFlags::CLOEXEC | flags)
}

/// Receives into `buffer`, whose capacity is the most that comes at once; 0 is the peer's FIN. Memory
/// beyond what has come is never touched, so a large buffer costs what it is used for.
#[inline]
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> Result<usize> {
    buffer.clear();
    let room = rustix::buffer::spare_capacity(buffer);
    rustix::net::recv(socket, room, RecvFlags::empty()).map(|(bytes, _)| bytes)
}

/// The same without waiting, whatever the socket does otherwise: EAGAIN where nothing has come.
#[inline]
pub fn receive_now(socket: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> Result<usize> {
    buffer.clear();
    let room = rustix::buffer::spare_capacity(buffer);
    rustix::net::recv(socket, room, RecvFlags::DONTWAIT).map(|(bytes, _)| bytes)
}

/// Sends what the socket takes, never raising SIGPIPE.
#[inline]
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)
}

/// Sends FIN; receiving goes on.
pub fn shutdown_write(socket: BorrowedFd<'_>) -> Result<()> {
    rustix::net::shutdown(socket, Shutdown::Write)
}

/// Calls `act` with a descriptor known by its number, whose owner is elsewhere just now and has not
/// closed it.
pub fn with_number<T>(fd: RawFd, act: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    // SAFETY: the number is borrowed for one call; one that is not open yields EBADF.
    act(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Ends the receiving side of a socket: receive returns what has come and then 0, and a thread that
/// blocks in receive returns from it. Async-signal-safe.
pub fn shutdown_read(fd: RawFd) {
    shutdown(fd, Shutdown::Read);
}

/// Ends both sides of a socket: every call on it returns at once. Async-signal-safe.
pub fn shutdown_both(fd: RawFd) {
    shutdown(fd, Shutdown::Both);
}

fn shutdown(fd: RawFd, how: Shutdown) {
    // ENOTCONN: the peer has closed the connection already, so there is nothing to end.
    let _ = with_number(fd, |socket| rustix::net::shutdown(socket, how));
}

/// Bounds how long one blocking receive takes.
pub fn set_receive_timeout(socket: BorrowedFd<'_>, timeout: Duration) -> Result<()> {
    sockopt::set_socket_timeout(socket, Timeout::Recv, Some(timeout))
}

/// Bounds how long one blocking send takes. Set on a TCP listener, what it accepts inherits it.
pub fn set_send_timeout(socket: BorrowedFd<'_>, timeout: Duration) -> Result<()> {
    sockopt::set_socket_timeout(socket, Timeout::Send, Some(timeout))
}

/// Makes calls on `fd` return instead of block. The flag belongs to the open file, so every
/// process and thread that shares it sees it.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> Result<()> {
    fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)
}

/// Waits until one of `fds` is ready or `timeout` has passed, and returns how many are.
///
/// # Errors
/// EINTR: a handler of a signal has run.
pub fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<usize> {
    rustix::event::poll(fds, timespec(timeout).as_ref())
}

/// A timeout as the kernel takes it; `None` waits without an end.
pub(crate) fn timespec(timeout: Option<Duration>) -> Option<Timespec> {
    timeout.map(|timeout| Timespec {
        tv_sec: timeout.as_secs() as i64,
        tv_nsec: i64::from(timeout.subsec_nanos()),
    })
}

/// A waker: a descriptor that is readable once woken, for everyone who watches it.
#[derive(Debug)]
pub struct Waker(OwnedFd);

impl Waker {
    /// A waker that nobody has used.
    pub fn new() -> Result<Waker> {
        use rustix::event::{EventfdFlags, eventfd};
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map(Waker)
    }

    /// Makes it readable. Async-signal-safe.
    pub fn wake(&self) {
        // EAGAIN: it is readable already.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Makes it unreadable again.
    pub fn clear(&self) {
        // EAGAIN: nobody had woken it.
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
