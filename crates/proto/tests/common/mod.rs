//! A driver without sockets: bytes in, bytes out.
#![allow(dead_code)] // Each test file uses its part.

use std::io::{ErrorKind, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use proto::{
    Intake, Limits, Method, Piece, Place, Protocol, Pull, Request, Response, Scratch, Service,
    Session, Sink, Turn, Want,
};

/// The service of these tests.
pub struct Describe;

impl Service for Describe {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        match request.take_sink::<Sunk>() {
            Some(sunk) => {
                let text = format!("sunk {} bytes: ", sunk.bytes.len());
                let body = response.body_buffer();
                body.extend_from_slice(text.as_bytes());
                body.extend_from_slice(&sunk.bytes);
            }
            None => describe(request, response),
        }
    }

    fn intake(&self, request: &Request<'_>, _: Option<u64>) -> Intake {
        let sink = |error, pauses, enough| {
            let sunk = Sunk {
                bytes: Vec::new(),
                error,
                asked: AtomicU64::new(0),
                pauses,
                enough,
            };
            Intake::Pieces(Box::new(sunk), 200)
        };
        let sunk = |error| sink(error, 0, usize::MAX);
        match request.path {
            "/memory" => Intake::Memory(100),
            "/pieces" => sunk(None),
            "/sink-waits" => sink(None, 3, usize::MAX),
            "/sink-enough" => sink(None, 0, 20),
            "/sink-full" => sunk(Some(ErrorKind::StorageFull)),
            "/sink-fails" => sunk(Some(ErrorKind::BrokenPipe)),
            "/sink-panics" => sunk(Some(ErrorKind::Other)),
            "/intake-panics" => panic!("asked to"),
            _ => Intake::Refuse,
        }
    }
}

/// Keeps what it takes.
struct Sunk {
    bytes: Vec<u8>,
    error: Option<ErrorKind>,
    /// How often it was asked for room.
    asked: AtomicU64,
    /// It has room once more when it was asked so often, and one more each time.
    pauses: u64,
    /// So many bytes are enough.
    enough: usize,
}

impl Sink for Sunk {
    fn take(&mut self, piece: &[u8]) -> std::io::Result<()> {
        match self.error {
            Some(ErrorKind::Other) => panic!("asked to"),
            Some(error) => return Err(error.into()),
            None => self.bytes.extend_from_slice(piece),
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        asked % (self.pauses + 1) != self.pauses
    }

    fn has_enough(&self) -> bool {
        self.bytes.len() >= self.enough
    }
}

/// Answers with what it has read of the request.
pub fn describe(request: &Request<'_>, response: &mut Response<'_>) {
    match request.path {
        "/wait" => drop(
            response
                .wait(Duration::from_millis(50))
                .static_body(b"waited"),
        ),
        "/long" => drop(response.repeat(b"0123456789", 200_005)),
        "/reader" => drop(response.reader(SlowReader::boxed(200_005), 200_005)),
        "/short" => drop(response.reader(SlowReader::boxed(100_000), 200_005)),
        "/panic-late" => drop(response.reader(Box::new(Panic), 5)),
        "/panic" => panic!("asked to"),
        path if STREAMS.contains(&path) => stream(path, response),
        "/nothing" => drop(response.status(204)),
        "/who" => drop(response.body(request.peer().to_string().as_bytes())),
        _ => {
            let method = match request.method {
                Method::Other(name) => name.to_owned(),
                known => format!("{known:?}"),
            };
            let text = format!(
                "{method} {} {:?} 1.{} [",
                request.path, request.query, request.minor_version
            );
            let body = response.body_buffer();
            body.extend_from_slice(text.as_bytes());
            body.extend_from_slice(request.body);
            body.push(b']');
        }
    }
}

const STREAMS: [&str; 9] = [
    "/sized",
    "/sized-short",
    "/sized-long",
    "/stream",
    "/many",
    "/endless",
    "/stream-fails",
    "/stream-panics",
    "/wait-stream",
];

fn stream(path: &str, response: &mut Response<'_>) {
    match path {
        "/stream" => {
            let mut calls = 0;
            response.stream(move |piece: &mut Piece<'_>| {
                calls += 1;
                piece.push([&b"first"[..], b"", b", third", b", last"][calls - 1]);
                Ok(match calls {
                    1 => Pull::Later(Duration::from_millis(70)),
                    2 | 3 => Pull::More,
                    _ => Pull::End,
                })
            });
        }
        "/sized" => drop(response.stream_of(9, proto::pieces(["four", "+five"]))),
        "/sized-short" => drop(response.stream_of(10, proto::pieces(["four", "+five"]))),
        "/sized-long" => drop(response.stream_of(8, proto::pieces(["four", "+five"]))),
        "/many" => {
            let lines = (0..30_000).map(|number| format!("{number}\n"));
            response.stream(proto::pieces(lines));
        }
        "/endless" => {
            response.stream(|piece: &mut Piece<'_>| {
                piece.push(b"tick");
                Ok(match piece.is_draining() {
                    true => Pull::End,
                    false => Pull::Later(Duration::from_secs(3_600)),
                })
            });
        }
        "/stream-fails" => {
            response.stream(|piece: &mut Piece<'_>| {
                piece.push(b"half");
                Err(ErrorKind::ConnectionReset.into())
            });
        }
        "/stream-panics" => drop(response.stream(proto::reader(Panic))),
        _ => {
            let body = proto::reader(&b"waited"[..]);
            response.wait(Duration::from_millis(50)).stream(body);
        }
    }
}

