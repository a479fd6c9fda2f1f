//! What a worker does once before its first request.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use crate::{Limits, Place, Protocol, Request, Response, Scratch, Session, Turn};

impl Scratch {
    /// Serves one request of its own, without a connection. After that, buffers are allocated, the date
    /// is rendered, and memchr has detected the features of the CPU. The service is not called, and
    /// nothing is counted.
    ///
    /// Does nothing while the rendered date is current, since a forked process has to copy each page
    /// that it writes.
    pub fn warm_up(&mut self, limits: &Limits, now: Instant) {
        if self.buffers.date.is_current(now) {
            return;
        }
        let observer = self.observer.take();
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
        self.buffers.output.clear();
        self.observer = observer;
        self.served = self.served.saturating_sub(1);
    }
}
