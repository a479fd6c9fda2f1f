//! The null server: a constant reply, no parsing. It shows what machine and generator can do at most.
//!
//! It counts bytes: the first receive of a connection tells how long a request is (up to the blank
//! line), and every so many bytes get one reply. Where a model comes near its throughput, the limit is
//! that of the generator and not the model's own.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{RecvFlags, SendFlags, SocketFlags};

const BODY: &[u8] = b"Hello, World!";
/// The most replies in one send, and the length of a reply above which a send carries only one.
const REPLIES_MAX: usize = 256;
const LONG_BYTES: usize = 4096;
/// What ends a head.
const BLANK_LINE: &[u8] = b"\r\n\r\n";
/// Connections are kept by descriptor number; one that is beyond the table is closed.
const CONNECTIONS_MAX: usize = 16_384;
const EVENTS_MAX: usize = 512;
const RECEIVE_BYTES: usize = 65_536;

/// `turnstile null-server`: what the bench compares every server with.
#[derive(Debug, Clone, clap::Args)]
pub struct NullArgs {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: String,
    /// Close each connection after its reply
    #[arg(long)]
    pub close: bool,
    /// Look for the end of each head, for requests that are not all as long as the first
    #[arg(long)]
    pub scan: bool,
    /// Bytes of each reply's body, instead of the thirteen of "Hello, World!"
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub bytes: Option<u32>,
}

/// A connection: its socket, the length of a request, and the bytes received of one that is not
/// complete; or, where heads are searched, how much of a blank line has been received.
struct Connection {
    socket: OwnedFd,
    request_bytes: usize,
    pending_bytes: usize,
    blank_bytes: usize,
}

/// The server: one listener, one selector per thread, connections by descriptor number.
struct Null {
    listener: TcpListener,
    close: bool,
    scan: bool,
    selectors: Vec<OwnedFd>,
    next: AtomicUsize,
    connections: Vec<Mutex<Option<Connection>>>,
    replies: Vec<u8>,
    reply_bytes: usize,
}

/// Runs `turnstile null-server` until SIGTERM or SIGINT.
pub fn null_main(args: NullArgs) -> ExitCode {
    match serve(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("turnstile null-server: {}: {error}", args.listen);
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &NullArgs) -> io::Result<()> {
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        let always = Arc::new(AtomicBool::new(true));
        signal_hook::flag::register_conditional_shutdown(signal, 0, always)?;
    }
    let listener = TcpListener::bind(&args.listen)?;
    let ready = format!("listening on {}\n", listener.local_addr()?);
    report::out::print(&ready).map_err(io::Error::other)?;
    run(listener, args)
}

/// Serves with one thread per CPU allowed, so that no model has more loops.
fn run(listener: TcpListener, args: &NullArgs) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let threads = std::thread::available_parallelism()?.get();
    let selectors = (0..threads)
        .map(|_| epoll::create(CreateFlags::CLOEXEC))
        .collect::<Result<Vec<_>, _>>()?;
    let reply = reply(args);
    let replies = if reply.len() > LONG_BYTES {
        1
    } else {
        REPLIES_MAX
    };
    let null = Arc::new(Null {
        listener,
        close: args.close,
        scan: args.scan,
        selectors,
        next: AtomicUsize::new(0),
        connections: (0..CONNECTIONS_MAX).map(|_| Mutex::new(None)).collect(),
        replies: reply.repeat(replies),
        reply_bytes: reply.len(),
    });
    for other in 1..threads {
        let null = Arc::clone(&null);
        std::thread::spawn(move || null.serve_events(other));
    }
    null.serve_events(0)
}

/// The one reply.
fn reply(args: &NullArgs) -> Vec<u8> {
    let body = match args.bytes {
        Some(bytes) => vec![b'x'; usize::try_from(bytes).unwrap_or(0)],
        None => BODY.to_vec(),
    };
    let close = if args.close {
        "Connection: close\r\n"
    } else {
        ""
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n{close}\r\n"
    );
    [head.as_bytes(), &body].concat()
}

