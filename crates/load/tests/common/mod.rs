//! Small servers with known faults, one thread per connection.
#![allow(dead_code)] // Each test file uses its part.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use load::{LoadResult, Plan};

pub const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A server whose requests are numbered over all connections, from 0.
pub struct Server {
    address: SocketAddr,
    pub requests: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

/// What the server does after a request.
pub enum Then {
    Continue,
    Close,
    Reset,
    /// Close the connection and the listener.
    Die,
}

impl Server {
    /// Serves each request by calling `answer` with the connection and the request's number.
    pub fn start(answer: impl Fn(&mut TcpStream, usize) -> Then + Send + Sync + 'static) -> Self {
        Self::reading(move |stream, n, _| answer(stream, n))
    }

    /// Answers 404 below `/missing`, else 200; and the request lines that it has seen.
    pub fn with_missing() -> (Self, Arc<Mutex<Vec<String>>>) {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = Arc::clone(&seen);
        let server = Self::reading(move |stream, _, head| {
            let line = head.lines().next().unwrap_or_default().to_owned();
            let missing = line.contains("/missing");
            lines.lock().unwrap().push(line);
            match missing {
                true => send(stream, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"),
                false => send(stream, GOOD),
            }
        });
        (server, seen)
    }

    /// The same, but `answer` also gets the request: what has arrived since the head of the request
    /// before it, up to the end of its own head.
    pub fn reading(
        answer: impl Fn(&mut TcpStream, usize, &str) -> Then + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            stop: Arc::default(),
        };
        let (requests, stop) = (Arc::clone(&server.requests), Arc::clone(&server.stop));
        let answer = Arc::new(answer);
        let address = server.address;
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { return };
                let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
                let stop = Arc::clone(&stop);
                thread::spawn(move || {
                    if serve_connection(&mut stream, &requests, &*answer) {
                        stop.store(true, Ordering::SeqCst);
                        let _ = TcpStream::connect(address);
                    }
                });
            }
        });
        server
    }

    /// A plan for one connection to this server, without a warm-up.
    pub fn plan(&self) -> Plan {
        plan(&self.address.to_string())
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.stop.swap(true, Ordering::SeqCst) {
            let _ = TcpStream::connect(self.address);
        }
    }
}

/// Serves a connection to its end; `true` when the server is to stop.
fn serve_connection(
    stream: &mut TcpStream,
    requests: &AtomicUsize,
    answer: &dyn Fn(&mut TcpStream, usize, &str) -> Then,
) -> bool {
    let _ = stream.set_nodelay(true);
    let mut pending = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        while let Some(at) = pending.windows(4).position(|w| w == b"\r\n\r\n") {
            let head: Vec<u8> = pending.drain(..at + 4).collect();
            let head = String::from_utf8_lossy(&head);
            match answer(stream, requests.fetch_add(1, Ordering::SeqCst), &head) {
                Then::Continue => {}
                Then::Close => return false,
                Then::Die => return true,
                Then::Reset => {
                    let linger = Some(Duration::ZERO);
                    let _ = rustix::net::sockopt::set_socket_linger(&stream, linger);
                    return false;
                }
            }
        }
        // What is left contains no end of a head; only the last bytes of a long body can be part of
        // one.
        if pending.len() > 8192 {
            pending.drain(..pending.len() - 3);
        }
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => pending.extend_from_slice(&buffer[..n]),
            _ => return false,
        }
    }
}

/// Answers every request with these bytes.
pub fn always(reply: &'static [u8]) -> impl Fn(&mut TcpStream, usize) -> Then {
    move |stream, _| send(stream, reply)
}

pub fn send(stream: &mut TcpStream, reply: &[u8]) -> Then {
    match stream.write_all(reply) {
        Ok(()) => Then::Continue,
        Err(_) => Then::Close,
    }
}

pub fn plan(address: &str) -> Plan {
    let mut plan = Plan::new(format!("http://{address}/").parse().unwrap());
    plan.duration = Duration::from_millis(250);
    plan.drain = Duration::from_secs(1);
    plan.timeout = Duration::from_secs(5);
    plan
}

pub fn run(plan: &Plan) -> LoadResult {
    let result = load::run(plan).unwrap();
    assert_adds_up(&result);
    result
}

pub fn assert_adds_up(result: &LoadResult) {
    assert_eq!(
        result.scheduled,
        result.requests + result.failures(),
        "{result:?}"
    );
    assert_eq!(result.response_us.count, result.requests);
    assert_eq!(result.service_us.count, result.requests);
    assert_eq!(result.slip_us.count, result.sent);
    assert!(result.sent <= result.scheduled);
    assert_parts_add_up(result);
}

/// Slices, steps and kinds each divide the same requests.
fn assert_parts_add_up(result: &LoadResult) {
    let totals = (result.scheduled, result.requests, result.failures());
    let sum = |parts: &mut dyn Iterator<Item = (u64, u64, u64)>| {
        parts.fold((0, 0, 0), |sum, part| {
            assert_eq!(part.0, part.1 + part.2);
            (sum.0 + part.0, sum.1 + part.1, sum.2 + part.2)
        })
    };
    let failures = |errors: &std::collections::BTreeMap<String, u64>| errors.values().sum();
    let slices = result.timeline.iter();
    let slices = sum(&mut slices.map(|s| (s.scheduled, s.requests, s.errors_total)));
    assert_eq!(slices, totals);
    let phases = result.phases.iter();
    let phases = sum(&mut phases.map(|p| (p.scheduled, p.requests, failures(&p.errors))));
    assert!(result.phases.is_empty() || phases == totals);
    let kinds = result.kinds.iter();
    let kinds = sum(&mut kinds.map(|k| (k.scheduled, k.requests, failures(&k.errors))));
    assert!(result.kinds.is_empty() || kinds == totals);
    let length: f64 = result.timeline.iter().map(|slice| slice.duration_s).sum();
    assert!((length - result.duration_s).abs() < 1e-6, "{result:?}");
}

/// The only class of errors in a result that has errors.
pub fn only_class(result: &LoadResult) -> &str {
    assert_eq!(result.errors.len(), 1, "{:?}", result.errors);
    result.errors.keys().next().unwrap()
}
