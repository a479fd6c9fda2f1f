//! The buffers of a worker, for the connection that it currently serves.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::buffers::Buffers;
use crate::{AsyncService, Observer, Transport};

/// Buffers belong to workers, not to connections. So ten thousand idle connections have no buffer, and
/// a request needs no allocation once its worker has served some.
#[derive(Debug)]
pub struct Scratch {
    /// What a response is made in.
    pub(crate) buffers: Buffers,
    pub(crate) served: u64,
    pub(crate) refused: u64,
    pub(crate) panicked: u64,
    pub(crate) observer: Option<Box<dyn Observer>>,
    spare: Vec<Vec<u8>>,
    spare_bytes: usize,
    awaits: Option<Awaits>,
    transport: Option<ReceivesBy>,
}

/// How bodies are received inside calls.
#[derive(Clone, Copy)]
struct ReceivesBy(&'static dyn Transport);

impl fmt::Debug for ReceivesBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceivesBy")
    }
}

/// What answers requests by awaiting.
struct Awaits {
    service: Arc<dyn AsyncService>,
    /// Not while requests are refused in its place.
    begins: bool,
}

impl fmt::Debug for Awaits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Awaits")
            .field("begins", &self.begins)
            .finish_non_exhaustive()
    }
}

impl Scratch {
    /// Buffers of a new worker. `wall` returns the time of day for `Date`; it is called once per second.
    pub fn new(wall: fn() -> SystemTime) -> Scratch {
        Scratch {
            buffers: Buffers::new(wall),
            served: 0,
            refused: 0,
            panicked: 0,
            observer: None,
            spare: Vec::new(),
            spare_bytes: 0,
            awaits: None,
            transport: None,
        }
    }

    /// Requests served with these buffers so far.
    pub fn served(&self) -> u64 {
        self.served
    }

    /// Requests that the session itself has refused so far: malformed, too large, too slow.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Requests on which the service has panicked so far. They count as refused, too.
    pub fn panicked(&self) -> u64 {
        self.panicked
    }

    /// Has every exchange reported to `observer` from now on.
    pub fn observe(&mut self, observer: Box<dyn Observer>) {
        self.observer = Some(observer);
    }

    /// Lets services receive large bodies inside their calls ([`Intake::Upload`](crate::Intake::Upload)), by
    /// this transport. All that call them may wait: this worker, or those that compute for it.
    pub fn receive_in_calls(&mut self, transport: &'static dyn Transport) {
        self.transport = Some(ReceivesBy(transport));
    }

    pub(crate) fn transport(&self) -> Option<&'static dyn Transport> {
        self.transport.map(|transport| transport.0)
    }

    /// Has [staged](crate::Session::staged) sessions begin to answer with `service` where they receive, so
    /// that a request is neither kept nor parsed again. What is begun is in
    /// [`Session::take_begun`](crate::Session::take_begun).
    pub fn begin_with(&mut self, service: Arc<dyn AsyncService>) {
        self.awaits = Some(Awaits {
            service,
            begins: true,
        });
    }

    /// Whether that is done from now on: a driver that refuses requests does without.
    pub fn set_begins(&mut self, begins: bool) {
        if let Some(awaits) = &mut self.awaits {
            awaits.begins = begins;
        }
    }

    /// What begins to answer a request where it is received.
    pub(crate) fn begins_with(&self) -> Option<&dyn AsyncService> {
        let awaits = self.awaits.as_ref();
        let awaits = awaits.filter(|awaits| awaits.begins && self.observer.is_none());
        awaits.map(|awaits| &*awaits.service)
    }

    /// Drops the output of a connection that was lost while it was served.
    pub fn discard_output(&mut self) {
        self.buffers.output.clear();
    }

    /// An empty buffer for a connection that must keep something.
    pub(crate) fn take_buffer(&mut self) -> Vec<u8> {
        let buffer = self.spare.pop().unwrap_or_default();
        self.spare_bytes -= buffer.capacity();
        buffer
    }

    /// Returns a buffer to the spare ones, or frees it if these would have more than `bytes_max` bytes.
    pub(crate) fn return_buffer(&mut self, buffer: &mut Vec<u8>, bytes_max: usize) {
        let mut buffer = std::mem::take(buffer);
        if buffer.capacity() > 0 && self.spare_bytes + buffer.capacity() <= bytes_max {
            self.spare_bytes += buffer.capacity();
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}
