//! Addresses, listeners, and the system calls of a connection: accept, receive, send, shutdown.

use std::ffi::OsString;
use std::fmt;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
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

/// `O_NONBLOCK`, for files that std opens.
pub const O_NONBLOCK: i32 = OFlags::NONBLOCK.bits() as i32;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addr {
    /// `127.0.0.1:8080` or `[::1]:8080`; port 0 lets the kernel choose.
    Tcp(SocketAddr),
    /// `unix:/path`, or `unix:@name` for an abstract one (`unix(7)`).
    Unix(PathBuf),
    /// `fd:N`: a listener inherited from the process that started this one.
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

/// Opens a listener. Accepted connections inherit the TCP options that are set here (`tcp(7)`), so
/// that none needs a system call for them. A Unix socket at the path on which no process listens any
/// more is replaced.
///
/// # Errors
/// Those of socket, bind and listen. For an inherited descriptor: it is not open, not a socket, or does
/// not listen.
pub fn listen(addr: &Addr, backlog: i32) -> std::io::Result<OwnedFd> {
    let socket = match addr {
        Addr::Tcp(addr) => bound(addr, false)?,
        Addr::Unix(path) => {
            let socket = unix_stream()?;
            let name = unix_name(path)?;
            if let Err(error) = rustix::net::bind(&socket, &name) {
                if error != rustix::io::Errno::ADDRINUSE
                    || is_abstract(path)
                    || !is_stale(path, &name)
                {
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

/// A TCP socket at `addr`, with the options that accepted connections inherit. At `[::]` it takes IPv4
/// connections too, whatever the system's `bindv6only` says (`ipv6(7)`).
pub(crate) fn bound(addr: &SocketAddr, reuseport: bool) -> Result<OwnedFd> {
    let family = if addr.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, reuseport)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    if addr.is_ipv6() && addr.ip().is_unspecified() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    rustix::net::bind(&socket, addr)?;
    Ok(socket)
}

fn unix_stream() -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Whether `path` is a socket on which no process listens. Other files refuse a connection too, and must
/// not be removed.
fn is_stale(path: &Path, name: &SocketAddrUnix) -> bool {
    let is_socket = |file: std::fs::Metadata| file.file_type().is_socket();
    if !std::fs::symlink_metadata(path).is_ok_and(is_socket) {
        return false;
    }
    unix_stream().is_ok_and(|probe| {
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

/// The address to which a listener is bound, with port 0 resolved.
pub fn local_addr(listener: BorrowedFd<'_>, asked: &Addr) -> Addr {
    let bound = rustix::net::getsockname(listener).ok();
    match bound.and_then(|addr| SocketAddr::try_from(addr).ok()) {
        Some(addr) => Addr::Tcp(addr),
        None => asked.clone(),
    }
}

/// The address at which a descriptor listens.
///
/// # Errors
/// What it is instead.
pub fn listens_at(listener: BorrowedFd<'_>) -> std::result::Result<Addr, String> {
    match sockopt::socket_acceptconn(listener) {
        Ok(true) => {}
        Ok(false) => return Err("it is a socket that does not listen".into()),
        Err(error) => return Err(error.to_string()),
    }
    let bound = rustix::net::getsockname(listener).map_err(|error| error.to_string())?;
    if let Ok(addr) = SocketAddr::try_from(bound.clone()) {
        return Ok(Addr::Tcp(addr));
    }
    let unix = SocketAddrUnix::try_from(bound).map_err(|error| error.to_string())?;
    let path = unix.path_bytes().map(<[u8]>::to_vec);
    let name = || Some([b"@", unix.abstract_name()?].concat());
    let path = path.or_else(name).ok_or("it is a socket of another kind")?;
    Ok(Addr::Unix(OsString::from_vec(path).into()))
}

/// The file at the path of a Unix listener: device and inode. `None`: there is none, or it is an abstract
/// one.
pub fn file_of(addr: &Addr) -> Option<(u64, u64)> {
    let Addr::Unix(path) = addr else { return None };
    let file = rustix::fs::lstat(path.as_path()).ok()?;
    (!is_abstract(path)).then_some((file.st_dev, file.st_ino))
}

/// Whether `unix:@name` names no file.
fn is_abstract(path: &Path) -> bool {
    path.as_os_str().as_bytes().first() == Some(&b'@')
}

fn unix_name(path: &Path) -> Result<SocketAddrUnix> {
    match path.as_os_str().as_bytes() {
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name),
        _ => SocketAddrUnix::new(path),
    }
}

/// A socket that sends datagrams to the Unix socket at `path`, or to an abstract one (`@name`), without
/// waiting.
///
/// # Errors
/// Those of socket and connect.
pub fn datagrams_to(path: &Path) -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    rustix::net::connect(&socket, &unix_name(path)?)?;
    Ok(socket)
}

/// Accepts a connection. `nonblocking` is for the new socket, not for the listener.
///
/// # Errors
/// Those of `accept(2)`.
#[inline(always)]
pub fn accept(listener: BorrowedFd<'_>, nonblocking: bool) -> Result<OwnedFd> {
    let flags = if nonblocking {
        SocketFlags::NONBLOCK
    } else {
        SocketFlags::empty()
    };
    rustix::net::accept_with(listener, SocketFlags::CLOEXEC | flags)
}

/// How long ago the last bytes came on a TCP connection, in steps of the kernel's tick (1 to 10 ms).
/// `None`: it is no TCP connection.
pub fn input_age(socket: BorrowedFd<'_>) -> Option<Duration> {
    // `struct tcp_info` of linux/tcp.h in units of four bytes, up to tcpi_last_data_recv; the kernel
    // copies as much as there is room for.
    const LAST_DATA_RECV: usize = 13;
    let mut info = [0_u32; LAST_DATA_RECV + 1];
    let mut bytes = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the buffer and its size are those of `info`.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut bytes,
        )
    };
    let known = failed == 0 && bytes as usize == size_of_val(&info);
    known.then(|| Duration::from_millis(info[LAST_DATA_RECV].into()))
}

/// The kernel's tick, by which [`input_age`] may be too long.
pub fn input_age_step() -> Duration {
    let tick = rustix::time::clock_getres(rustix::time::ClockId::MonotonicCoarse);
    tick.try_into().unwrap_or_default()
}

/// Has the kernel report a new connection only once its first bytes have come, or so many seconds have
/// passed (`TCP_DEFER_ACCEPT`, `tcp(7)`); 0: at once. False: it is no TCP listener.
pub fn defer_accept(listener: impl AsFd, seconds: libc::c_int) -> bool {
    // SAFETY: the option is an int, and its address and size are those of `seconds`.
    let failed = unsafe {
        libc::setsockopt(
            listener.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const seconds).cast(),
            size_of_val(&seconds) as libc::socklen_t,
        )
    };
    failed == 0
}

/// Receives into `buffer`, at most its capacity. Returns the number of bytes, 0 for the peer's FIN.
/// Memory behind the received bytes is not touched, so a large buffer does not cost more than a small
/// one.
///
/// # Errors
/// Those of `recv(2)`.
#[inline(always)]
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> Result<usize> {
    buffer.clear();
    let room = rustix::buffer::spare_capacity(buffer);
    rustix::net::recv(socket, room, RecvFlags::empty()).map(|(bytes, _)| bytes)
}

/// The same without waiting, even if the socket blocks.
///
/// # Errors
/// EAGAIN: nothing has been received. Those of `recv(2)`.
#[inline(always)]
pub fn receive_now(socket: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> Result<usize> {
    buffer.clear();
    let room = rustix::buffer::spare_capacity(buffer);
    rustix::net::recv(socket, room, RecvFlags::DONTWAIT).map(|(bytes, _)| bytes)
}

/// Sends as much as the socket takes, without SIGPIPE. Returns the number of bytes.
///
/// # Errors
/// Those of `send(2)`.
#[inline(always)]
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)
}

/// Sends FIN. The socket still receives.
///
/// # Errors
/// ENOTCONN: the connection is reset.
pub fn shutdown_write(socket: BorrowedFd<'_>) -> Result<()> {
    rustix::net::shutdown(socket, Shutdown::Write)
}

/// Calls `act` with a descriptor of which only the number is at hand. Its owner must not close it
/// meanwhile.
pub fn with_number<T>(fd: RawFd, act: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    // SAFETY: by contract the descriptor is open during the call. If it is not, system calls answer
    // EBADF.
    act(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Address of the peer, if it has an IP address.
pub fn peer(socket: BorrowedFd<'_>) -> Option<std::net::IpAddr> {
    Some(peer_name(socket).ok()??.ip())
}

/// Address and port of the peer; `None`: it has no IP address, as on a Unix socket.
///
/// # Errors
/// ENOTCONN: the connection is reset.
pub fn peer_name(socket: BorrowedFd<'_>) -> Result<Option<SocketAddr>> {
    let name = rustix::net::getpeername(socket)?;
    let addr = name.and_then(|name| SocketAddr::try_from(name).ok());
    Ok(addr.map(|addr| SocketAddr::new(addr.ip().to_canonical(), addr.port())))
}

/// Ends the receiving side of a socket: receive returns the bytes that have arrived and then 0, and a thread that
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

/// Bounds how long one blocking receive takes (`SO_RCVTIMEO`); zero means no bound.
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn set_receive_timeout(socket: BorrowedFd<'_>, timeout: Duration) -> Result<()> {
    sockopt::set_socket_timeout(socket, Timeout::Recv, Some(timeout))
}

/// Bounds how long one blocking send takes (`SO_SNDTIMEO`). Connections inherit it from a TCP listener.
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn set_send_timeout(socket: BorrowedFd<'_>, timeout: Duration) -> Result<()> {
    sockopt::set_socket_timeout(socket, Timeout::Send, Some(timeout))
}

/// Makes the closing of `socket` a reset: what is unsent is dropped, and the peer learns that something
/// failed (`socket(7)`, SO_LINGER).
///
/// # Errors
/// The socket is broken.
pub fn reset_on_close(socket: BorrowedFd<'_>) -> Result<()> {
    sockopt::set_socket_linger(socket, Some(Duration::ZERO))
}

/// Makes calls on `fd` return EAGAIN instead of blocking. The flag is one of the open file description,
/// so it holds for all processes and threads that share that. Async-signal-safe.
///
/// # Errors
/// EBADF.
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

/// An eventfd: a descriptor that is readable once woken, for all that poll it.
#[derive(Debug)]
pub struct Waker(OwnedFd);

impl Waker {
    /// A waker that is not readable.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
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
        // EAGAIN: it was not readable.
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
