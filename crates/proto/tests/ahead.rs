//! Bytes that are received before the session wants to read. A kernel that completes receives delivers
//! bytes and FIN while the session writes, waits or computes.

mod common;

use common::{Peer, statuses};
use proto::{Limits, Protocol, Session, Want};

const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n";

fn receive(peer: &mut Peer, bytes: &[u8]) {
    peer.turn(|session, turn| session.receive(bytes, turn));
}

#[test]
fn a_request_received_during_a_wait_is_served_after_it() {
    let mut peer = Peer::new(Protocol::Http, Limits::default());
    receive(&mut peer, b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(peer.session.want(), Want::Wait);
    receive(&mut peer, &NEXT[..7]);
    receive(&mut peer, &NEXT[7..]);
    assert_eq!(peer.advance(), Want::Read);
    assert!(peer.text().find("waited").unwrap() < peer.text().find("Get /next").unwrap());
}

#[test]
fn a_request_received_during_a_write_does_not_change_the_output() {
    let mut peer = Peer::new(Protocol::Http, Limits::default());
    receive(&mut peer, b"GET /long HTTP/1.1\r\nHost: h\r\n\r\n");
    let kept = peer.turn(|session, turn| session.keep_output(turn.scratch).to_vec());
    receive(&mut peer, NEXT);
    let after = peer.turn(|session, turn| session.keep_output(turn.scratch).to_vec());
    assert_eq!(kept, after, "the kernel may be sending it");
    assert_eq!(peer.advance(), Want::Read);
    assert_eq!(statuses(&peer.text()), [200, 200]);
}

#[test]
fn a_fin_before_the_reply_does_not_prevent_the_reply() {
    for request in [
        &b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"[..],
        b"GET /long HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        let mut peer = Peer::new(Protocol::Http, Limits::default());
        receive(&mut peer, &[request, NEXT].concat());
        peer.turn(Session::receive_fin);
        assert_eq!(peer.advance(), Want::Close);
        assert_eq!(statuses(&peer.text()), [200, 200]);
    }
}

#[test]
fn received_bytes_that_are_kept_have_a_bound() {
    let limits = Limits::default();
    let mut peer = Peer::new(Protocol::Http, limits.clone());
    receive(&mut peer, b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(!peer.session.is_ahead(&limits));
    receive(&mut peer, &vec![b'x'; limits.input_bytes]);
    assert!(peer.session.is_ahead(&limits));
}

#[test]
fn stevens_lines_are_staged_too() {
    let mut peer = Peer::with(Limits::default(), |turn| {
        Session::staged(Protocol::Unp, turn)
    });
    receive(&mut peer, b"5\n7\n");
    assert_eq!(peer.session.want(), Want::Compute);
    assert_eq!(peer.advance(), Want::Read);
    assert_eq!(peer.received.len(), 12);
}
