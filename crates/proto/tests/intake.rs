//! Request bodies beyond the limit of memory.

#[path = "common/bodies.rs"]
mod bodies;
mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bodies::{FIFTY, in_chunks, with_length};
use common::{Peer, exchange, statuses};
use proto::{Limits, Protocol, Session, Want};

/// Bodies of more than 40 bytes are large.
fn small() -> Limits {
    Limits {
        body_bytes_max: 40,
        input_bytes: 100,
        ..Limits::default()
    }
}

/// (request, status, a part of the reply): each is followed by another request, which must be answered
/// unless the first was refused.
fn cases() -> Vec<(Vec<u8>, u16, &'static str)> {
    vec![
        (with_length("/memory", FIFTY), 200, "[0123456789abc"),
        (
            with_length("/pieces", FIFTY),
            200,
            "sunk 50 bytes: 0123456789abc",
        ),
        (with_length("/refuse", FIFTY), 413, ""),
        (with_length("/memory", &FIFTY.repeat(3)), 413, ""),
        (with_length("/pieces", &FIFTY.repeat(5)), 413, ""),
        (with_length("/pieces", "few"), 200, "[few]"),
        (
            in_chunks("/memory", &["abc", FIFTY]),
            200,
            "[abc0123456789abc",
        ),
        (
            in_chunks("/pieces", &["abc", FIFTY]),
            200,
            "sunk 53 bytes: abc0123456789abc",
        ),
        (in_chunks("/pieces", &[FIFTY]), 200, "sunk 50 bytes: 0123"),
        (
            with_length("/sink-waits", FIFTY),
            200,
            "sunk 50 bytes: 0123456789abc",
        ),
        (
            in_chunks("/sink-waits", &["abc", FIFTY]),
            200,
            "sunk 53 bytes: abc0123456789abc",
        ),
        (in_chunks("/refuse", &["abc", FIFTY]), 413, ""),
        (in_chunks("/memory", &[FIFTY, FIFTY, FIFTY]), 413, ""),
        (
            in_chunks("/pieces", &[FIFTY, FIFTY, FIFTY, FIFTY, FIFTY]),
            413,
            "",
        ),
        (with_length("/sink-full", FIFTY), 507, ""),
        (in_chunks("/sink-fails", &["abc", FIFTY]), 500, ""),
        (with_length("/sink-panics", FIFTY), 500, ""),
        (with_length("/intake-panics", FIFTY), 500, ""),
    ]
}

#[test]
fn the_service_says_what_becomes_of_it() {
    for (request, status, part) in cases() {
        let next = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        let input = [&request[..], next].concat();
        let (text, want) = exchange(Protocol::Http, &small(), &[&input]);
        let what = String::from_utf8_lossy(&request);
        assert!(text.contains(part), "{what}: {text}");
        match status {
            200 => assert_eq!(
                (statuses(&text), want),
                (vec![200, 200], Want::Read),
                "{what}"
            ),
            _ => assert_eq!(
                (statuses(&text), want),
                (vec![status], Want::Linger),
                "{what}"
            ),
        }
    }
}

#[test]
fn the_input_may_be_split_anywhere() {
    for (request, ..) in cases() {
        let input = [&request[..], b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        let (whole, _) = exchange(Protocol::Http, &small(), &[&input]);
        for at in 1..input.len() {
            let (cut, _) = exchange(Protocol::Http, &small(), &[&input[..at], &input[at..]]);
            assert_eq!(whole, cut, "{:?} at {at}", String::from_utf8_lossy(&input));
        }
        let bytes: Vec<_> = input.chunks(1).collect();
        let (cut, _) = exchange(Protocol::Http, &small(), &bytes);
        assert_eq!(whole, cut);
    }
}

#[test]
fn staged_sessions_take_it_too() {
    for (request, status, part) in cases() {
        let mut peer = Peer::with(small(), |turn| Session::staged(Protocol::Http, turn));
        peer.send(&request);
        assert_eq!(statuses(&peer.text()), [status]);
        assert!(peer.text().contains(part));
    }
}

#[test]
fn the_client_is_asked_for_it_or_refused_at_once() {
    for (path, status) in [("/pieces", 100), ("/memory", 100), ("/refuse", 413)] {
        let mut peer = Peer::new(Protocol::Http, small());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 50\r\n\r\n"
        );
        peer.send(head.as_bytes());
        assert_eq!(statuses(&peer.text()), [status], "{path}");
    }
}