/// A reader of `left` bytes that returns few at a time, and EINTR before each.
struct SlowReader {
    left: usize,
    interrupted: bool,
}

impl SlowReader {
    fn boxed(left: usize) -> Box<SlowReader> {
        let interrupted = false;
        Box::new(SlowReader { left, interrupted })
    }
}

impl Read for SlowReader {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(ErrorKind::Interrupted.into());
        }
        let bytes = to.len().min(777).min(self.left);
        to[..bytes].fill(b'.');
        self.left -= bytes;
        Ok(bytes)
    }
}

/// A reader that panics.
struct Panic;

impl Read for Panic {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        panic!("asked to, late")
    }
}

/// 1994-11-06 08:49:37, always.
pub fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
}

pub struct Peer {
    pub session: Session,
    /// What answers; from the beginning it is [`Describe`].
    pub service: &'static dyn Service,
    pub scratch: Scratch,
    pub limits: Limits,
    pub now: Instant,
    pub draining: AtomicU64,
    pub received: Vec<u8>,
    /// Most bytes one send takes.
    pub window: usize,
}

const PLACE: &Place = &Place {
    process: 0,
    thread: 0,
    may_wait_to_send: false,
    model: "test",
    variant: "-",
    worker: 0,
};

impl Peer {
    pub fn new(protocol: Protocol, limits: Limits) -> Peer {
        Peer::with(limits, |turn| Session::new(protocol, turn))
    }

    pub fn with(limits: Limits, make: impl FnOnce(&Turn<'_>) -> Session) -> Peer {
        let mut scratch = Scratch::new(wall);
        let now = Instant::now();
        let turn = Turn {
            now,
            limits: &limits,
            service: &Describe,
            scratch: &mut scratch,
            place: PLACE,
            draining: &AtomicU64::new(0),
        };
        let session = make(&turn);
        Peer {
            session,
            service: &Describe,
            scratch,
            limits,
            now,
            draining: AtomicU64::new(0),
            received: Vec::new(),
            window: usize::MAX,
        }
    }

    pub fn turn<T>(&mut self, act: impl FnOnce(&mut Session, &mut Turn<'_>) -> T) -> T {
        let Peer {
            session,
            service,
            scratch,
            limits,
            now,
            draining,
            ..
        } = self;
        let mut turn = Turn {
            now: *now,
            limits,
            service: *service,
            scratch,
            place: PLACE,
            draining,
        };
        act(session, &mut turn)
    }

    /// Does what the session wants until that needs input. Waits take no time.
    pub fn advance(&mut self) -> Want {
        loop {
            match self.session.want() {
                Want::Write => {
                    let window = self.window;
                    let sent = self.turn(|session, turn| {
                        let output = session.output(turn.scratch);
                        let sent = output[..output.len().min(window)].to_vec();
                        session.sent(sent.len(), turn);
                        sent
                    });
                    self.received.extend(sent);
                }
                Want::Compute => self.turn(Session::compute),
                Want::Wait => {
                    self.now = self.session.deadline();
                    self.turn(Session::expire);
                }
                want @ (Want::Read | Want::Linger | Want::Close) => return want,
            }
        }
    }

    pub fn send(&mut self, bytes: &[u8]) -> Want {
        if self.session.want() == Want::Read {
            self.turn(|session, turn| session.receive(bytes, turn));
        }
        self.advance()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }
}

/// The replies to `pieces` in order, without interim responses, and what the session wants after them.
pub fn exchange(protocol: Protocol, limits: &Limits, pieces: &[&[u8]]) -> (String, Want) {
    let mut peer = Peer::new(protocol, limits.clone());
    let mut want = peer.advance();
    for piece in pieces {
        want = peer.send(piece);
    }
    (
        peer.text().replace("HTTP/1.1 100 Continue\r\n\r\n", ""),
        want,
    )
}

/// The status codes in `text`, in order.
pub fn statuses(text: &str) -> Vec<u16> {
    text.match_indices("HTTP/1.1 ")
        .filter_map(|(at, _)| text.get(at + 9..at + 12)?.parse().ok())
        .collect()
}
