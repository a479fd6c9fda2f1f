//! Requests to a service, through a session in memory.
#![allow(dead_code)] // Each test file uses its part.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::time::{Instant, SystemTime};

use proto::{Limits, Place, Protocol, Scratch, Service, Session, Turn, Want};

/// One reply, whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    /// Value of the field called `name`, spelled so.
    pub fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.split("\r\n");
        lines
            .filter_map(|line| line.split_once(": "))
            .find_map(|(field, value)| (field == name).then_some(value))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What `service` replies to a request with this line, these fields and this body.
pub fn ask(service: &dyn Service, line: &str, fields: &str, body: &[u8]) -> Reply {
    let length = body.len();
    let mut bytes =
        format!("{line} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{fields}\r\n")
            .into_bytes();
    bytes.extend_from_slice(body);
    let (limits, draining) = (Limits::default(), AtomicU64::new(0));
    let mut scratch = Scratch::new(SystemTime::now);
    let mut turn = Turn {
        now: Instant::now(),
        limits: &limits,
        service,
        scratch: &mut scratch,
        place: &Place::default(),
        draining: &draining,
    };
    let mut session = Session::new(Protocol::Http, &turn);
    session.receive(&bytes, &mut turn);
    let mut received = Vec::new();
    while session.want() == Want::Write {
        let output = session.output(turn.scratch).to_vec();
        session.sent(output.len(), &mut turn);
        received.extend(output);
    }
    parse(&received)
}

/// `GET` of a path, without more.
pub fn get(service: &dyn Service, path: &str) -> Reply {
    ask(service, &format!("GET {path}"), "", b"")
}

fn parse(received: &[u8]) -> Reply {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(received)));
    let head = String::from_utf8(received[..end].to_vec()).expect("a head is text");
    Reply {
        status: head[9..12].parse().expect("a status"),
        body: received[end + 4..].to_vec(),
        head,
    }
}

/// An empty folder of this test's own, removed in the end.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path); // Of an earlier process with this number.
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Folder(path)
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
