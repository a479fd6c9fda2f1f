//! One connection's state. Every change of it is in this file.
//!
//! ```text
//!            ┌──────────── next request, pipelined or after a pause ────────────┐
//!            ▼                                                                  │
//!   Head ──▶ Length/Chunked ──▶ Compute ──▶ (Waiting) ──▶ output ──▶ persistent?┤
//!     └──────────┴── refused ─────────────────────────────▶ output ──▶ Lingering ──▶ Closed
//! ```
//!
//! Output is orthogonal: while any is unsent the session wants `Write`, whatever comes after it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::chunked::{Chunked, Decoded};
use crate::head::{self, Framing, Head, Parsed};
use crate::response::{self, Reply};
use crate::tail::{Repeat, Tail};
use crate::{Limits, Method, Protocol, Request, Response, Scratch, Turn, Want, unp};

#[derive(Debug)]
enum Phase {
    /// Between requests, or inside a head.
    Head,
    /// A body of which `total` bytes, head included, must be there.
    Length { total: usize },
    /// A chunked body, decoded into `parked` behind its head.
    Chunked { decoder: Chunked, head_bytes: usize },
    /// A whole request lies in `parked`, its body of `body_bytes` at the end.
    Compute { body_bytes: usize },
    /// The response lies in `parked` until the time of `deadline`.
    Waiting,
    /// Nothing more will be read; after the output, close, politely or at once.
    Ending { linger: bool },
}

/// The protocol state of one connection.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    protocol: Protocol,
    staged: bool,
    /// Output is unsent, and must be taken by `write_deadline`.
    writing: bool,
    /// The response in hand is the last.
    closing: bool,
    /// The peer's FIN has come.
    ended: bool,
    /// A request was done with since the deadline was set; set it once for all of a batch.
    rested: bool,
    /// Bytes of the next head have come, and its deadline runs.
    head_begun: bool,
    deadline: Instant,
    write_deadline: Instant,
    /// Received and not yet consumed.
    carry: Vec<u8>,
    /// A request being put together, or a response held back.
    parked: Vec<u8>,
    /// Output that outlived its turn, and how much of it was sent.
    output: Vec<u8>,
    sent: usize,
    /// The output is with somebody who sends it; see `lend`.
    lent: bool,
    /// What is still to be made of a long body.
    tail: Tail,
}

impl Session {
    /// A fresh connection's session. Requests are computed where they are received.
    pub fn new(protocol: Protocol, turn: &Turn<'_>) -> Session {
        Session {
            phase: Phase::Head,
            protocol,
            staged: false,
            writing: false,
            closing: false,
            ended: false,
            rested: false,
            head_begun: false,
            deadline: turn.now + turn.limits.head(),
            write_deadline: turn.now,
            carry: Vec::new(),
            parked: Vec::new(),
            output: Vec::new(),
            sent: 0,
            lent: false,
            tail: Tail::NONE,
        }
    }

    /// The same for a model that computes elsewhere: it stops at every whole request and wants
    /// [`Want::Compute`].
    pub fn staged(protocol: Protocol, turn: &Turn<'_>) -> Session {
        Session {
            staged: true,
            ..Session::new(protocol, turn)
        }
    }

    /// What this session wants now.
    pub fn want(&self) -> Want {
        if self.writing {
            return Want::Write;
        }
        match self.phase {
            Phase::Head | Phase::Length { .. } | Phase::Chunked { .. } => Want::Read,
            Phase::Compute { .. } => Want::Compute,
            Phase::Waiting => Want::Wait,
            Phase::Ending { linger: true } if !self.ended => Want::Linger,
            Phase::Ending { .. } => Want::Close,
        }
    }

    /// When what it wants must have come; see [`expire`](Self::expire).
    pub fn deadline(&self) -> Instant {
        if self.writing {
            self.write_deadline
        } else {
            self.deadline
        }
    }

