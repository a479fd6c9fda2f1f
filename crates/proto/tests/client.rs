//! What a driver tells a session of its client, and what a response has the session keep.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use proto::{
    Limits, Peer, Place, Protocol, Request, Response, Scratch, Service, Session, Turn, Want,
};

const PEER: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n";

/// Counts what was dropped.
#[derive(Debug)]
struct CountedDrop(Arc<AtomicUsize>);

impl Drop for CountedDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Notes who asked and when that came, and delays its response.
#[derive(Default)]
struct Noting {
    seen: Mutex<Vec<(Option<IpAddr>, Instant)>>,
    dropped: Arc<AtomicUsize>,
}

impl Service for Noting {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        self.seen
            .lock()
            .unwrap()
            .push((request.peer().ip(), request.arrived()));
        assert!(!response.is_delayed());
        response.wait(Duration::from_secs(1));
        assert!(response.is_delayed());
        response.hold(Box::new(CountedDrop(Arc::clone(&self.dropped))));
    }
}

/// A session and its worker.
struct Driver {
    service: Noting,
    scratch: Scratch,
    limits: Limits,
    now: Instant,
}

impl Driver {
    fn new() -> Driver {
        Driver {
            service: Noting::default(),
            scratch: Scratch::new(|| SystemTime::UNIX_EPOCH),
            limits: Limits::default(),
            now: Instant::now(),
        }
    }

    fn turn<R>(&mut self, act: impl FnOnce(&mut Turn<'_>) -> R) -> R {
        act(&mut Turn {
            now: self.now,
            limits: &self.limits,
            service: &self.service,
            scratch: &mut self.scratch,
            place: &Place::default(),
            draining: &AtomicU64::new(0),
        })
    }

    fn dropped(&self) -> usize {
        self.service.dropped.load(Ordering::SeqCst)
    }
}

#[test]
fn what_is_held_is_kept_until_the_delay_is_over() {
    for staged in [false, true] {
        let mut driver = Driver::new();
        let mut session = driver.turn(|turn| match staged {
            true => Session::staged(Protocol::Http, turn),
            false => Session::new(Protocol::Http, turn),
        });
        driver.turn(|turn| {
            session.receive(REQUEST, turn);
            session.compute(turn);
        });
        assert_eq!((session.want(), driver.dropped()), (Want::Wait, 0));
        driver.now = session.deadline();
        driver.turn(|turn| session.expire(turn));
        assert_eq!((session.want(), driver.dropped()), (Want::Write, 1));
    }
}

#[test]
fn a_connection_that_ends_gives_back_what_it_holds() {
    let mut driver = Driver::new();
    let mut session = driver.turn(|turn| Session::new(Protocol::Http, turn));
    driver.turn(|turn| session.receive(REQUEST, turn));
    assert_eq!(driver.dropped(), 0);
    drop(session);
    assert_eq!(driver.dropped(), 1);
}

#[test]
fn a_request_has_come_when_its_bytes_had() {
    let mut driver = Driver::new();
    let began = driver.now;
    driver.now += Duration::from_secs(5);
    let mut session = driver.turn(|turn| Session::new(Protocol::Http, turn));
    // Nothing is known: it came when it was received.
    driver.turn(|turn| session.receive(REQUEST, turn));
    let mut known = driver.turn(|turn| Session::staged(Protocol::Http, turn));
    known.set_look_up(0, |_| Peer::Ip(SocketAddr::new(PEER, 80)));
    known.set_arrival(began);
    driver.turn(|turn| known.receive(REQUEST, turn));
    driver.now += Duration::from_secs(5);
    driver.turn(|turn| known.compute(turn));
    // A moment after the receive is a mistake of clocks.
    let mut later = driver.turn(|turn| Session::new(Protocol::Http, turn));
    later.set_arrival(driver.now + Duration::from_secs(1));
    driver.turn(|turn| later.receive(REQUEST, turn));
    let seen = driver.service.seen.lock().unwrap();
    let five = Duration::from_secs(5);
    assert_eq!(
        *seen,
        [
            (None, began + five),
            (Some(PEER), began),
            (None, began + five + five)
        ]
    );
}

#[test]
fn a_connection_that_is_refused_ignores_what_comes() {
    let mut driver = Driver::new();
    let mut session = driver.turn(|turn| Session::new(Protocol::Http, turn));
    driver.turn(|turn| session.refuse_all(turn));
    assert_eq!(session.want(), Want::Close);
    driver.turn(|turn| session.receive(REQUEST, turn));
    assert_eq!(session.want(), Want::Close);
    assert!(driver.service.seen.lock().unwrap().is_empty());
}
