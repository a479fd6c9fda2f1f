//! A session that has a service begin where it receives answers as one that calls it, however the input is cut.

mod common;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use common::{Peer, statuses};
use proto::{
    AsyncReply, AsyncService, Fill, Limits, Method, Pending, Protocol, Request, Response, Service,
    Session, Want, pending,
};

/// Says what it was asked; the same by a call and by awaiting.
struct Told;

fn told(request: &Request<'_>) -> (String, bool) {
    assert_ne!(request.path, "/panic", "asked to");
    let length = request.body.len();
    let text = format!("{} {} {length}\n", request.method.name(), request.path);
    (text, request.path == "/late-panic")
}

fn answer((text, panics): (String, bool), response: &mut Response<'_>) {
    assert!(!panics, "asked to");
    response.body(text.as_bytes());
}

impl Service for Told {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        answer(told(request), response);
    }
}

impl AsyncService for Told {
    fn call(&self, request: &Request<'_>) -> Pending {
        let told = told(request);
        if request.method == Method::Get {
            return Box::pin(Twice(told, false));
        }
        let fill: Fill = Box::new(move |response| answer(told, response));
        pending(async move { fill })
    }
}

/// A reply that is there when it is asked a second time.
struct Twice((String, bool), bool);

impl AsyncReply for Twice {
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.1, true) {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn fill(self: Pin<&mut Self>, response: &mut Response<'_>) {
        answer(self.0.clone(), response);
    }
}

const CONVERSATIONS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /c HTTP/1.0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHEAD /c HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /panic HTTP/1.1\r\nHost: h\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: h\r\n\r\nPOST /late-panic HTTP/1.1\r\nHost: h\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
];

/// The replies to `pieces`, and the last want.
fn exchange(begins: bool, pieces: &[&[u8]]) -> (String, Want) {
    let mut peer = Peer::with(Limits::default(), |turn| match begins {
        true => Session::staged(Protocol::Http, turn),
        false => Session::new(Protocol::Http, turn),
    });
    peer.service = &Told;
    if begins {
        peer.scratch.begin_with(Arc::new(Told));
    }
    let mut want = Want::Read;
    for piece in pieces {
        if peer.session.want() == Want::Read {
            peer.turn(|session, turn| session.receive(piece, turn));
        }
        want = advance(&mut peer);
    }
    (peer.text(), want)
}

/// Awaits what was begun, as a driver does.
fn advance(peer: &mut Peer) -> Want {
    while peer.session.want() == Want::Compute {
        peer.turn(|session, turn| {
            let begun = session.take_begun();
            // What was kept, since its body came in chunks, is begun by the driver.
            let begun = begun
                .or_else(|| session.request(turn, |request| AsyncService::call(&Told, request)));
            let mut begun = begun.expect("a request");
            let mut context = Context::from_waker(Waker::noop());
            while begun.as_mut().poll(&mut context).is_pending() {}
            session.answer(Some(begun), turn);
        });
        send(peer);
    }
    send(peer);
    match peer.session.want() {
        Want::Compute => advance(peer),
        want => want,
    }
}

fn send(peer: &mut Peer) {
    while peer.session.want() == Want::Write {
        let sent = peer.turn(|session, turn| {
            let output = session.output(turn.scratch).to_vec();
            session.sent(output.len(), turn);
            output
        });
        peer.received.extend(sent);
    }
}

#[test]
fn what_is_begun_is_answered_as_what_is_called() {
    for conversation in CONVERSATIONS {
        let bytes = conversation.as_bytes();
        let called = exchange(false, &[bytes]);
        assert!(!statuses(&called.0).is_empty());
        for at in 0..bytes.len() {
            let begun = exchange(true, &[&bytes[..at], &bytes[at..]]);
            assert_eq!(begun.0, called.0, "{conversation:?} cut at {at}");
        }
    }
}

#[test]
fn a_drain_and_a_panic_while_it_is_awaited() {
    for panics in [false, true] {
        let mut peer = Peer::with(Limits::default(), |turn| {
            Session::staged(Protocol::Http, turn)
        });
        peer.scratch.begin_with(Arc::new(Told));
        peer.turn(|session, turn| session.receive(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", turn));
        assert_eq!(peer.session.want(), Want::Compute);
        let begun = peer.session.take_begun();
        assert!(begun.is_some() && peer.session.take_begun().is_none());
        peer.draining = 1.into();
        peer.turn(|session, turn| session.answer(begun.filter(|_| !panics), turn));
        send(&mut peer);
        let status = if panics { 500 } else { 200 };
        assert_eq!(statuses(&peer.text()), [status]);
        assert!(peer.text().contains("Connection: close"));
        assert_eq!(peer.scratch.panicked(), u64::from(panics));
        assert_eq!(peer.scratch.served(), 1);
    }
}

#[test]
fn nothing_is_begun_while_requests_are_refused() {
    let mut peer = Peer::with(Limits::default(), |turn| {
        Session::staged(Protocol::Http, turn)
    });
    peer.scratch.begin_with(Arc::new(Told));
    peer.scratch.set_begins(false);
    peer.turn(|session, turn| session.receive(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", turn));
    assert_eq!(peer.session.want(), Want::Compute);
    assert!(peer.session.take_begun().is_none());
}
