//! The null server: a constant reply, no parsing. The ceiling of machine and generator.
//!
//! It counts bytes: the first receive of a connection tells how long a request is (up to the blank
//! line), and every so many bytes get one reply. A model that comes near it has shown the limit of
//! what it was measured with, not its own.

use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{RecvFlags, SendFlags, SocketFlags};

const KEEP: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
const CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nConnection: close\r\n\r\nHello, World!";
/// Replies that one send may carry.
const REPLIES_MAX: usize = 256;
/// Connections are kept by descriptor; one beyond the table is closed.
const CONNECTIONS_MAX: usize = 8192;
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
}

/// A connection: its socket, the length of a request, and the bytes of one that is not complete.
struct Connection {
    socket: OwnedFd,
    request_bytes: usize,
    pending_bytes: usize,
}

/// All there is: one listener, a selector a thread, connections by descriptor.
struct Null {
    listener: TcpListener,
    close: bool,
    selectors: Vec<OwnedFd>,
    next: AtomicUsize,
    connections: Vec<Mutex<Option<Connection>>>,
    replies: Vec<u8>,
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
    println!("listening on {}", listener.local_addr()?);
    io::stdout().flush()?;
    run(listener, args.close)
}

/// Serves with a thread a CPU allowed, so that no model with as many loops outgrows the ceiling.
fn run(listener: TcpListener, close: bool) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let threads = std::thread::available_parallelism()?.get();
    let selectors = (0..threads)
        .map(|_| epoll::create(CreateFlags::CLOEXEC))
        .collect::<Result<Vec<_>, _>>()?;
    let reply = if close { CLOSE } else { KEEP };
    let null = Arc::new(Null {
        listener,
        close,
        selectors,
        next: AtomicUsize::new(0),
        connections: (0..CONNECTIONS_MAX).map(|_| Mutex::new(None)).collect(),
        replies: reply.repeat(REPLIES_MAX),
    });
    for other in 1..threads {
        let null = Arc::clone(&null);
        std::thread::spawn(move || null.turn(other));
    }
    null.turn(0)
}

impl Null {
    /// The loop of one thread.
    fn turn(&self, own: usize) -> io::Result<()> {
        let listener = self.listener.as_raw_fd();
        let data = |fd: i32| EventData::new_u64(u64::try_from(fd).unwrap_or(u64::MAX));
        let exclusive = EventFlags::IN | EventFlags::EXCLUSIVE;
        epoll::add(
            &self.selectors[own],
            &self.listener,
            data(listener),
            exclusive,
        )?;
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut buffer = vec![0; RECEIVE_BYTES];
        loop {
            match epoll::wait(
                &self.selectors[own],
                rustix::buffer::spare_capacity(&mut events),
                None,
            ) {
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

    /// Accepts what waits and deals it out: in turn when it lasts, to this thread when it does not.
    fn accept(&self, own: usize) {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
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
            let mut slot = slot
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let data = EventData::new_u64(fd as u64);
            if epoll::add(&self.selectors[thread], &socket, data, EventFlags::IN).is_ok() {
                *slot = Some(Connection {
                    socket,
                    request_bytes: 0,
                    pending_bytes: 0,
                });
            }
        }
    }

    /// One receive, one send; the connection goes when its client does, or with its reply.
    fn answer(&self, slot: &Mutex<Option<Connection>>, buffer: &mut [u8]) {
        let mut slot = slot
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(connection) = slot.as_mut() else {
            return;
        };
        let n = match rustix::net::recv(&connection.socket, &mut buffer[..], RecvFlags::empty()) {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return,
            Ok((n, _)) if n > 0 => n,
            _ => return *slot = None,
        };
        if connection.request_bytes == 0 {
            let end = buffer[..n].windows(4).position(|w| w == b"\r\n\r\n");
            connection.request_bytes = end.map_or(n, |end| end + 4);
        }
        let bytes = connection.pending_bytes + n;
        let requests = bytes / connection.request_bytes;
        connection.pending_bytes = bytes % connection.request_bytes;
        let reply_bytes = self.replies.len() / REPLIES_MAX;
        for batch in (0..requests).step_by(REPLIES_MAX) {
            let out = &self.replies[..(requests - batch).min(REPLIES_MAX) * reply_bytes];
            if rustix::net::send(&connection.socket, out, SendFlags::NOSIGNAL) != Ok(out.len()) {
                return *slot = None;
            }
        }
        if self.close {
            *slot = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{SocketAddr, TcpStream};

    use super::*;

    fn start(close: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        std::thread::spawn(move || run(listener, close));
        address
    }

    fn connect(address: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(address).expect("it listens");
        stream
            .set_read_timeout(Some(std::time::Duration::from_secs(5)))
            .expect("a timeout");
        stream
    }

    #[test]
    fn pipelined_requests_get_a_reply_each_however_they_are_cut() {
        let address = start(false);
        for request in [
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            b"GET /plaintext HTTP/1.1\r\n\r\n",
        ] {
            let mut stream = connect(address);
            let mut replies = vec![0; KEEP.len() * 17];
            stream.write_all(request).expect("sent");
            stream
                .read_exact(&mut replies[..KEEP.len()])
                .expect("the first reply");
            let sixteen = request.repeat(16);
            let (head, tail) = sixteen.split_at(request.len() * 5 + 7);
            stream.write_all(head).expect("sent");
            stream
                .read_exact(&mut replies[KEEP.len()..KEEP.len() * 6])
                .expect("five replies");
            stream.write_all(tail).expect("sent");
            stream
                .read_exact(&mut replies[KEEP.len() * 6..])
                .expect("the rest");
            assert_eq!(replies, KEEP.repeat(17));
        }
    }

    #[test]
    fn close_mode_closes_after_the_reply() {
        let address = start(true);
        for _ in 0..3 {
            let mut stream = connect(address);
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
            let mut reply = Vec::new();
            stream.read_to_end(&mut reply).expect("closed in order");
            assert_eq!(reply, CLOSE);
        }
    }
}
