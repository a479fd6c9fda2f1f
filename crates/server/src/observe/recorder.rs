//! What a worker writes down of each exchange.

use std::any::Any;
use std::sync::atomic::Ordering;
use std::time::Instant;

use os::signal::monotonic_ns;
use proto::{Exchange, Observer};

use super::ring::Record;
use super::{Figures, Observed, Ring, Waiting};
use crate::board::add;

/// The observer of one worker.
#[derive(Debug)]
pub(crate) struct Recorder {
    observed: &'static Observed,
    figures: &'static Figures,
    ring: Option<Ring>,
    /// One moment on two clocks.
    anchor: (Instant, u64),
    /// When the last call ended.
    ended: Instant,
    began: Option<Instant>,
    /// Method and target of the record that is being made.
    target: Vec<u8>,
}

impl Recorder {
    pub(crate) fn new(observed: &'static Observed, number: usize) -> Recorder {
        let now = Instant::now();
        // Who had the number before may have ended in a call.
        let figures = &observed.figures[number];
        figures.forget_call();
        observed.see(number);
        Recorder {
            observed,
            figures,
            ring: observed.ring(number),
            anchor: (now, monotonic_ns()),
            ended: now,
            began: None,
            target: Vec::new(),
        }
    }

    fn shared_ns(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.anchor.0);
        self.anchor.1 + since.as_nanos() as u64
    }

    fn log(&mut self, exchange: &Exchange<'_>, now: Instant, took_ns: u64) {
        let Some(ring) = self.ring else {
            return;
        };
        let field = |name| exchange.request.and_then(|request| request.field(name));
        self.target.clear();
        if let Some(request) = exchange.request {
            self.target.extend_from_slice(request.path.as_bytes());
            if let Some(query) = request.query {
                self.target.push(b'?');
                self.target.extend_from_slice(query.as_bytes());
            }
        }
        let method = exchange.request.map(|request| request.method);
        let is_crowded = ring.put(&Record {
            at_ns: self.shared_ns(now),
            took_ns,
            body_bytes: exchange.body_bytes,
            status: exchange.status,
            minor_version: exchange.request.map(|request| request.minor_version),
            peer: exchange.peer,
            texts: [
                method.map_or(b"", |method| method.name().as_bytes()),
                &self.target,
                field("referer").unwrap_or_default(),
                field("user-agent").unwrap_or_default(),
            ],
            cut: 0,
        });
        if is_crowded && self.observed.shared.sleeps.swap(false, Ordering::SeqCst) {
            self.observed.waker.wake();
        }
    }
}

impl Observer for Recorder {
    fn begin(&mut self, received: Instant, now: Instant) {
        if received < now {
            self.figures.queued.record(now - received);
        }
        // A loop reads the clock once per wake-up; its later calls begin when the one before ended.
        let began = now.max(self.ended);
        self.began = Some(began);
        let began_ns = self.shared_ns(began).max(1);
        self.figures
            .call_began_ns
            .store(began_ns, Ordering::Relaxed);
    }

    fn answered(&mut self, exchange: &Exchange<'_>) {
        let now = Instant::now();
        if let Some(began) = self.began.take() {
            let held_ns = now.saturating_duration_since(began).as_nanos() as u64;
            self.figures.call_began_ns.store(0, Ordering::Relaxed);
            add(&self.figures.held_ns, held_ns);
            if held_ns > self.figures.held_ns_max.load(Ordering::Relaxed) {
                self.figures.held_ns_max.store(held_ns, Ordering::Relaxed);
            }
        }
        self.ended = now;
        self.figures.statuses.count(exchange.status);
        let took = now.saturating_duration_since(exchange.received) + exchange.wait;
        self.figures.responses.record(took);
        self.log(exchange, now, took.as_nanos() as u64);
    }

    fn delayed(&mut self) -> Option<Box<dyn Any + Send + Sync>> {
        Some(Box::new(Waiting::begin(&self.figures.waiting)))
    }
}
