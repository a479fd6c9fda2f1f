//! Bodies that the service receives inside its call.

#[path = "common/bodies.rs"]
mod bodies;
mod common;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use bodies::{FIFTY, in_chunks, with_length};
use common::{Peer, statuses};
use proptest::prelude::*;
use proto::{
    Intake, Limits, Lost, Protocol, Request, Response, Service, Session, Transport, Upload, Want,
};

/// Bodies of more than 40 bytes are large, and of more than 200 too large.
fn small() -> Limits {
    Limits {
        body_bytes_max: 40,
        input_bytes: 100,
        ..Limits::default()
    }
}

/// What comes next on the connection of this thread.
enum Event {
    Bytes(Vec<u8>),
    /// Bytes that come after some time.
    After(Duration, Vec<u8>),
    Lost(Lost),
}

thread_local! {
    static EVENTS: RefCell<VecDeque<Event>> = const { RefCell::new(VecDeque::new()) };
    static SENT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    /// The time that each receive was given.
    static GIVEN: RefCell<Vec<Duration>> = const { RefCell::new(Vec::new()) };
    static COUNTED: Cell<(u64, u64, Option<Lost>)> = const { Cell::new((0, 0, None)) };
    static BEGAN: Instant = Instant::now();
    static KEPT: RefCell<Option<Upload>> = const { RefCell::new(None) };
}

fn pass(time: Duration) {
    PASSED.set(PASSED.get() + time);
}

/// A connection that is played from [`EVENTS`]. At their end the peer has closed.
struct Played;

impl Transport for Played {
    fn receive(&self, socket: i32, buffer: &mut Vec<u8>, deadline: Instant) -> Result<usize, Lost> {
        assert_eq!(socket, 7);
        GIVEN.with_borrow_mut(|given| given.push(deadline - self.now()));
        buffer.clear();
        let room = buffer.capacity();
        let (bytes, rest) = EVENTS.with_borrow_mut(|events| match events.pop_front() {
            None => Ok((Vec::new(), Vec::new())),
            Some(Event::Lost(lost)) => Err(lost),
            Some(Event::After(time, bytes)) => {
                pass(time);
                Ok((bytes, Vec::new()))
            }
            Some(Event::Bytes(mut bytes)) => {
                let rest = bytes.split_off(bytes.len().min(room));
                Ok((bytes, rest))
            }
        })?;
        if !rest.is_empty() {
            EVENTS.with_borrow_mut(|events| events.push_front(Event::Bytes(rest)));
        }
        buffer.extend_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn send(&self, _: i32, bytes: &[u8], _: Instant) -> Result<(), Lost> {
        SENT.with_borrow_mut(|sent| sent.extend_from_slice(bytes));
        Ok(())
    }

    fn now(&self) -> Instant {
        BEGAN.with(|began| *began) + PASSED.get()
    }

    fn count(&self, worker: u32, received: u64, sent: u64, lost: Option<Lost>) {
        assert_eq!(worker, 0);
        let (received_before, sent_before, lost_before) = COUNTED.get();
        let lost = lost.or(lost_before);
        COUNTED.set((received_before + received, sent_before + sent, lost));
    }
}

/// Receives, as the path says.
struct Receives;

impl Service for Receives {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let Some(mut upload) = request.take_upload() else {
            let text = format!("whole {}", request.body.len());
            response.body(text.as_bytes());
            return;
        };
        assert!(request.take_upload().is_none(), "it can be taken once");
        let read = match request.path {
            "/none" => Ok(Vec::new()),
            "/ten" => {
                let mut ten = vec![0; 10];
                upload.read_exact(&mut ten).map(|()| ten)
            }
            "/panic" => {
                let _ = upload.read(&mut [0; 5]);
                panic!("asked to");
            }
            "/keep" => {
                KEPT.set(Some(upload));
                Ok(Vec::new())
            }
            "/small" => {
                let (mut read, mut buffer) = (Vec::new(), [0; 7]);
                loop {
                    match upload.read(&mut buffer) {
                        Ok(0) => break Ok(read),
                        Ok(bytes) => read.extend_from_slice(&buffer[..bytes]),
                        Err(error) => break Err(error),
                    }
                }
            }
            // Both ways to read, and a while between two pieces.
            _ => {
                let (mut read, mut piece, mut few) = (Vec::new(), Vec::new(), [0; 3]);
                loop {
                    pass(Duration::from_secs(60));
                    let next = upload.next(&mut piece).and_then(|bytes| {
                        read.extend_from_slice(&piece);
                        let more = upload.read(&mut few)?;
                        read.extend_from_slice(&few[..more]);
                        Ok(bytes + more)
                    });
                    match next {
                        Ok(0) => break Ok(read),
                        Ok(_) => {}
                        Err(error) => break Err(error),
                    }
                }
            }
        };
        let text = match read {
            Ok(read) => format!("read {} {}", read.len(), String::from_utf8_lossy(&read)),
            Err(error) => format!("failed {:?}", error.kind()),
        };
        LAST.set(text.clone());
        response.body(text.as_bytes());
    }

