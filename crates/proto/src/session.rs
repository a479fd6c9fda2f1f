//! The protocol state of one connection. Every change of that state is in this file, which is long for
//! this reason, in `large` and `uploading`, where bodies are too large for memory, and in `awaiting`, where
//! replies are awaited. What has no part in the state is elsewhere: parsing in `head`, `chunked` and `unp`, the call of
//! the service in `answer`, bytes that wait to be sent in `output`.
//!
//! ```text
//!            ┌──────────── next request, pipelined or after a pause ────────────┐
//!            ▼                                                                  │
//!   Head ──▶ Length/Chunked ──▶ Compute ──▶ (Waiting) ──▶ output ──▶ persistent?┤
//!     └──────────┴── refused ─────────────────────────────▶ output ──▶ Ending ──▶ closed
//! ```
//!
//! Output is independent of the phase: while any is unsent, the session wants `Write`.

use std::time::{Duration, Instant};

use crate::answer::{answer, request};
use crate::chunked::{Chunked, Decoded};
use crate::client::{Client, Origin};
use crate::head::{self, Framing, Head, Parsed};
use crate::intake::{Filled, Taking};
use crate::output::Output;
use crate::peer::PeerLookup;
use crate::response::{self, Answer};
use crate::stream::Pull;
use crate::tail::{Repeat, Tail};
use crate::telling::Outcome;
use crate::{Limits, Peer, Protocol, Request, Scratch, Turn, Want, status, telling, unp};
use begun::Begun;

mod awaiting;
mod begun;
mod elsewhere;
mod large;
mod uploading;

pub use elsewhere::{Complete, End};

#[derive(Debug)]
enum Phase {
    /// Between two requests, or inside a head.
    Head,
    /// Inside a body; head and body have `total` bytes.
    Length { total: usize },
    /// Inside a chunked body, which is decoded into `parked`, behind its head.
    Chunked { decoder: Chunked, head_bytes: usize },
    /// Inside a body beyond the limit of memory, which the service takes; its head is in `parked`.
    Taking(Box<Taking>),
    /// A complete request is in `parked` since `since`, and its body is the last `body_bytes` of it, or
    /// was taken.
    Compute {
        body_bytes: usize,
        since: Instant,
        taken: Option<Box<Taking>>,
    },
    /// The service has begun to answer a request, and what it returned is awaited.
    Begun(Begun),
    /// The response is in `parked`, and is sent at `deadline`.
    Waiting,
    /// The body of the response is made in pieces by `tail`, which is asked for the next one at
    /// `deadline`, once the one before was sent.
    Streaming,
    /// No further request is read. Once the output is sent, the connection is closed: at once, or with
    /// `linger` after the peer's FIN.
    Ending { linger: bool },
}

/// The protocol state of one connection.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    protocol: Protocol,
    staged: bool,
    /// There is unsent output, which the peer must take by `write_deadline`.
    writing: bool,
    /// The current response is the last of this connection.
    closing: bool,
    /// A part of the current request's body is not received, and never will be.
    cut_short: bool,
    /// The peer's FIN was received.
    fin_received: bool,
    /// A request was completed since `deadline` was set: several pipelined ones set it once.
    request_done: bool,
    /// A part of the next head was received, and `deadline` is that of the head.
    head_begun: bool,
    /// See [`is_aborted`](Self::is_aborted).
    aborted: bool,
    deadline: Instant,
    write_deadline: Instant,
    /// Received, and not consumed yet.
    pending: Vec<u8>,
    /// A request of which a part is missing, or a response that is delayed.
    parked: Vec<u8>,
    output: Output,
    /// The rest of a long body, which is generated as the output is sent.
    tail: Tail,
    /// What is known of the client, if anybody asks.
    client: Option<Box<Client>>,
    /// Whose connection it is, once that was asked.
    peer_lookup: PeerLookup,
}

impl Session {
    /// The session of a new connection, for a driver that computes where it receives.
    pub fn new(protocol: Protocol, turn: &Turn<'_>) -> Session {
        Session {
            phase: Phase::Head,
            protocol,
            staged: false,
            writing: false,
            closing: false,
            fin_received: false,
            request_done: false,
            head_begun: false,
            aborted: false,
            deadline: turn.now + turn.limits.head(),
            write_deadline: turn.now,
            pending: Vec::new(),
            parked: Vec::new(),
            output: Output::default(),
            tail: Tail::NONE,
            client: None,
            peer_lookup: PeerLookup::unknown(),
            cut_short: false,
        }
    }