#[test]
fn a_large_body_has_as_long_as_it_moves() {
    let mut peer = Peer::new(Protocol::Http, small());
    let head = "POST /pieces HTTP/1.1\r\nHost: h\r\nContent-Length: 200\r\n\r\n";
    peer.send(head.as_bytes());
    let left = |peer: &Peer| (peer.session.deadline() - peer.now).as_millis();
    assert_eq!(left(&peer), 10_000);
    peer.now += Duration::from_secs(6);
    peer.send(&[b'a'; 99]);
    assert_eq!(left(&peer), 4_000, "less than a buffer in six seconds");
    peer.send(b"b");
    assert_eq!(left(&peer), 10_000);
    peer.now = peer.session.deadline();
    peer.turn(Session::expire);
    assert_eq!(peer.advance(), Want::Linger);
    assert_eq!(
        statuses(&peer.text()),
        [408],
        "and the service was not called"
    );
}

#[test]
fn a_body_that_is_broken_off_never_reaches_the_service() {
    let mut peer = Peer::new(Protocol::Http, small());
    peer.send(&with_length("/pieces", FIFTY)[..80]);
    peer.turn(Session::receive_fin);
    assert_eq!((peer.advance(), peer.text().as_str()), (Want::Close, ""));
}

#[test]
fn while_a_sink_is_full_nothing_is_read_and_it_is_asked_again() {
    let mut peer = Peer::new(Protocol::Http, small());
    let head = "POST /sink-waits HTTP/1.1\r\nHost: h\r\nContent-Length: 90\r\n\r\n";
    peer.send(head.as_bytes());
    peer.turn(|session, turn| session.receive(&[b'x'; 40], turn));
    let mut pauses = Vec::new();
    while peer.session.want() == Want::Wait {
        pauses.push((peer.session.deadline() - peer.now).as_millis());
        peer.now = peer.session.deadline();
        peer.turn(Session::expire);
    }
    assert_eq!(pauses, [1, 2, 4]);
    // What comes while it is full is kept, and the FIN behind it does not end the request.
    peer.turn(|session, turn| session.receive(&[b'x'; 20], turn));
    assert_eq!(peer.session.want(), Want::Wait);
    peer.turn(|session, turn| session.receive(&[b'x'; 30], turn));
    peer.turn(Session::receive_fin);
    peer.advance();
    assert!(peer.text().contains("sunk 90 bytes"), "{}", peer.text());
    assert_eq!(peer.session.want(), Want::Close);
}

#[test]
fn a_sink_that_has_enough_is_answered_at_once_and_the_rest_is_dropped() {
    for staged in [false, true] {
        for request in [
            "POST /sink-enough HTTP/1.1\r\nHost: h\r\nContent-Length: 90\r\n\r\n".to_owned()
                + &"x".repeat(30),
            "POST /sink-enough HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1e\r\n"
                .to_owned()
                + &"x".repeat(30)
                + "\r\n14\r\n"
                + &"x".repeat(15),
        ] {
            let mut peer = Peer::with(small(), |turn| match staged {
                true => Session::staged(Protocol::Http, turn),
                false => Session::new(Protocol::Http, turn),
            });
            let want = peer.send(request.as_bytes());
            assert_eq!(statuses(&peer.text()), [200], "{request}");
            assert!(
                peer.text().contains("Connection: close\r\n"),
                "{}",
                peer.text()
            );
            assert!(peer.text().contains(" bytes: xxxx"), "{}", peer.text());
            // What the client still sends must not reset the connection under the reply.
            assert_eq!(want, Want::Linger);
        }
    }
}

#[test]
fn the_driver_is_asked_once_whose_connection_it_is_and_if_the_service_asks() {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let mut peer = Peer::new(Protocol::Http, small());
    peer.session.set_look_up(7, |socket| {
        assert_eq!(socket, 7);
        ASKED.fetch_add(1, Ordering::SeqCst);
        proto::Peer::Ip(([192, 0, 2, 1], 80).into())
    });
    peer.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(ASKED.load(Ordering::SeqCst), 0);
    for _ in 0..2 {
        peer.send(b"GET /who HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
        assert!(
            peer.text().ends_with("\r\n\r\n192.0.2.1:80"),
            "{}",
            peer.text()
        );
    }
    let mut nobodys = Peer::new(Protocol::Http, small());
    nobodys.send(b"GET /who HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(nobodys.text().ends_with("unknown"), "{}", nobodys.text());
}