    fn intake(&self, _: &Request<'_>, _: Option<u64>) -> Intake {
        Intake::Upload(200)
    }

    fn receives(&self) -> bool {
        true
    }
}

thread_local! {
    /// What the service has answered, whatever was sent.
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

fn peer(staged: bool) -> Peer {
    let mut peer = Peer::with(small(), |turn| match staged {
        true => Session::staged(Protocol::Http, turn),
        false => Session::new(Protocol::Http, turn),
    });
    peer.session.set_look_up(7, |_| proto::Peer::Unknown);
    peer.service = &Receives;
    peer.scratch.receive_in_calls(&Played);
    PASSED.set(Duration::ZERO);
    GIVEN.take();
    SENT.take();
    COUNTED.take();
    LAST.take();
    peer
}

/// What comes of these events, and what the session wants at last.
fn play(events: Vec<Event>, staged: bool) -> (String, Want) {
    let mut peer = peer(staged);
    EVENTS.set(events.into());
    let mut want = peer.advance();
    while want == Want::Read {
        match EVENTS.with_borrow_mut(VecDeque::pop_front) {
            Some(Event::Bytes(bytes) | Event::After(_, bytes)) => want = peer.send(&bytes),
            Some(Event::Lost(_)) => unreachable!("only a call has to know it"),
            None => break,
        }
    }
    (peer.text(), want)
}

fn bytes(input: &[&[u8]]) -> Vec<Event> {
    let some = input.iter().filter(|piece| !piece.is_empty());
    some.map(|piece| Event::Bytes(piece.to_vec())).collect()
}

const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n";

/// (request, statuses with a next one behind it, a part of the replies)
fn cases() -> Vec<(Vec<u8>, Vec<u16>, String)> {
    let (all, more) = (format!("read 50 {FIFTY}"), format!("read 53 abc{FIFTY}"));
    let many = FIFTY.repeat(3);
    vec![
        (with_length("/all", FIFTY), vec![200, 200], all.clone()),
        (with_length("/small", FIFTY), vec![200, 200], all.clone()),
        (
            with_length("/all", &many),
            vec![200, 200],
            format!("read 150 {many}"),
        ),
        (with_length("/all", "few"), vec![200, 200], "whole 3".into()),
        (
            in_chunks("/all", &["abc", FIFTY]),
            vec![200, 200],
            more.clone(),
        ),
        (in_chunks("/small", &["abc", FIFTY]), vec![200, 200], more),
        (in_chunks("/all", &[FIFTY]), vec![200, 200], all),
        (
            with_length("/all", &FIFTY.repeat(5)),
            vec![413],
            String::new(),
        ),
        (in_chunks("/all", &[FIFTY; 5]), vec![413], String::new()),
        (
            [&in_chunks("/all", &[FIFTY])[..115], b"nonsense"].concat(),
            vec![400],
            String::new(),
        ),
        (with_length("/panic", FIFTY), vec![500], String::new()),
    ]
}

fn check(input: Vec<Event>, staged: bool, statuses_expected: &[u16], part: &str) {
    let (text, want) = play(input, staged);
    assert_eq!(statuses(&text), statuses_expected, "{text}");
    assert!(text.contains(part), "{text}");
    let expected = match statuses_expected {
        [200, 200] => Want::Read,
        _ => Want::Linger,
    };
    assert_eq!(want, expected, "{text}");
}

#[test]
fn the_body_is_read_wherever_the_input_is_cut() {
    for (request, expected, part) in cases() {
        let input = [&request[..], NEXT].concat();
        for staged in [false, true] {
            for at in 0..input.len() {
                let (first, rest) = input.split_at(at);
                check(bytes(&[first, rest]), staged, &expected, &part);
            }
            let each: Vec<_> = input.chunks(1).collect();
            check(bytes(&each), staged, &expected, &part);
        }
    }
}

proptest! {
    #[test]
    fn and_however_often(case in 0_usize..11, cuts in prop::collection::vec(0_usize..400, 0..12)) {
        let (request, expected, part) = cases().swap_remove(case);
        let input = [&request[..], NEXT].concat();
        let mut cuts: Vec<_> = cuts.into_iter().map(|at| at.min(input.len())).collect();
        cuts.sort_unstable();
        cuts.push(input.len());
        let mut begin = 0;
        let pieces: Vec<_> = cuts
            .into_iter()
            .map(|end| &input[std::mem::replace(&mut begin, end)..end])
            .collect();
        check(bytes(&pieces), false, &expected, &part);
    }
}

#[test]
fn who_returns_early_ends_the_connection_unless_the_rest_is_there() {
    for (path, answered) in [("/none", "read 0 "), ("/ten", "read 10 0123456789")] {
        for staged in [false, true] {
            let whole = with_length(path, FIFTY);
            check(bytes(&[&whole, NEXT]), staged, &[200, 200], answered);
            let (text, want) = play(bytes(&[&whole[..whole.len() - 1]]), staged);
            assert!(text.contains(answered), "{text}");
            assert!(text.contains("Connection: close\r\n"), "{text}");
            assert_eq!((statuses(&text), want), (vec![200], Want::Linger));
        }
    }
}

#[test]
fn what_an_earlier_request_is_answered_goes_out_before_the_call() {
    let input = [NEXT, &with_length("/all", FIFTY)[..70]].concat();
    let mut peer = peer(false);
    peer.turn(|session, turn| session.receive(&input, turn));
    assert_eq!(peer.session.want(), Want::Write);
    peer.turn(|session, turn| {
        let bytes = session.output(turn.scratch).len();
        session.sent(bytes, turn);
    });
    assert_eq!(peer.session.want(), Want::Compute);
}

#[test]
fn a_client_that_is_too_slow_is_told_so_whatever_the_handler_answers() {
    for staged in [false, true] {
        let request = with_length("/all", FIFTY);
        let mut events = bytes(&[&request[..80]]);
        events.push(Event::Lost(Lost::Late));
        let (text, want) = play(events, staged);
        assert_eq!((statuses(&text), want), (vec![408], Want::Linger), "{text}");
        assert_eq!(LAST.take(), "failed TimedOut");
    }
}

#[test]
fn only_waiting_counts_and_each_buffer_has_its_time() {
    let head = "POST /next HTTP/1.1\r\nHost: h\r\nContent-Length: 190\r\n\r\n";
    let second = Duration::from_secs(1);
    let mut events = bytes(&[head.as_bytes()]);
    events.push(Event::After(6 * second, vec![b'a'; 50]));
    events.push(Event::After(3 * second, vec![b'b'; 49]));
    events.push(Event::After(second / 2, vec![b'c'; 1]));
    events.push(Event::After(second, vec![b'd'; 90]));
    let (text, want) = play(events, false);
    assert!(text.contains("read 190 aaa"), "{text}");
    assert_eq!(want, Want::Read);
    let given = GIVEN.take();
    assert_eq!(given, [10, 4, 1, 10].map(Duration::from_secs));
}

#[test]
fn who_breaks_off_is_answered_nothing() {
    for (lost, kind, counted) in [
        (None, ErrorKind::UnexpectedEof, Lost::Closed),
        (Some(Lost::Broken), ErrorKind::ConnectionReset, Lost::Broken),
        (Some(Lost::Cut), ErrorKind::ConnectionAborted, Lost::Cut),
    ] {
        for request in [with_length("/all", FIFTY), in_chunks("/all", &[FIFTY])] {
            let mut events = bytes(&[&request[..request.len() - 8]]);
            events.extend(lost.map(Event::Lost));
            let (text, want) = play(events, false);
            assert_eq!((text.as_str(), want), ("", Want::Close));
            assert_eq!(LAST.take(), format!("failed {kind:?}"));
            assert_eq!(COUNTED.get().2, Some(counted));
        }
    }
}

#[test]
fn a_body_that_is_held_back_is_asked_for_when_it_is_read() {
    let head = |path| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 50\r\n\r\n"
        )
    };
    check(
        bytes(&[head("/all").as_bytes(), FIFTY.as_bytes(), NEXT]),
        false,
        &[200, 200],
        "read 50",
    );
    assert_eq!(SENT.take(), b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(COUNTED.get(), (50, 25, None));
    let (text, want) = play(bytes(&[head("/none").as_bytes()]), false);
    assert_eq!((statuses(&text), want), (vec![200], Want::Linger));
    assert!(text.contains("Connection: close\r\n"), "{text}");
    assert_eq!(SENT.take(), b"", "it is not asked for in vain");
    let both = head("/all") + FIFTY;
    check(
        bytes(&[both.as_bytes(), NEXT]),
        false,
        &[200, 200],
        "read 50",
    );
    assert_eq!(SENT.take(), b"", "it was not held back");
}

