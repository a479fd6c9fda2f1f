//! Connections to back ends.

use std::io::{self, ErrorKind, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::errors::nonsense;
use super::spool::Spool;

/// Room for what is received at once.
const INPUT_BYTES: usize = 16 << 10;

/// Most bytes of a reply that are kept while its request is being sent.
const EARLY_BYTES_MAX: u64 = 1 << 30;

/// How long a gateway waits.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For each wait.
    pub each: Duration,
    /// For a whole exchange, zero: without end.
    pub total: Duration,
}

impl Patience {
    /// When an exchange that begins now must have ended.
    pub fn end(&self) -> Option<Instant> {
        (!self.total.is_zero()).then(|| Instant::now() + self.total)
    }
}

/// A connection to a back end, on which every wait has an end. What it sends while a request is being
/// sent is kept until the request is out, so that neither side waits for the other for ever.
#[derive(Debug)]
pub struct Wire {
    socket: OwnedFd,
    each: Duration,
    end: Option<Instant>,
    /// `SO_RCVTIMEO`, as it is set.
    timeout: Duration,
    /// What it has sent while we were sending.
    early: Spool,
    /// Its FIN was received.
    ended: bool,
    /// It takes no more of the request.
    refuses: bool,
    /// Received and not consumed, from `at` on.
    input: Vec<u8>,
    at: usize,
    used: Instant,
}

impl Wire {
    /// Connects to `HOST:PORT` or `unix:/path`, trying all addresses of the host.
    ///
    /// # Errors
    /// No back end listens, or not in time.
    pub fn connect(addr: &str, patience: Patience) -> io::Result<Wire> {
        let end = patience.end();
        let socket: OwnedFd = match addr.strip_prefix("unix:") {
            Some(path) => connect_to_path(path, patience.each)?,
            None => connect_to_host(addr, patience.each)?.into(),
        };
        set_socket_timeout(&socket, Timeout::Recv, Some(patience.each))?;
        Ok(Wire {
            socket,
            each: patience.each,
            end,
            timeout: patience.each,
            early: Spool::default(),
            ended: false,
            refuses: false,
            input: Vec::new(),
            at: 0,
            used: Instant::now(),
        })
    }

    /// A new exchange begins on a connection that was kept.
    pub fn begin(&mut self, patience: Patience) {
        self.end = patience.end();
    }

    /// How long ago it was used.
    pub fn idle(&self) -> Duration {
        self.used.elapsed()
    }

    /// Whether an idle connection is still of use: neither closed nor with bytes that were not asked for.
    pub fn is_quiet(&self) -> bool {
        self.is_spent()
            && recv(
                &self.socket,
                &mut [0; 1],
                RecvFlags::PEEK | RecvFlags::DONTWAIT,
            ) == Err(Errno::AGAIN)
    }

    /// Whether everything that was received is consumed, and more may come.
    pub fn is_spent(&self) -> bool {
        self.buffered().is_empty() && self.early.is_empty() && !self.ended && !self.refuses
    }

    /// How long the next wait may take.
    ///
    /// # Errors
    /// The exchange should have ended.
    fn left(&self) -> io::Result<Duration> {
        let left = match self.end {
            Some(end) => end.saturating_duration_since(Instant::now()).min(self.each),
            None => self.each,
        };
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(left)
    }

    /// Sends. False: the back end takes no more of the request, by a FIN or a reset; what it has sent can
    /// be read.
    ///
    /// # Errors
    /// It takes nothing for too long, or what it sends meanwhile cannot be kept.
    pub fn send(&mut self, mut bytes: &[u8]) -> io::Result<bool> {
        while !bytes.is_empty() && !self.refuses {
            match send(
                &self.socket,
                bytes,
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            ) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait_for_room()?,
                Err(Errno::PIPE | Errno::CONNRESET) => self.refuses = true,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(!self.refuses)
    }

    /// Waits until the socket takes more, and receives meanwhile.
    fn wait_for_room(&mut self) -> io::Result<()> {
        loop {
            let either = PollFlags::IN | PollFlags::OUT;
            let ready = ready_within(self.left()?, &self.socket, either)?;
            if ready.is_empty() {
                return Err(ErrorKind::TimedOut.into());
            }
            if ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                self.receive_early()?;
            }
            if self.refuses || ready.contains(PollFlags::OUT) {
                return Ok(());
            }
        }
    }

    /// Waits at most so long for the back end to send, and keeps what it has sent. False: it sent nothing.
    ///
    /// # Errors
    /// It cannot be kept, or the exchange should have ended.
    pub fn listen(&mut self, most: Duration) -> io::Result<bool> {
        let ready = ready_within(self.left()?.min(most), &self.socket, PollFlags::IN)?;
        if !ready.is_empty() {
            self.receive_early()?;
        }
        Ok(!ready.is_empty())
    }

