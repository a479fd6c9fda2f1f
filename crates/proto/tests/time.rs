//! Deadlines. They are absolute: progress within a phase does not extend them.

mod common;

use std::time::Duration;

use common::{Peer, statuses};
use proto::{Limits, Protocol, Session, Want};

fn peer() -> Peer {
    Peer::new(Protocol::Http, Limits::default())
}

impl Peer {
    fn after_ms(&mut self, ms: u64) -> &mut Peer {
        self.now += Duration::from_millis(ms);
        self
    }

    fn left_ms(&self) -> u128 {
        self.session
            .deadline()
            .saturating_duration_since(self.now)
            .as_millis()
    }

    fn expire(&mut self) -> Want {
        self.now = self.session.deadline();
        self.turn(Session::expire);
        self.advance()
    }
}

#[test]
fn a_connection_without_a_request_is_closed_without_a_reply() {
    let mut peer = peer();
    assert_eq!(peer.left_ms(), 5_000);
    assert_eq!((peer.expire(), peer.text().as_str()), (Want::Close, ""));
}

#[test]
fn a_slow_sender_cannot_extend_the_deadline_of_a_head() {
    let mut peer = peer();
    peer.after_ms(4_000).send(b"GET / HT");
    assert_eq!(peer.left_ms(), 5_000);
    peer.after_ms(4_000).send(b"TP/1.1\r\nHost: h\r\n");
    assert_eq!(peer.left_ms(), 1_000);
    assert_eq!(peer.expire(), Want::Linger);
    assert_eq!(statuses(&peer.text()), [408]);
    assert_eq!(
        peer.left_ms(),
        1_000,
        "the peer has a second to read the reply"
    );
}

#[test]
fn a_body_has_its_own_deadline() {
    let mut peer = peer();
    peer.after_ms(1_000)
        .send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    assert_eq!(peer.left_ms(), 10_000);
    peer.after_ms(9_000).send(b"c");
    assert_eq!(peer.left_ms(), 1_000);
    assert_eq!(peer.expire(), Want::Linger);
    assert_eq!(statuses(&peer.text()), [408]);
}

#[test]
fn the_idle_deadline_runs_from_the_last_reply() {
    let mut peer = peer();
    peer.after_ms(3_000)
        .send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((peer.left_ms(), peer.session.is_idle()), (10_000, true));
    peer.received.clear();
    assert_eq!((peer.expire(), peer.text().as_str()), (Want::Close, ""));
}

#[test]
fn a_wait_ends_at_its_deadline_and_delays_only_its_own_reply() {
    let mut peer = peer();
    peer.turn(|session, turn| {
        session.receive(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /wait HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n", turn);
        let output = session.output(turn.scratch).len();
        assert!(session.output(turn.scratch).ends_with(b"[]"));
        session.sent(output, turn);
    });
    assert_eq!((peer.session.want(), peer.left_ms()), (Want::Wait, 50));
    peer.advance();
    assert!(peer.text().contains("waited") && peer.text().contains("Get /b"));
}

#[test]
fn a_slow_reader_cannot_extend_the_deadline_of_a_reply() {
    let mut peer = peer();
    peer.turn(|session, turn| {
        session.receive(b"GET /long HTTP/1.1\r\nHost: h\r\n\r\n", turn);
        session.keep_output(turn.scratch);
        session.sent(1, turn);
    });
    assert_eq!((peer.session.want(), peer.left_ms()), (Want::Write, 10_000));
    peer.after_ms(6_000);
    peer.turn(|session, turn| {
        session.sent(10, turn);
        assert_eq!(
            session.deadline().duration_since(turn.now).as_millis(),
            4_000,
            "a few bytes do not extend it, a whole buffer does"
        );
        session.sent(session.output(turn.scratch).len(), turn);
        session.keep_output(turn.scratch);
    });
    assert_eq!(peer.left_ms(), 10_000);
    assert_eq!(peer.expire(), Want::Close);
}
