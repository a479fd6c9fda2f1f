//! Slow clients: some send their request slowly, some read the reply slowly.
//!
//! They hold what a server gives to a busy connection for as long as it lets them. One that the
//! server gets rid of is replaced.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::socket_error;

use super::counts;
use super::exchange::{Exchange, Progress};
use crate::clock::{SECOND_NS, now_ns};
use crate::judge::Judge;
use crate::plan::Plan;
use crate::socket;

/// Time from one look at the clients to the next. A tenth of them is moved on at each, so that
/// they make no bursts beside the load.
const TICK: Duration = Duration::from_millis(10);

/// Shares of the clients that take turns.
const TURNS: usize = 10;

/// Time before a client is replaced, nanoseconds.
const PAUSE_NS: u64 = 100_000_000;

/// Bytes of a slow sender's request: at the default pace it takes ten seconds.
const REQUEST_BYTES: usize = 1000;

/// Bounds of a slow reader's receive buffer, bytes: a large one would read in its place.
const RECEIVE_BYTES: std::ops::RangeInclusive<usize> = 4096..=262_144;

/// A client of one sort.
struct Client {
    reads_slowly: bool,
    exchange: Option<Exchange>,
    /// Not to be connected again before this.
    retry_ns: u64,
    /// When it was connected.
    born_ns: u64,
    /// When the request, or the reading of its reply, began.
    since_ns: u64,
    /// Bytes read of it since then.
    read_bytes: u64,
}

/// What all clients have in common.
struct Course<'a> {
    plan: &'a Plan,
    judge: Judge,
    slow_request: Vec<u8>,
    long_request: Vec<u8>,
    receive_bytes: usize,
    scratch: Vec<u8>,
}

/// Keeps the plan's slow clients busy until the run is over.
pub(crate) fn slow(plan: &Plan, over: &AtomicBool) -> counts::Slow {
    let rate = plan.slow.bytes_per_s as usize;
    let receive_bytes = (rate / 5).clamp(*RECEIVE_BYTES.start(), *RECEIVE_BYTES.end());
    let mut course = Course {
        plan,
        judge: Judge::of_framing(),
        slow_request: padded(plan.lasting_request()),
        long_request: plan.request_for("GET", &plan.slow.path, false),
        receive_bytes,
        scratch: vec![0; receive_bytes],
    };
    let (senders, readers) = (plan.slow.senders, plan.slow.readers);
    let mut found = counts::Slow {
        senders: counts::SlowSide::new(senders as u64),
        readers: counts::SlowSide::new(readers as u64),
    };
    let mut clients: Vec<Client> = (0..senders + readers)
        .map(|index| Client::new(index >= senders))
        .collect();
    for turn in (0..TURNS).cycle() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        for client in clients.iter_mut().skip(turn).step_by(TURNS) {
            client.step(&mut course, found.side(client.reads_slowly));
        }
        thread::sleep(TICK);
    }
    for client in &clients {
        let open = client.exchange.as_ref().is_some_and(|e| e.established);
        found.side(client.reads_slowly).open_at_end += u64::from(open);
    }
    found
}

/// A request made longer by a field that means nothing.
fn padded(request: Vec<u8>) -> Vec<u8> {
    const NAME: &[u8] = b"X-Padding: ";
    let line_end = request.windows(2).position(|w| w == b"\r\n");
    let line_end = line_end.map_or(request.len(), |at| at + 2);
    let padding = REQUEST_BYTES.saturating_sub(request.len() + NAME.len() + 2);
    let (line, rest) = request.split_at(line_end);
    [line, NAME, &vec![b'x'; padding], b"\r\n", rest].concat()
}

impl Client {
    fn new(reads_slowly: bool) -> Self {
        Self {
            reads_slowly,
            exchange: None,
            retry_ns: 0,
            born_ns: 0,
            since_ns: 0,
            read_bytes: 0,
        }
    }

    /// Moves the client on by what the time since its last turn allows.
    fn step(&mut self, course: &mut Course<'_>, found: &mut counts::SlowSide) {
        let now_ns = now_ns();
        if self.exchange.is_none() {
            if now_ns >= self.retry_ns {
                self.connect(course, now_ns);
            }
            return;
        }
        match self.advance(course, now_ns, found) {
            Progress::Waiting => {}
            Progress::Answered(_) => {
                found.finished += 1;
                self.begin(now_ns);
            }
            Progress::Lost(_) => {
                if self.exchange.take().is_some_and(|e| e.established) {
                    found.closed_by_server += 1;
                    found.life.record(now_ns - self.born_ns);
                }
                self.retry_ns = now_ns + PAUSE_NS;
            }
        }
    }

    fn connect(&mut self, course: &Course<'_>, now_ns: u64) {
        let buffer = self.reads_slowly.then_some(course.receive_bytes);
        match socket::open(course.plan.target.address(), buffer) {
            Ok(socket) => self.exchange = Some(Exchange::new(socket)),
            Err(_) => self.retry_ns = now_ns + PAUSE_NS,
        }
        self.born_ns = now_ns;
        self.begin(now_ns);
    }

    fn begin(&mut self, now_ns: u64) {
        self.since_ns = now_ns;
        self.read_bytes = 0;
        if let Some(exchange) = &mut self.exchange {
            exchange.restart();
        }
    }

    fn advance(
        &mut self,
        course: &mut Course<'_>,
        now_ns: u64,
        found: &mut counts::SlowSide,
    ) -> Progress {
        let Some(exchange) = &mut self.exchange else {
            return Progress::Waiting;
        };
        let rate = u64::from(course.plan.slow.bytes_per_s);
        let elapsed_ns = u128::from(now_ns - self.since_ns);
        let allowed = (elapsed_ns * u128::from(rate) / u128::from(SECOND_NS)) as u64;
        let (request, room) = if self.reads_slowly {
            let room = allowed.saturating_sub(self.read_bytes);
            (&course.long_request[..], room as usize)
        } else {
            let sent = course.slow_request.len().min(allowed.max(1) as usize);
            (&course.slow_request[..sent], course.scratch.len())
        };
        let (was_established, before) = (exchange.established, exchange.written_bytes());
        if let Err(class) = exchange.send(request) {
            return Progress::Lost(class);
        }
        if !exchange.established {
            return Progress::Waiting;
        }
        found.opened += u64::from(!was_established);
        if self.reads_slowly && before == 0 {
            // Reading begins when the request is out.
            self.since_ns = now_ns;
        }
        // A reset is known at once; what lies before it in the buffer would take a slow reader
        // long to find it.
        if socket_error(exchange.socket()).unwrap_or_else(Err).is_err() {
            return Progress::Lost(crate::class::Class::Reset);
        }
        let room = room.min(course.scratch.len());
        if room == 0 {
            return Progress::Waiting;
        }
        match exchange.receive(&mut course.judge, &mut course.scratch[..room]) {
            Ok(progress) => {
                self.read_bytes += room as u64;
                progress.unwrap_or(Progress::Waiting)
            }
            Err(Errno::AGAIN | Errno::INTR) => Progress::Waiting,
            Err(_) => Progress::Lost(crate::class::Class::Reset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padded_request_is_long_and_still_one() {
        let plan = Plan::new("http://127.0.0.1:1/a".parse().unwrap());
        let request = padded(plan.lasting_request());
        assert_eq!(request.len(), REQUEST_BYTES);
        let text = String::from_utf8(request).unwrap();
        assert!(text.starts_with("GET /a HTTP/1.1\r\nX-Padding: xxx"));
        assert!(text.ends_with("xxx\r\nHost: 127.0.0.1:1\r\n\r\n"));
    }
}