    /// Receives what has come already, and keeps it.
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn receive_early(&mut self) -> io::Result<()> {
        let mut room = [0; INPUT_BYTES];
        loop {
            match recv(&self.socket, &mut room, RecvFlags::DONTWAIT) {
                Ok((0, _)) => {
                    (self.ended, self.refuses) = (true, true);
                    return Ok(());
                }
                Ok(_) if self.early.pushed() > EARLY_BYTES_MAX => {
                    return Err(nonsense("too much before it has read its request"));
                }
                Ok((bytes, _)) => self.early.push(&room[..bytes])?,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(_) => {
                    self.refuses = true;
                    return Ok(());
                }
            }
        }
    }

    /// Has the rest of the request not sent: the back end has answered that it does not want it.
    pub fn refuse(&mut self) {
        self.refuses = true;
    }

    /// Whether it takes no more of the request.
    pub fn refuses(&self) -> bool {
        self.refuses
    }

    /// The beginning of what was received while we were sending.
    pub fn early(&self) -> &[u8] {
        self.early.start()
    }

    /// Received and not consumed.
    pub fn buffered(&self) -> &[u8] {
        &self.input[self.at..]
    }

    /// Takes note that `bytes` of what is buffered were read.
    pub fn consume(&mut self, bytes: usize) {
        self.at += bytes;
        if self.at >= self.input.len() {
            self.input.clear();
            self.at = 0;
        }
    }

    /// Receives more into the buffer. 0: the back end has ended.
    ///
    /// # Errors
    /// It is too late, or the connection is broken.
    pub fn fill(&mut self) -> io::Result<usize> {
        if self.at > 0 && self.input.len() + INPUT_BYTES > self.input.capacity() {
            self.input.drain(..self.at);
            self.at = 0;
        }
        let before = self.input.len();
        if !self.early.is_empty() {
            self.input.resize(before + INPUT_BYTES, 0);
            let bytes = self.early.read(&mut self.input[before..]);
            self.input.truncate(before + *bytes.as_ref().unwrap_or(&0));
            return bytes;
        }
        if self.ended {
            return Ok(0);
        }
        let mut input = std::mem::take(&mut self.input);
        input.reserve(INPUT_BYTES);
        let received = self.receive(|socket| {
            let room = rustix::buffer::spare_capacity(&mut input);
            recv(socket, room, RecvFlags::empty()).map(|(bytes, _)| bytes)
        });
        self.input = input;
        received
    }

    /// Receives once, whatever signals come. 0: the back end has ended.
    fn receive(
        &mut self,
        mut once: impl FnMut(&OwnedFd) -> Result<usize, Errno>,
    ) -> io::Result<usize> {
        self.set_timeout()?;
        loop {
            match once(&self.socket) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(0);
                }
                Ok(bytes) => {
                    self.used = Instant::now();
                    return Ok(bytes);
                }
                Err(Errno::INTR) => {
                    self.left()?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Bounds the next receive, by a system call only if the bound is another one than before.
    fn set_timeout(&mut self) -> io::Result<()> {
        let left = self.left()?;
        if left < self.timeout || (left == self.each && self.timeout != self.each) {
            set_socket_timeout(&self.socket, Timeout::Recv, Some(left))?;
            self.timeout = left;
        }
        Ok(())
    }
}

impl Read for Wire {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.buffered().is_empty() {
            // A long body is not copied twice.
            if to.len() >= INPUT_BYTES && self.early.is_empty() && !self.ended {
                return self.receive(|socket| {
                    recv(socket, &mut *to, RecvFlags::empty()).map(|(bytes, _)| bytes)
                });
            }
            if self.fill()? == 0 {
                return Ok(0);
            }
        }
        let bytes = self.buffered().len().min(to.len());
        to[..bytes].copy_from_slice(&self.buffered()[..bytes]);
        self.consume(bytes);
        Ok(bytes)
    }
}

/// A Unix socket whose backlog is full makes `connect(2)` wait as long as a send may take.
fn connect_to_path(path: &str, each: Duration) -> io::Result<OwnedFd> {
    use rustix::net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
    };
    let addr = SocketAddrUnix::new(path)?;
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    set_socket_timeout(&socket, Timeout::Send, Some(each))?;
    rustix::io::retry_on_intr(|| connect(&socket, &addr))?;
    Ok(socket)
}

fn connect_to_host(addr: &str, each: Duration) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(ErrorKind::NotFound, "no address");
    for addr in addr.to_socket_addrs()? {
        match TcpStream::connect_timeout(&addr, each) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// What of `events` is ready, or nothing when the time is over.
pub fn ready_within(time: Duration, fd: &impl AsFd, events: PollFlags) -> io::Result<PollFlags> {
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(fd, events)];
        match poll(&mut fds, Timespec::try_from(left).ok().as_ref()) {
            Ok(_) => return Ok(fds[0].revents()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