    /// The same for a driver that computes elsewhere: with every complete request the session wants
    /// [`Want::Compute`], and goes on after [`compute`](Self::compute).
    pub fn staged(protocol: Protocol, turn: &Turn<'_>) -> Session {
        Session {
            staged: true,
            ..Session::new(protocol, turn)
        }
    }

    /// Finds out whose connection it is, as [`Request::peer`](crate::Request::peer) does. Without that an
    /// [observer](crate::Observer) is told only where a service has asked.
    pub fn ask_peer(&self) -> Peer {
        self.peer_lookup.ask()
    }

    /// Says when the bytes had come that are about to be received: they have waited in the socket.
    pub fn set_arrival(&mut self, arrived: Instant) {
        self.client.get_or_insert_default().arrived = Some(arrived);
    }

    /// When the client was refused last, by a driver that [says so](Self::set_refused).
    pub fn refused(&self) -> Option<Instant> {
        self.client.as_ref().and_then(|client| client.refused)
    }

    /// Says when the client is refused.
    pub fn set_refused(&mut self, at: Instant) {
        self.client.get_or_insert_default().refused = Some(at);
    }

    /// Ends the connection, which is not wanted: whatever comes is ignored.
    pub fn refuse_all(&mut self, turn: &mut Turn<'_>) {
        self.finish(false, turn);
        self.update(turn);
    }

    /// Says how the service finds out whose connection it is: `look_up` is called with `socket`, once and if
    /// the service asks. What the number means is between the driver and its function.
    pub fn set_look_up(&mut self, socket: i32, look_up: fn(i32) -> Peer) {
        self.peer_lookup = PeerLookup::new(socket, look_up);
    }