    /// Whether the connection is between two requests, with nothing received and nothing unsent:
    /// the state in which a drain may close it.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Head) && self.carry.is_empty() && !self.writing
    }

    /// Takes bytes that were received. Completions run ahead of wants: what comes while the session
    /// does not want to read is kept for when it does, and [`is_ahead`](Self::is_ahead) says when
    /// that is enough.
    pub fn receive(&mut self, input: &[u8], turn: &mut Turn<'_>) {
        if self.want() != Want::Read {
            if !matches!(self.phase, Phase::Ending { .. }) {
                if self.carry.is_empty() {
                    self.carry = turn.scratch.lend();
                }
                self.carry.extend_from_slice(input);
            }
            return;
        }
        if self.carry.is_empty() {
            let taken = self.consume(input, turn);
            if taken < input.len() && !self.ends_with_input_unread() {
                self.carry = turn.scratch.lend();
                self.carry.extend_from_slice(&input[taken..]);
            }
        } else {
            self.carry.extend_from_slice(input);
            self.consume_carry(turn);
        }
        self.settle(turn);
    }

    /// Takes the peer's FIN. Everything asked for before it has been answered by then, since a
    /// session with a whole request in hand does not want to read.
    pub fn end(&mut self, turn: &mut Turn<'_>) {
        self.ended = true;
        if !self.lent {
            self.settle(turn);
        }
    }

    /// Whether the peer's FIN has come.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether so much was received ahead of need that receiving had better stop for now.
    pub fn is_ahead(&self, limits: &Limits) -> bool {
        self.want() != Want::Read && self.carry.len() >= limits.input_bytes
    }

    /// Takes note that the deadline has passed. A wait is over, an unfinished request is answered
    /// with 408, and anything else ends the connection at once.
    pub fn expire(&mut self, turn: &mut Turn<'_>) {
        match self.want() {
            Want::Compute => {}
            Want::Wait => {
                if turn.is_draining() && !self.closing {
                    self.closing = true;
                    response::say_close(&mut self.parked);
                }
                turn.scratch.output.append(&mut self.parked);
                turn.scratch
                    .take_back(&mut self.parked, turn.limits.spare_bytes_max);
                self.next();
                self.settle(turn);
            }
            Want::Read if self.protocol == Protocol::Http && !self.is_idle() => {
                self.refuse(408, turn);
                self.settle(turn);
            }
            _ => {
                self.drop_output(turn);
                self.tail = Tail::NONE;
                self.finish(false, turn);
                self.settle(turn);
            }
        }
    }

    /// Output to be sent: what an earlier turn kept, else what this one made.
    pub fn output<'s>(&'s self, scratch: &'s Scratch) -> &'s [u8] {
        let output = if self.output.is_empty() {
            &scratch.output
        } else {
            &self.output
        };
        &output[self.sent..]
    }

    /// Takes note that `bytes` of the output were sent. Once all are, more output may be made: of a
    /// long body, or for requests that are pipelined behind.
    pub fn sent(&mut self, bytes: usize, turn: &mut Turn<'_>) {
        self.sent += bytes;
        if !self.output(turn.scratch).is_empty() {
            return;
        }
        self.drop_output(turn);
        if !self.carry.is_empty() && self.tail.left() == 0 {
            self.consume_carry(turn);
        }
        self.settle(turn);
    }

    /// Moves unsent output of this turn into the session, before the worker turns to another. There
    /// it stays, whatever the session receives, until [`sent`](Self::sent) or [`expire`](Self::expire).
    pub fn keep(&mut self, scratch: &mut Scratch) -> &[u8] {
        if self.output.is_empty() && !scratch.output.is_empty() {
            self.output = scratch.lend();
            std::mem::swap(&mut self.output, &mut scratch.output);
        }
        &self.output[self.sent..]
    }

    /// Moves the unsent output out, for somebody who holds on to it until it was sent: a kernel that
    /// completes sends. Until [`regain`](Self::regain) the session wants to write; it may receive
    /// and end, but must not expire.
    pub fn lend(&mut self, scratch: &mut Scratch) -> Vec<u8> {
        self.keep(scratch);
        self.output.drain(..std::mem::take(&mut self.sent));
        self.lent = true;
        std::mem::take(&mut self.output)
    }

    /// Takes back what was lent, before [`sent`](Self::sent) or [`expire`](Self::expire).
    pub fn regain(&mut self, output: Vec<u8>) {
        self.output = output;
        self.lent = false;
    }

    /// Whether the output is lent.
    pub fn has_lent(&self) -> bool {
        self.lent
    }

    /// Where nothing is to be done once the output was sent but to wait for the next request: until
    /// when that may take. `None` where the session would go on by itself.
    pub fn rests_until(&self) -> Option<Instant> {
        let rests = matches!(self.phase, Phase::Head)
            && self.carry.is_empty()
            && self.tail.left() == 0
            && !self.ended;
        rests.then_some(self.deadline)
    }

    /// Whether what the peer sends no longer matters.
    pub fn is_over(&self) -> bool {
        self.ended || matches!(self.phase, Phase::Ending { linger: false })
    }

    /// Answers the whole request that [`Want::Compute`] announced.
    pub fn compute(&mut self, turn: &mut Turn<'_>) {
        let Phase::Compute { body_bytes } = self.phase else {
            return;
        };
        let mut request = std::mem::take(&mut self.parked);
        match self.protocol {
            Protocol::Http => self.serve_parked(&request, body_bytes, turn),
            Protocol::Unp => self.serve_line(&request, turn),
        }
        turn.scratch
            .take_back(&mut request, turn.limits.spare_bytes_max);
        self.settle(turn);
    }

    /// Consumes the carried bytes as far as they go.
    fn consume_carry(&mut self, turn: &mut Turn<'_>) {
        let mut data = std::mem::take(&mut self.carry);
        let taken = self.consume(&data, turn);
        if taken == data.len() || self.ends_with_input_unread() {
            turn.scratch
                .take_back(&mut data, turn.limits.spare_bytes_max);
        } else {
            data.drain(..taken);
            self.carry = data;
        }
    }

    /// Consumes whole requests from the front of `data` and returns how many bytes they took.
    fn consume(&mut self, data: &[u8], turn: &mut Turn<'_>) -> usize {
        let mut taken = 0;
        while taken < data.len()
            && self.tail.left() == 0
            && turn.scratch.output.len() < turn.limits.unsent_bytes_max
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
                Phase::Compute { .. } | Phase::Waiting | Phase::Ending { .. } => 0,
            };
            if step == 0 {
                break;
            }
            taken += step;
        }
        taken
    }

    /// A request at the front of `data`: served if whole. Returns the bytes it took, 0 for none.
    fn consume_head(&mut self, data: &[u8], turn: &mut Turn<'_>) -> usize {
        let mut room = head::few_fields();
        match head::parse(data, &mut room, turn.limits) {
            Some(parsed) => self.consume_parsed(&parsed, data, turn),
            None => self.consume_crowded(data, turn),
        }
    }

    /// The same where the head has more fields than is usual.
    #[cold]
    #[inline(never)]
    fn consume_crowded(&mut self, data: &[u8], turn: &mut Turn<'_>) -> usize {
        let mut room = head::fields();
        let parsed = head::parse(data, &mut room, turn.limits);
        // There is room for as many fields as there may be.
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
            Framing::Length(length) if data.len() - head.bytes >= length => {
                let total = head.bytes + length;
                if self.staged {
                    self.park(&data[..total], length, turn);
                } else {
                    self.serve(head, &data[head.bytes..total], turn);
                }
                total
            }
            framing => {
                if head.expects_continue && data.len() == head.bytes {
                    turn.scratch
                        .output
                        .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                self.deadline = turn.now + turn.limits.body();
                match framing {
                    Framing::Length(length) => {
                        self.phase = Phase::Length {
                            total: head.bytes + length,
                        };
                        0
                    }
                    Framing::Chunked => {
                        self.parked = turn.scratch.lend();
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
        let (taken, decoded) = decoder.decode(data, &mut self.parked, head_bytes, turn.limits);
        match decoded {
            Decoded::More => taken,
            Decoded::Refused(status) => {
                self.refuse(status, turn);
                data.len()
            }
            Decoded::Whole => {
                let body_bytes = self.parked.len() - head_bytes;
                if self.staged {
                    self.phase = Phase::Compute { body_bytes };
                } else {
                    let mut request = std::mem::take(&mut self.parked);
                    self.serve_parked(&request, body_bytes, turn);
                    turn.scratch
                        .take_back(&mut request, turn.limits.spare_bytes_max);
                }
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
                self.finish(true, turn);
                data.len()
            }
            Parsed::Complete((taken, _)) if self.staged => {
                self.park(&data[..taken], 0, turn);
                taken
            }
            Parsed::Complete((taken, _)) => {
                self.serve_line(&data[..taken], turn);
                taken
            }
        }
    }

    /// Answers a whole line with the bytes it asks for.
    fn serve_line(&mut self, line: &[u8], turn: &mut Turn<'_>) {
        let Parsed::Complete((_, bytes)) = unp::parse(line, turn.limits) else {
            unreachable!("this line was parsed before")
        };
        Repeat::new(unp::PATTERN, bytes).fill(&mut turn.scratch.output, usize::MAX);
        turn.scratch.served += 1;
        self.closing = turn.is_draining();
        self.next();
    }

    /// Keeps a whole request for [`compute`](Self::compute).
    fn park(&mut self, request: &[u8], body_bytes: usize, turn: &mut Turn<'_>) {
        self.parked = turn.scratch.lend();
        self.parked.extend_from_slice(request);
        self.phase = Phase::Compute { body_bytes };
    }

    /// Serves a request that was put together in a buffer of its own.
    #[inline(never)]
    fn serve_parked(&mut self, request: &[u8], body_bytes: usize, turn: &mut Turn<'_>) {
        let mut room = head::fields();
        match head::parse(request, &mut room, turn.limits) {
            Some(Parsed::Complete(head)) => {
                self.serve(&head, &request[request.len() - body_bytes..], turn);
            }
            _ => {
                unreachable!("this head was parsed before it was parked")
            }
        }
    }

    /// Calls the service and writes its response.
    fn serve(&mut self, head: &Head<'_, '_>, body: &[u8], turn: &mut Turn<'_>) {
        let mark = turn.scratch.output.len();
        let request = Request {
            method: head.method,
            path: head.target.path,
            query: head.target.query,
            minor_version: head.minor_version,
            body,
            place: turn.place,
            served: turn.scratch.served,
            fields: head.fields,
        };
        let (service, now, draining) = (turn.service, turn.now, turn.draining);
        let answered = catch_unwind(AssertUnwindSafe(|| {
            let mut response = Response::new(turn.scratch);
            service.call(&request, &mut response);
            // Looked at after the call, which may have taken longer than the drain took to begin.
            let reply = Reply {
                persistent: head.persistent && draining.load(Ordering::SeqCst) == 0,
                minor_version: head.minor_version,
                head: head.method == Method::Head,
            };
            (response.finish(now, &reply), reply.persistent)
        }));
        turn.scratch.served += 1;
        let Ok(((tail, wait), persistent)) = answered else {
            turn.scratch.output.truncate(mark);
            self.refuse(500, turn);
            return;
        };
        self.tail = tail;
        self.closing = !persistent;
        match wait {
            Some(wait) => self.hold(mark, turn.now + wait, turn),
            None => self.next(),
        }
    }
}

/// Transitions that several of the above share.
impl Session {
    /// A request is done with: the next may come, unless this was the last.
    fn next(&mut self) {
        self.phase = if self.closing {
            Phase::Ending {
                linger: !self.carry.is_empty(),
            }
        } else {
            Phase::Head
        };
        self.head_begun = false;
        self.rested = true;
    }

    /// Holds the response behind `mark` back until `until`.
    fn hold(&mut self, mark: usize, until: Instant, turn: &mut Turn<'_>) {
        self.parked = turn.scratch.lend();
        self.parked.extend_from_slice(&turn.scratch.output[mark..]);
        turn.scratch.output.truncate(mark);
        self.phase = Phase::Waiting;
        self.deadline = until;
    }

    /// Answers with an error of the session's own, and ends politely.
    #[cold]
    fn refuse(&mut self, status: u16, turn: &mut Turn<'_>) {
        turn.scratch.refused += 1;
        let mut response = Response::new(turn.scratch);
        response
            .status(status)
            .content_type("text/plain")
            .static_body(reason(status));
        response.finish(
            turn.now,
            &Reply {
                persistent: false,
                minor_version: 1,
                head: false,
            },
        );
        self.finish(true, turn);
    }

    /// Nothing more is read; what was received and not consumed is dropped.
    fn finish(&mut self, linger: bool, turn: &mut Turn<'_>) {
        self.phase = Phase::Ending { linger };
        turn.scratch
            .take_back(&mut self.carry, turn.limits.spare_bytes_max);
        turn.scratch
            .take_back(&mut self.parked, turn.limits.spare_bytes_max);
    }

    /// Whether the session has ended with bytes behind its last request. Closing a socket with
    /// bytes unread resets it, which may destroy the reply on its way: so it lingers.
    fn ends_with_input_unread(&mut self) -> bool {
        if let Phase::Ending { linger } = &mut self.phase {
            *linger = true;
        }
        matches!(self.phase, Phase::Ending { .. })
    }

    fn drop_output(&mut self, turn: &mut Turn<'_>) {
        self.writing = false;
        self.sent = 0;
        turn.scratch.output.clear();
        if !self.output.is_empty() {
            turn.scratch
                .take_back(&mut self.output, turn.limits.spare_bytes_max);
        }
    }

    /// Brings output and deadlines in line with the phase. Every public change ends here.
    fn settle(&mut self, turn: &mut Turn<'_>) {
        if self.tail.left() > 0 && !matches!(self.phase, Phase::Waiting) && self.output.is_empty() {
            let room = turn
                .limits
                .unsent_bytes_max
                .saturating_sub(turn.scratch.output.len());
            if self.tail.fill(&mut turn.scratch.output, room).is_err() {
                // The head has promised more than there is: only the end of the connection is left.
                self.tail = Tail::NONE;
                self.finish(false, turn);
            }
        }
        let unsent = !self.output(turn.scratch).is_empty();
        if unsent && !self.writing {
            self.write_deadline = turn.now + turn.limits.write();
        }
        self.writing = unsent;
        if self.ended && self.want() == Want::Read {
            self.finish(false, turn);
        }
        let rested = std::mem::take(&mut self.rested);
        match self.phase {
            Phase::Head if rested && self.carry.is_empty() => {
                self.deadline = turn.now + turn.limits.idle();
            }
            Phase::Head if !self.head_begun && !self.carry.is_empty() => {
                self.head_begun = true;
                self.deadline = turn.now + turn.limits.head();
            }
            Phase::Ending { .. } if !unsent => self.deadline = turn.now + turn.limits.linger(),
            _ => {}
        }
    }
}

/// Body of an error reply: what was wrong, for the person who reads it in a terminal.
fn reason(status: u16) -> &'static [u8] {
    match status {
        400 => b"The request is malformed, or could be read in two ways.\n",
        408 => b"The request took too long to arrive.\n",
        413 => b"The request body is larger than this server takes.\n",
        414 => b"The request target is longer than this server takes.\n",
        417 => b"This server can only meet the expectation 100-continue.\n",
        431 => b"The request's fields are larger or more than this server takes.\n",
        500 => b"The service failed on this request.\n",
        501 => b"This server does not know that transfer coding.\n",
        505 => b"This server speaks HTTP/1.1 and HTTP/1.0.\n",
        _ => b"The request was refused.\n",
    }
}