#[test]
fn after_the_call_nothing_is_received() {
    let (text, _) = play(bytes(&[&with_length("/keep", FIFTY)[..80]]), false);
    assert_eq!(statuses(&text), [200]);
    let mut kept = KEPT.take().unwrap();
    for error in [kept.next(&mut Vec::new()), kept.read(&mut [0; 9])] {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::NotConnected);
    }
}

#[test]
fn the_length_that_is_left_is_known() {
    let (text, _) = play(bytes(&[&with_length("/keep", FIFTY)[..80]]), false);
    assert_eq!(statuses(&text), [200]);
    let left = KEPT.take().unwrap().left();
    assert!(left.is_some_and(|left| left < 50), "{left:?}");
}

#[test]
fn where_calls_must_not_wait_it_is_refused() {
    for request in [with_length("/all", FIFTY), in_chunks("/all", &[FIFTY])] {
        let mut peer = Peer::new(Protocol::Http, small());
        peer.service = &Receives;
        let want = peer.send(&request);
        assert_eq!((statuses(&peer.text()), want), (vec![413], Want::Linger));
    }
}

#[test]
fn in_a_drain_the_reply_is_the_last() {
    let mut peer = peer(false);
    EVENTS.set(bytes(&[&FIFTY.as_bytes()[20..]]).into());
    let request = with_length("/all", FIFTY);
    *peer.draining.get_mut() = 1;
    let want = peer.send(&request[..request.len() - 30]);
    assert!(peer.text().contains("Connection: close\r\n"));
    assert!(peer.text().ends_with(&format!("read 50 {FIFTY}")));
    assert_eq!(want, Want::Close);
}
