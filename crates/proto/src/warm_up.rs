//! What a worker does once before its first request.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use crate::{Limits, Place, Protocol, Request, Response, Scratch, Session, Turn};

impl Scratch {
    /// Puts a request of its own through a session to nobody: buffers are allocated, the date is
    /// rendered, the CPU was asked what it can. No service is called, nothing is counted. Does
    /// nothing while that date is good: what a process writes after a fork, it copies.
    pub fn warm_up(&mut self, limits: &Limits, now: Instant) {
        if self.date.is_good(now) {
            return;
        }
        let nothing = |_: &Request<'_>, _: &mut Response<'_>| {};
        let mut turn = Turn {
            now,
            limits,
            service: &nothing,
            scratch: self,
            place: &Place::default(),
            draining: &AtomicU64::new(0),
        };
        let mut session = Session::new(Protocol::Http, &turn);
        session.receive(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", &mut turn);
        self.output.clear();
        self.served = self.served.saturating_sub(1);
    }
}