    /// Where a request comes from that was received then.
    #[inline(always)]
    fn origin(&self, received: Instant) -> Origin<'_> {
        Origin {
            peer_lookup: &self.peer_lookup,
            client: self.client.as_deref(),
            received,
        }
    }

    /// What this session wants now.
    #[inline(always)]
    pub fn want(&self) -> Want {
        if self.writing {
            return Want::Write;
        }
        match self.phase {
            Phase::Taking(ref taking) if taking.full.is_some() => Want::Wait,
            Phase::Head | Phase::Length { .. } | Phase::Chunked { .. } | Phase::Taking(_) => {
                Want::Read
            }
            Phase::Compute { .. } | Phase::Begun(_) => Want::Compute,
            Phase::Waiting | Phase::Streaming => Want::Wait,
            Phase::Ending { linger: true } if !self.fin_received => Want::Linger,
            Phase::Ending { .. } => Want::Close,
        }
    }

    /// By when the driver must have done what the session wants; after that it calls
    /// [`expire`](Self::expire).
    #[inline]
    pub fn deadline(&self) -> Instant {
        if self.writing {
            self.write_deadline
        } else {
            self.deadline
        }
    }

    /// Whether it [waits](Want::Wait) for nothing but its reply, or the next piece of that: a peer that has gone needs
    /// neither.
    pub fn awaits_reply(&self) -> bool {
        !self.writing && matches!(self.phase, Phase::Waiting | Phase::Streaming)
    }

    /// Whether the connection is between two requests, with nothing received and nothing unsent. In
    /// this state a drain may close it.
    #[inline]
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Head) && self.pending.is_empty() && !self.writing
    }

    /// Processes received bytes. A driver of completions receives before the session wants it: what
    /// it hands over while the session wants something else is kept until the session wants to read.
    /// [`is_ahead`](Self::is_ahead) says when that has become too much.
    #[inline(never)]
    pub fn receive(&mut self, input: &[u8], turn: &mut Turn<'_>) {
        if self.want() != Want::Read {
            if !matches!(self.phase, Phase::Ending { .. }) {
                if self.pending.is_empty() {
                    self.pending = turn.scratch.take_buffer();
                }
                self.pending.extend_from_slice(input);
            }
            return;
        }
        if self.pending.is_empty() {
            let taken = self.consume(input, turn);
            if taken < input.len() && !self.linger_if_ending() {
                self.pending = turn.scratch.take_buffer();
                self.pending.extend_from_slice(&input[taken..]);
            }
        } else {
            self.pending.extend_from_slice(input);
            self.consume_pending(turn);
        }
        self.update(turn);
    }

    /// Processes the peer's FIN. All complete requests before it are answered; an incomplete one ends
    /// the connection.
    pub fn receive_fin(&mut self, turn: &mut Turn<'_>) {
        self.fin_received = true;
        if !self.output.is_taken() {
            self.update(turn);
        }
    }

    /// Whether the driver should stop receiving for now, because so much is kept already.
    pub fn is_ahead(&self, limits: &Limits) -> bool {
        self.want() != Want::Read && self.pending.len() >= limits.input_bytes
    }

    /// Processes the passing of the deadline. A delayed response is sent, the source of a streamed one is
    /// asked for more, an incomplete request is
    /// answered with 408, and in any other state the connection is closed at once.
    pub fn expire(&mut self, turn: &mut Turn<'_>) {
        match self.want() {
            Want::Compute => {}
            Want::Wait if matches!(self.phase, Phase::Streaming) => self.update(turn),
            Want::Wait if matches!(self.phase, Phase::Taking(_)) => self.ask_sink(turn),
            Want::Wait => {
                if turn.is_draining() && !self.closing {
                    self.closing = true;
                    response::set_connection_close(&mut self.parked);
                }
                turn.scratch.buffers.output.append(&mut self.parked);
                turn.return_buffer(&mut self.parked);
                self.release();
                self.answered(turn);
                self.update(turn);
            }
            Want::Read if self.protocol == Protocol::Http && !self.is_idle() => {
                self.refuse(408, turn);
                self.update(turn);
            }
            _ => {
                self.drop_output(turn);
                self.tail = Tail::NONE;
                self.finish(false, turn);
                self.update(turn);
            }
        }
    }

    /// The output to be sent: of an earlier turn if that was kept, else of this one.
    #[inline(always)]
    pub fn output<'s>(&'s self, scratch: &'s Scratch) -> &'s [u8] {
        self.output.unsent(scratch)
    }

    /// Takes note that `bytes` of the output were sent. Once all of it is sent, the session may make
    /// more: of a long body, or for pipelined requests.
    #[inline(never)]
    pub fn sent(&mut self, bytes: usize, turn: &mut Turn<'_>) {
        self.output.advance(bytes);
        if !self.output(turn.scratch).is_empty() {
            return;
        }
        self.drop_output(turn);
        if !self.pending.is_empty() && self.tail.left() == 0 {
            self.consume_pending(turn);
        }
        self.update(turn);
    }

    /// Moves unsent output from the buffers of the worker into the session, before the worker turns to
    /// another one. It stays there, whatever the session receives, until [`sent`](Self::sent) or
    /// [`expire`](Self::expire).
    pub fn keep_output(&mut self, scratch: &mut Scratch) -> &[u8] {
        self.output.keep(scratch)
    }

    /// Moves unsent output out of the session, for a kernel that sends it later. Until
    /// [`return_output`](Self::return_output) the session wants to write; it may receive, but must not
    /// expire.
    pub fn take_output(&mut self, scratch: &mut Scratch) -> Vec<u8> {
        self.output.take(scratch)
    }

    /// Returns what was taken, before [`sent`](Self::sent) or [`expire`](Self::expire).
    pub fn return_output(&mut self, output: Vec<u8>) {
        self.output.give_back(output);
    }

    /// Whether the output is taken, and not returned yet.
    pub fn is_output_taken(&self) -> bool {
        self.output.is_taken()
    }

    /// The deadline that the session will have when its output is sent, if it then waits for the next
    /// request. `None`: then it has something else to do.
    pub fn idle_deadline_once_sent(&self) -> Option<Instant> {
        let waits = matches!(self.phase, Phase::Head)
            && self.pending.is_empty()
            && self.tail.left() == 0
            && !self.fin_received;
        waits.then_some(self.deadline)
    }

    /// Whether the session ignores what the peer sends from now on, or the peer cannot send any more.
    pub fn ignores_input(&self) -> bool {
        self.fin_received || matches!(self.phase, Phase::Ending { linger: false })
    }

    /// Lets `read` have the complete request with which the session wants [`Want::Compute`], for a driver
    /// that finds the answer outside the session. `None`: it is no HTTP request.
    pub fn request<R>(
        &mut self,
        turn: &Turn<'_>,
        read: impl FnOnce(&Request<'_>) -> R,
    ) -> Option<R> {
        let (
            Phase::Compute {
                body_bytes,
                since,
                taken,
            },
            Protocol::Http,
        ) = (&mut self.phase, self.protocol)
        else {
            return None;
        };
        let since = *since;
        let mut room = head::fields();
        // Who answers elsewhere receives nothing: what the client sends belongs to this request.
        self.cut_short |= taken.as_ref().is_some_and(|taken| taken.upload.is_some());
        let filled = taken.take().map(|taken| Filled::new(taken.sink));
        let body = &self.parked[self.parked.len() - *body_bytes..];
        match head::parse(&self.parked, &mut room, turn.limits) {
            Some(Parsed::Complete(head)) => {
                let origin = self.origin(since);
                Some(read(&request(&head, body, filled.as_ref(), origin, turn)))
            }
            _ => None,
        }
    }

    /// Asks the source of a streamed reply for its next piece, or the sink of a request's body for room,
    /// before the deadline, if the session waits for that: its driver was told that there is some.
    pub fn ask(&mut self, turn: &mut Turn<'_>) {
        match self.phase {
            _ if self.want() != Want::Wait => {}
            Phase::Streaming => {
                self.deadline = turn.now;
                self.update(turn);
            }
            Phase::Taking(_) => self.ask_sink(turn),
            _ => {}
        }
    }

    /// Whether the last reply has failed in a body that only the end of the connection ends: closing must
    /// reset the connection, since a FIN would say that the body is complete.
    pub fn is_aborted(&self) -> bool {
        self.aborted
    }

    /// Whether its driver computes elsewhere. One that does not computes at once what the session wants to be
    /// computed: a request whose body the service receives.
    pub fn is_staged(&self) -> bool {
        self.staged
    }

    /// Calls the service for the complete request with which the session wants [`Want::Compute`].
    pub fn compute(&mut self, turn: &mut Turn<'_>) {
        let Phase::Compute {
            body_bytes,
            since,
            taken,
        } = &mut self.phase
        else {
            return;
        };
        let (body_bytes, since, taken) = (*body_bytes, *since, taken.take());
        let mut request = std::mem::take(&mut self.parked);
        match self.protocol {
            Protocol::Http => self.serve_parked(&request, body_bytes, taken, since, turn),
            Protocol::Unp => self.serve_line(&request, since, turn),
        }
        turn.return_buffer(&mut request);
        self.update(turn);
    }

    /// Consumes what is pending, as far as possible.
    fn consume_pending(&mut self, turn: &mut Turn<'_>) {
        let mut data = std::mem::take(&mut self.pending);
        let taken = self.consume(&data, turn);
        if taken == data.len() || self.linger_if_ending() {
            turn.return_buffer(&mut data);
        } else {
            data.drain(..taken);
            self.pending = data;
        }
    }

    /// Consumes complete requests at the front of `data`, and parts of one if they can be kept
    /// elsewhere. Returns how many bytes that were.
    fn consume(&mut self, data: &[u8], turn: &mut Turn<'_>) -> usize {
        let mut taken = 0;
        while taken < data.len()
            && self.tail.left() == 0
            && turn.scratch.buffers.output.len() < turn.limits.unsent_bytes_max
        {
            let rest = &data[taken..];
            let step = match self.phase {
                Phase::Head if self.protocol == Protocol::Unp => self.consume_line(rest, turn),
                Phase::Head => self.consume_head(rest, turn),
                Phase::Length { total } if rest.len() < total => 0,
                Phase::Length { .. } => {
                    self.phase = Phase::Head;
                    self.consume_head(rest, turn)
                }
                Phase::Chunked { .. } => self.consume_chunks(rest, turn),
                Phase::Taking(ref taking) if taking.full.is_some() => 0,
                Phase::Taking(_) => self.consume_taken(rest, turn),
                Phase::Compute { .. }
                | Phase::Begun(_)
                | Phase::Waiting
                | Phase::Streaming
                | Phase::Ending { .. } => 0,
            };
            if step == 0 {
                break;
            }
            taken += step;
        }
        taken
    }

    /// Consumes a head at the front of `data`, with its body if that is complete. Returns how many bytes
    /// that were, 0 if more must be received.
    fn consume_head(&mut self, data: &[u8], turn: &mut Turn<'_>) -> usize {
        let mut room = head::few_fields();
        match head::parse(data, &mut room, turn.limits) {
            Some(parsed) => self.consume_parsed(&parsed, data, turn),
            None => self.consume_large_head(data, turn),
        }
    }

    /// The same for a head with more fields than usual.
    #[cold]
    #[inline(never)]
    fn consume_large_head(&mut self, data: &[u8], turn: &mut Turn<'_>) -> usize {
        let mut room = head::fields();
        let parsed = head::parse(data, &mut room, turn.limits);
        // This table has room for as many fields as a head may have.
        parsed.map_or(0, |parsed| self.consume_parsed(&parsed, data, turn))
    }

    fn consume_parsed(
        &mut self,
        parsed: &Parsed<Head<'_, '_>>,
        data: &[u8],
        turn: &mut Turn<'_>,
    ) -> usize {
        let head = match parsed {
            Parsed::Complete(head) => head,
            Parsed::Partial => return 0,
            Parsed::Refused(status) => {
                self.refuse(*status, turn);
                return data.len();
            }
        };
        match head.framing {
            Framing::Length(length) if length > turn.limits.body_bytes_max => {
                self.consume_large(head, length as u64, data, turn)
            }
            Framing::Length(length) if data.len() - head.bytes >= length => {
                let total = head.bytes + length;
                if self.staged {
                    self.begin_or_park(head, &data[..total], length, turn);
                } else {
                    self.serve(head, &data[head.bytes..total], None, turn.now, turn);
                }
                total
            }
            framing => {
                tell_to_continue(head, data, turn);
                self.deadline = turn.now + turn.limits.body();
                match framing {
                    Framing::Length(length) => {
                        self.phase = Phase::Length {
                            total: head.bytes + length,
                        };
                        0
                    }
                    Framing::Chunked => {
                        self.parked = turn.scratch.take_buffer();
                        self.parked.extend_from_slice(&data[..head.bytes]);
                        self.phase = Phase::Chunked {
                            decoder: Chunked::new(),
                            head_bytes: head.bytes,
                        };
                        head.bytes
                    }
                }
            }
        }
    }

    #[inline(never)]
    fn consume_chunks(&mut self, data: &[u8], turn: &mut Turn<'_>) -> usize {
        let Phase::Chunked {
            decoder,
            head_bytes,
        } = &mut self.phase
        else {
            return 0;
        };
        let head_bytes = *head_bytes;
        let bytes_max = turn.limits.body_bytes_max as u64;
        let (taken, decoded) = decoder.decode(data, &mut self.parked, bytes_max, turn.limits);
        match decoded {
            Decoded::More => taken,
            Decoded::TooLarge => {
                let decoder = std::mem::replace(decoder, Chunked::new());
                match self.take_chunks(decoder, head_bytes, turn) {
                    true if matches!(self.phase, Phase::Compute { .. }) => taken,
                    true => taken + self.consume_taken(&data[taken..], turn),
                    false => data.len(),
                }
            }
            Decoded::Refused(status) => {
                self.refuse(status, turn);
                data.len()
            }
            Decoded::Complete => {
                self.complete_parked(self.parked.len() - head_bytes, None, turn);
                taken
            }
        }
    }

    #[inline(never)]
    fn consume_line(&mut self, data: &[u8], turn: &mut Turn<'_>) -> usize {
        match unp::parse(data, turn.limits) {
            Parsed::Partial => 0,
            Parsed::Refused(_) => {
                turn.scratch.refused += 1;
                self.report(0, 0, turn.now, turn);
                self.finish(true, turn);
                data.len()
            }
            Parsed::Complete((taken, _)) if self.staged => {
                self.park(&data[..taken], 0, turn);
                taken
            }
            Parsed::Complete((taken, _)) => {
                self.serve_line(&data[..taken], turn.now, turn);
                taken
            }
        }
    }

    /// Answers a complete line with the bytes it asks for.
    fn serve_line(&mut self, line: &[u8], received: Instant, turn: &mut Turn<'_>) {
        let Parsed::Complete((_, bytes)) = unp::parse(line, turn.limits) else {
            unreachable!("this line was parsed before")
        };
        Repeat::new(unp::PATTERN, bytes).fill(&mut turn.scratch.buffers.output, usize::MAX);
        turn.scratch.served += 1;
        self.report(0, bytes, received, turn);
        self.closing = turn.is_draining();
        self.next();
    }

    /// Keeps a complete request for [`compute`](Self::compute).
    fn park(&mut self, request: &[u8], body_bytes: usize, turn: &mut Turn<'_>) {
        self.parked = turn.scratch.take_buffer();
        self.parked.extend_from_slice(request);
        self.phase = Phase::Compute {
            body_bytes,
            since: turn.now,
            taken: None,
        };
    }

    /// Serves a complete request that is in `parked`, here or in the thread that computes.
    fn complete_parked(
        &mut self,
        body_bytes: usize,
        taken: Option<Box<Taking>>,
        turn: &mut Turn<'_>,
    ) {
        let since = turn.now;
        if self.staged {
            self.phase = Phase::Compute {
                body_bytes,
                since,
                taken,
            };
        } else {
            let mut request = std::mem::take(&mut self.parked);
            self.serve_parked(&request, body_bytes, taken, since, turn);
            turn.return_buffer(&mut request);
        }
    }

    /// Serves a complete request that was kept in a buffer of its own.
    #[inline(never)]
    fn serve_parked(
        &mut self,
        request: &[u8],
        body_bytes: usize,
        taken: Option<Box<Taking>>,
        received: Instant,
        turn: &mut Turn<'_>,
    ) {
        let mut room = head::fields();
        match head::parse(request, &mut room, turn.limits) {
            Some(Parsed::Complete(mut head)) => {
                head.persistent &= !self.cut_short;
                let body = &request[request.len() - body_bytes..];
                let filled = match taken.map(|taken| *taken) {
                    Some(Taking {
                        upload: Some(begun),
                        ..
                    }) => return self.serve_upload(&head, begun, received, turn),
                    taken => taken.map(|taken| Filled::new(taken.sink)),
                };
                self.serve(&head, body, filled.as_ref(), received, turn);
            }
            _ => {
                unreachable!("this head was parsed before it was parked")
            }
        }
    }

    /// Has the service answer a request.
    fn serve(
        &mut self,
        head: &Head<'_, '_>,
        body: &[u8],
        filled: Option<&Filled>,
        received: Instant,
        turn: &mut Turn<'_>,
    ) {
        let start = turn.scratch.buffers.output.len();
        let origin = Origin {
            peer_lookup: &self.peer_lookup,
            client: self.client.as_deref(),
            received,
        };
        let answered = answer(head, body, filled, origin, turn);
        self.settle(answered, start, turn);
    }

    /// Takes note of a response that was written, from `start` of the output on. `None`: the service has
    /// panicked, and the session answers instead of it.
    #[inline(always)]
    fn settle(&mut self, answered: Option<Answer>, start: usize, turn: &mut Turn<'_>) {
        match answered {
            Some(Answer {
                tail,
                wait,
                persistent,
            }) => {
                self.tail = tail;
                self.closing = !persistent;
                match wait {
                    Some(wait) => self.delay(start, turn.now + wait, turn),
                    None => self.answered(turn),
                }
            }
            None => {
                turn.scratch.buffers.output.truncate(start);
                self.write_refusal(500, turn);
            }
        }
    }
}

