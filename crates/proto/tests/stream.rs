//! Replies whose length is not known: framing, pauses, failures, the drain.

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Peer, exchange};
use proto::{Limits, Protocol, Session, Want};

const DATE: &str = "Server: turnstile\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

fn get(path: &str, rest: &str) -> Vec<u8> {
    format!("GET {path} {rest}\r\n\r\n").into_bytes()
}

#[test]
fn a_client_of_1_1_gets_chunks_and_the_next_reply() {
    let input = [
        get("/stream", "HTTP/1.1\r\nHost: h"),
        get("/nothing", "HTTP/1.1\r\nHost: h"),
    ]
    .concat();
    let (text, want) = exchange(Protocol::Http, &Limits::default(), &[&input]);
    let expected = format!(
        "HTTP/1.1 200 OK\r\n{DATE}Transfer-Encoding: chunked\r\n\r\n\
         5\r\nfirst\r\n7\r\n, third\r\n6\r\n, last\r\n0\r\n\r\nHTTP/1.1 204 No Content\r\n{DATE}\r\n"
    );
    assert_eq!((text, want), (expected, Want::Read));
}

#[test]
fn for_a_client_of_1_0_the_connection_ends_the_body() {
    let (text, want) = exchange(
        Protocol::Http,
        &Limits::default(),
        &[&get("/stream", "HTTP/1.0\r\nConnection: keep-alive")],
    );
    let expected = format!("HTTP/1.1 200 OK\r\n{DATE}Connection: close\r\n\r\nfirst, third, last");
    assert_eq!((text, want), (expected, Want::Close));
}

#[test]
fn a_stream_of_announced_length_has_that_length_or_is_cut() {
    for (path, bytes, body, then) in [
        ("/sized", 9, "four+five", Want::Read),
        ("/sized-short", 10, "four+five", Want::Close),
        ("/sized-long", 8, "four+fiv", Want::Close),
    ] {
        let input = get(path, "HTTP/1.1\r\nHost: h");
        let (text, want) = exchange(Protocol::Http, &Limits::default(), &[&input]);
        let expected = format!("HTTP/1.1 200 OK\r\n{DATE}Content-Length: {bytes}\r\n\r\n{body}");
        assert_eq!((text, want), (expected, then), "{path}");
    }
}

#[test]
fn head_has_the_fields_and_no_body() {
    let input = b"HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n";
    let (text, want) = exchange(Protocol::Http, &Limits::default(), &[input]);
    let expected = format!("HTTP/1.1 200 OK\r\n{DATE}Transfer-Encoding: chunked\r\n\r\n");
    assert_eq!((text, want), (expected, Want::Read));
}

#[test]
fn a_source_is_asked_when_it_wants_to_be() {
    let mut peer = Peer::new(Protocol::Http, Limits::default());
    let left = |peer: &Peer| {
        let left = peer.session.deadline().duration_since(peer.now);
        (peer.session.want(), left.as_millis())
    };
    let sent = |peer: &mut Peer| {
        peer.turn(|session, turn| {
            let output = session.output(turn.scratch).to_vec();
            session.sent(output.len(), turn);
            String::from_utf8_lossy(&output).into_owned()
        })
    };
    let input = get("/stream", "HTTP/1.1\r\nHost: h");
    peer.turn(|session, turn| session.receive(&input, turn));
    assert!(sent(&mut peer).ends_with("5\r\nfirst\r\n"));
    assert_eq!(left(&peer), (Want::Wait, 70));
    peer.now += Duration::from_millis(70);
    peer.turn(Session::expire);
    assert_eq!(
        left(&peer),
        (Want::Wait, 1),
        "an empty piece is no reason to spin"
    );
    peer.now += Duration::from_millis(1);
    peer.turn(Session::expire);
    assert_eq!(sent(&mut peer), "7\r\n, third\r\n");
    assert_eq!(sent(&mut peer), "6\r\n, last\r\n0\r\n\r\n");
    assert_eq!(left(&peer), (Want::Read, 10_000));
}

/// The client takes a few bytes at a time, and meanwhile the source is not asked.
#[test]
fn a_slow_client_gets_the_same_bytes() {
    let input = [
        get("/stream", "HTTP/1.1\r\nHost: h"),
        get("/many", "HTTP/1.1\r\nHost: h"),
        get("/stream", "HTTP/1.0"),
    ]
    .concat();
    let (whole, _) = exchange(Protocol::Http, &Limits::default(), &[&input]);
    for window in [1, 7, 1_000] {
        let mut peer = Peer::new(Protocol::Http, Limits::default());
        peer.window = window;
        peer.send(&input);
        assert_eq!(peer.text(), whole, "{window} bytes at a time");
    }
}

#[test]
fn what_fails_is_not_completed() {
    for (path, sent) in [("/stream-fails", "4\r\nhalf\r\n"), ("/stream-panics", "")] {
        let mut peer = Peer::new(Protocol::Http, Limits::default());
        let want = peer.send(&get(path, "HTTP/1.1\r\nHost: h"));
        assert_eq!(want, Want::Close);
        assert!(peer.text().ends_with(&format!("\r\n\r\n{sent}")), "{path}");
        assert!(!peer.session.is_aborted(), "the missing chunk says it");

        let mut peer = Peer::new(Protocol::Http, Limits::default());
        assert_eq!(peer.send(&get(path, "HTTP/1.0")), Want::Close);
        assert!(
            peer.session.is_aborted(),
            "{path}: a FIN would end the body"
        );
    }
}

#[test]
fn an_endless_reply_ends_in_a_drain_and_its_connection_with_it() {
    let mut peer = Peer::new(Protocol::Http, Limits::default());
    let input = get("/endless", "HTTP/1.1\r\nHost: h");
    peer.turn(|session, turn| session.receive(&input, turn));
    for _ in 0..20 {
        peer.turn(|session, turn| {
            let bytes = session.output(turn.scratch).len();
            session.sent(bytes, turn);
        });
        assert_eq!(peer.session.want(), Want::Wait);
        let left = peer.session.deadline() - peer.now;
        assert_eq!(left.as_millis(), 1_000, "an hour asked for, a second given");
        peer.now = peer.session.deadline();
        peer.turn(Session::expire);
    }
    peer.draining.store(1, Ordering::SeqCst);
    assert_eq!(peer.advance(), Want::Close);
    assert!(peer.text().ends_with("\r\n0\r\n\r\n"));
}

#[test]
fn a_half_closed_client_gets_the_whole_reply() {
    let mut peer = Peer::new(Protocol::Http, Limits::default());
    let input = get("/stream", "HTTP/1.1\r\nHost: h");
    peer.turn(|session, turn| {
        session.receive(&input, turn);
        session.receive_fin(turn);
    });
    assert_eq!(peer.advance(), Want::Close);
    assert!(peer.text().ends_with("0\r\n\r\n"));
}

#[test]
fn a_delayed_reply_may_be_streamed() {
    let input = [
        get("/wait-stream", "HTTP/1.1\r\nHost: h"),
        get("/nothing", "HTTP/1.1\r\nHost: h"),
    ]
    .concat();
    let (text, want) = exchange(Protocol::Http, &Limits::default(), &[&input]);
    assert!(
        text.contains("\r\n6\r\nwaited\r\n0\r\n\r\nHTTP/1.1 204 "),
        "{text}"
    );
    assert_eq!(want, Want::Read);
}