impl Null {
    /// The loop of one thread.
    fn serve_events(&self, own: usize) -> io::Result<()> {
        let listener = self.listener.as_raw_fd();
        let data = |fd: i32| EventData::new_u64(u64::try_from(fd).unwrap_or(u64::MAX));
        let exclusive = EventFlags::IN | EventFlags::EXCLUSIVE;
        let selector = &self.selectors[own];
        epoll::add(selector, &self.listener, data(listener), exclusive)?;
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut buffer = vec![0; RECEIVE_BYTES];
        loop {
            let room = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(selector, room, None) {
                Err(rustix::io::Errno::INTR) => continue,
                result => result?,
            };
            for event in events.drain(..) {
                if event.data.u64() == data(listener).u64() {
                    self.accept(own);
                } else if let Some(slot) = usize::try_from(event.data.u64())
                    .ok()
                    .and_then(|i| self.connections.get(i))
                {
                    self.answer(slot, &mut buffer);
                }
            }
        }
    }

    /// Accepts what waits. Connections that are kept go to the threads in turn, those that are closed
    /// after their reply stay with this one.
    fn accept(&self, own: usize) {
        // A short reply always fits into the socket's buffer; a long one may block until the client
        // reads, which it does.
        let flags = if self.reply_bytes > LONG_BYTES {
            SocketFlags::CLOEXEC
        } else {
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC
        };
        while let Ok(socket) = rustix::net::accept_with(&self.listener, flags) {
            let fd = usize::try_from(socket.as_raw_fd()).unwrap_or(usize::MAX);
            let Some(slot) = self.connections.get(fd) else {
                continue;
            };
            let thread = if self.close {
                own
            } else {
                self.next.fetch_add(1, Ordering::Relaxed) % self.selectors.len()
            };
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            let data = EventData::new_u64(fd as u64);
            if epoll::add(&self.selectors[thread], &socket, data, EventFlags::IN).is_ok() {
                *slot = Some(Connection {
                    socket,
                    request_bytes: 0,
                    pending_bytes: 0,
                    blank_bytes: 0,
                });
            }
        }
    }

    /// One receive, one send; the connection is closed when its client closes it, or after its reply.
    fn answer(&self, slot: &Mutex<Option<Connection>>, buffer: &mut [u8]) {
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(connection) = slot.as_mut() else {
            return;
        };
        let n = match rustix::net::recv(&connection.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return,
            Ok((n, _)) if n > 0 => n,
            _ => return *slot = None,
        };
        let requests = if self.scan {
            connection.heads_ended(&buffer[..n])
        } else {
            connection.requests_ended(&buffer[..n])
        };
        let most = self.replies.len() / self.reply_bytes;
        for batch in (0..requests).step_by(most) {
            let out = &self.replies[..(requests - batch).min(most) * self.reply_bytes];
            if rustix::net::send(&connection.socket, out, SendFlags::NOSIGNAL) != Ok(out.len()) {
                return *slot = None;
            }
        }
        if self.close {
            *slot = None;
        }
    }
}

impl Connection {
    /// How many requests end in `received`, when all are as long as the first.
    fn requests_ended(&mut self, received: &[u8]) -> usize {
        if self.request_bytes == 0 {
            let end = received.windows(4).position(|w| w == BLANK_LINE);
            self.request_bytes = end.map_or(received.len(), |end| end + 4);
        }
        let bytes = self.pending_bytes + received.len();
        self.pending_bytes = bytes % self.request_bytes;
        bytes / self.request_bytes
    }

    /// How many heads end in `received`. A body must not hold a blank line.
    fn heads_ended(&mut self, received: &[u8]) -> usize {
        let mut ended = 0;
        for &byte in received {
            self.blank_bytes = match byte {
                _ if byte == BLANK_LINE[self.blank_bytes] => self.blank_bytes + 1,
                b'\r' => 1,
                _ => 0,
            };
            if self.blank_bytes == BLANK_LINE.len() {
                self.blank_bytes = 0;
                ended += 1;
            }
        }
        ended
    }
}

#[cfg(test)]
#[path = "null_tests.rs"]
mod tests;
