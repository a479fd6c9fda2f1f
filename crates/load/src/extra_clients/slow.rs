//! Slow clients: some send their request slowly, some read the reply slowly.
//!
//! Each keeps busy whatever the server gives to a busy connection, for as long as the server
//! allows. A client whose connection the server closes connects again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::socket_error;

use super::counts::{SlowCounts, SlowSideCounts};
use super::exchange::{Exchange, RequestState};
use crate::checker::Checker;
use crate::clock::{SECOND_NS, now_ns};
use crate::error_class::ErrorClass;
use crate::plan::Plan;
use crate::socket;

/// Time from one turn to the next. A tenth of the clients moves on at each turn, so that they make
/// no bursts.
const TICK: Duration = Duration::from_millis(10);

/// Groups of clients that take turns.
const TURNS: usize = 10;

/// Time before a client connects again, nanoseconds.
const PAUSE_NS: u64 = 100_000_000;

/// Bytes of a slow sender's request: at the default pace it takes ten seconds.
const REQUEST_BYTES: usize = 1000;

/// Bounds of a slow reader's receive buffer, bytes: the kernel would fill a large one at once.
const RECEIVE_BYTES: std::ops::RangeInclusive<usize> = 4096..=262_144;

/// A client of one sort.
#[derive(Default)]
struct Client {
    reads_slowly: bool,
    exchange: Option<Exchange>,
    /// Not to be connected again before this.
    retry_ns: u64,
    /// When it was connected.
    connected_ns: u64,
    /// When the request, or the reading of its reply, was started.
    since_ns: u64,
    /// Bytes of the reply read since then.
    read_bytes: u64,
}

/// What all clients use.
struct Common<'a> {
    plan: &'a Plan,
    checker: Checker,
    slow_request: Vec<u8>,
    long_request: Vec<u8>,
    receive_bytes: usize,
    scratch: Vec<u8>,
}

/// Keeps the plan's slow clients busy until the run is over.
pub(crate) fn run_slow_clients(plan: &Plan, over: &AtomicBool) -> SlowCounts {
    let rate = plan.slow.bytes_per_s as usize;
    let receive_bytes = (rate / 5).clamp(*RECEIVE_BYTES.start(), *RECEIVE_BYTES.end());
    let mut common = Common {
        plan,
        checker: Checker::framing_only(),
        slow_request: padded(plan.lasting_request()),
        long_request: plan.request_for("GET", &plan.slow.path, false),
        receive_bytes,
        scratch: vec![0; receive_bytes],
    };
    let (senders, readers) = (plan.slow.senders, plan.slow.readers);
    let mut counts = SlowCounts {
        senders: SlowSideCounts::new(senders as u64),
        readers: SlowSideCounts::new(readers as u64),
    };
    let mut clients: Vec<Client> = (0..senders + readers)
        .map(|index| Client::new(index >= senders))
        .collect();
    for turn in (0..TURNS).cycle() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        for client in clients.iter_mut().skip(turn).step_by(TURNS) {
            client.step(&mut common, counts.side(client.reads_slowly));
        }
        thread::sleep(TICK);
    }
    for client in &clients {
        let open = client.exchange.as_ref().is_some_and(|e| e.established);
        counts.side(client.reads_slowly).open_at_end += u64::from(open);
    }
    counts
}

/// The request made longer by a header field that has no meaning.
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
            ..Self::default()
        }
    }

    /// Sends or reads as many bytes as the time since the last turn allows.
    fn step(&mut self, common: &mut Common<'_>, counts: &mut SlowSideCounts) {
        let now_ns = now_ns();
        if self.exchange.is_none() {
            if now_ns >= self.retry_ns {
                self.connect(common, now_ns);
            }
            return;
        }
        match self.advance(common, now_ns, counts) {
            RequestState::Waiting => {}
            RequestState::Answered(_) => {
                counts.finished += 1;
                self.start_request(now_ns);
            }
            RequestState::Lost(_) => {
                if self.exchange.take().is_some_and(|e| e.established) {
                    counts.closed_by_server += 1;
                    counts.life.record(now_ns - self.connected_ns);
                }
                self.retry_ns = now_ns + PAUSE_NS;
            }
        }
    }

    fn connect(&mut self, common: &Common<'_>, now_ns: u64) {
        let buffer = self.reads_slowly.then_some(common.receive_bytes);
        match socket::open(common.plan.target.address(), buffer) {
            Ok(socket) => self.exchange = Some(Exchange::new(socket)),
            Err(_) => self.retry_ns = now_ns + PAUSE_NS,
        }
        self.connected_ns = now_ns;
        self.start_request(now_ns);
    }

    fn start_request(&mut self, now_ns: u64) {
        self.since_ns = now_ns;
        self.read_bytes = 0;
        if let Some(exchange) = &mut self.exchange {
            exchange.restart();
        }
    }

    fn advance(
        &mut self,
        common: &mut Common<'_>,
        now_ns: u64,
        counts: &mut SlowSideCounts,
    ) -> RequestState {
        let Some(exchange) = &mut self.exchange else {
            return RequestState::Waiting;
        };
        let rate = u64::from(common.plan.slow.bytes_per_s);
        let elapsed_ns = u128::from(now_ns - self.since_ns);
        let allowed = (elapsed_ns * u128::from(rate) / u128::from(SECOND_NS)) as u64;
        let (request, room) = if self.reads_slowly {
            let room = allowed.saturating_sub(self.read_bytes);
            (&common.long_request[..], room as usize)
        } else {
            let sent = common.slow_request.len().min(allowed.max(1) as usize);
            (&common.slow_request[..sent], common.scratch.len())
        };
        let (was_established, before) = (exchange.established, exchange.written_bytes());
        if let Err(class) = exchange.send(request) {
            return RequestState::Lost(class);
        }
        if !exchange.established {
            return RequestState::Waiting;
        }
        counts.opened += u64::from(!was_established);
        if self.reads_slowly && before == 0 {
            // Reading starts when the request is written.
            self.since_ns = now_ns;
        }
        // A reset is found here at once: a slow reader would first have to read what is in the
        // buffer before it.
        if socket_error(exchange.socket()).unwrap_or_else(Err).is_err() {
            return RequestState::Lost(ErrorClass::Reset);
        }
        let room = room.min(common.scratch.len());
        if room == 0 {
            return RequestState::Waiting;
        }
        match exchange.receive(&mut common.checker, &mut common.scratch[..room]) {
            Ok(state) => {
                self.read_bytes += room as u64;
                state.unwrap_or(RequestState::Waiting)
            }
            Err(Errno::AGAIN | Errno::INTR) => RequestState::Waiting,
            Err(_) => RequestState::Lost(ErrorClass::Reset),
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