/// Asks the client for the body that it holds back (RFC 9110 section 10.1.1).
fn tell_to_continue(head: &Head<'_, '_>, data: &[u8], turn: &mut Turn<'_>) {
    if head.expects_continue && data.len() == head.bytes {
        turn.scratch
            .buffers
            .output
            .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
}

/// State changes that several of the functions above share.
impl Session {
    /// The head of the response and what is known of its body are in the output or in `tail`.
    fn answered(&mut self, turn: &Turn<'_>) {
        if self.tail.left() == u64::MAX {
            self.phase = Phase::Streaming;
            self.deadline = turn.now;
        } else {
            self.next();
        }
    }

    /// The current request is done: the next one may be read, unless this was the last.
    fn next(&mut self) {
        self.phase = if self.closing {
            Phase::Ending {
                linger: !self.pending.is_empty() || self.cut_short,
            }
        } else {
            Phase::Head
        };
        self.head_begun = false;
        self.request_done = true;
    }

    /// Delays the response, which begins at `start` of the output, until `until`.
    fn delay(&mut self, start: usize, until: Instant, turn: &mut Turn<'_>) {
        self.parked = turn.scratch.take_buffer();
        self.parked
            .extend_from_slice(&turn.scratch.buffers.output[start..]);
        turn.scratch.buffers.output.truncate(start);
        self.phase = Phase::Waiting;
        self.deadline = until;
        let observer = turn.scratch.observer.as_mut();
        let observed = observer.and_then(|observer| observer.delayed());
        let held = [turn.scratch.buffers.held.take(), observed];
        if held.iter().any(Option::is_some) {
            self.client.get_or_insert_default().held = held;
        }
    }

    /// The delay of the response is over.
    fn release(&mut self) {
        if let Some(client) = &mut self.client {
            client.held = Default::default();
        }
    }

    /// Answers with an error of the session's own, and ends after it.
    #[cold]
    fn refuse(&mut self, status: u16, turn: &mut Turn<'_>) {
        let bytes = status::explanation(status).len() as u64;
        self.report(status, bytes, turn.now, turn);
        self.write_refusal(status, turn);
    }

    #[cold]
    fn write_refusal(&mut self, status: u16, turn: &mut Turn<'_>) {
        turn.scratch.refused += 1;
        response::write_error(status, turn.now, &mut turn.scratch.buffers);
        self.finish(true, turn);
    }

    /// Tells an observer what came of something that is no request of HTTP.
    fn report(&self, status: u16, body_bytes: u64, received: Instant, turn: &mut Turn<'_>) {
        if turn.scratch.observer.is_some() {
            let peer = self.peer_lookup.known().and_then(|peer| peer.ip());
            let outcome = Outcome {
                status,
                body_bytes,
                received,
                wait: Duration::ZERO,
            };
            telling::report(None, peer, outcome, turn);
        }
    }

    /// Reads no further request, and drops what was received and not consumed.
    fn finish(&mut self, linger: bool, turn: &mut Turn<'_>) {
        self.release();
        self.phase = Phase::Ending { linger };
        turn.return_buffer(&mut self.pending);
        turn.return_buffer(&mut self.parked);
    }

    /// Whether the session is ending; if so, it lingers, since there are bytes behind its last request.
    /// Closing a socket with unread bytes resets the connection, and the peer may lose the reply.
    fn linger_if_ending(&mut self) -> bool {
        if let Phase::Ending { linger } = &mut self.phase {
            *linger = true;
        }
        matches!(self.phase, Phase::Ending { .. })
    }

    fn drop_output(&mut self, turn: &mut Turn<'_>) {
        self.writing = false;
        self.output.clear(turn);
    }

    /// Whether the tail may be asked for more: not while the head waits, or before the source of a stream
    /// wants to be asked.
    fn is_tail_due(&self, turn: &Turn<'_>) -> bool {
        match self.phase {
            Phase::Waiting => false,
            Phase::Streaming => turn.now >= self.deadline,
            _ => true,
        }
    }

    /// Makes more output from the tail.
    #[inline(never)]
    fn fill(&mut self, turn: &mut Turn<'_>) {
        let unsent = turn.scratch.buffers.output.len();
        let room = turn.limits.unsent_bytes_max.saturating_sub(unsent);
        let asked = (turn.is_draining(), turn.now);
        match self.tail.fill(room, asked, &mut turn.scratch.buffers) {
            Ok(Pull::More) => {}
            Ok(Pull::Later(pause)) => self.deadline = turn.now + pause.min(turn.limits.stream()),
            Ok(Pull::End) => {
                self.tail = Tail::NONE;
                self.closing |= turn.is_draining();
                self.next();
            }
            Err(_) => {
                // The body is shorter than its head says, so the connection can only be closed.
                self.aborted = self.tail.as_stream().is_some_and(|body| !body.chunked);
                self.tail = Tail::NONE;
                self.finish(false, turn);
            }
        }
    }

    /// Updates output and deadlines after a change of the phase. Every public change ends with this.
    fn update(&mut self, turn: &mut Turn<'_>) {
        if self.tail.left() > 0 && !self.output.is_kept() && self.is_tail_due(turn) {
            self.fill(turn);
        }
        let unsent = !self.output(turn.scratch).is_empty();
        if unsent && !self.writing {
            self.write_deadline = turn.now + turn.limits.write();
        }
        self.writing = unsent;
        if self.fin_received && self.want() == Want::Read {
            self.finish(false, turn);
        }
        let request_done = std::mem::take(&mut self.request_done);
        match self.phase {
            Phase::Head if request_done && self.pending.is_empty() => {
                self.deadline = turn.now + turn.limits.idle();
            }
            Phase::Head if !self.head_begun && !self.pending.is_empty() => {
                self.head_begun = true;
                self.deadline = turn.now + turn.limits.head();
            }
            Phase::Ending { .. } if !unsent => self.deadline = turn.now + turn.limits.linger(),
            _ => {}
        }
    }
}
