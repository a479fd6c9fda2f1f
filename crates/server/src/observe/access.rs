//! The thread of the helper that writes the access log.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use os::net::{self, PollFd, PollFlags};
use os::signal::monotonic_ns;

use super::Observed;
use super::format::LogFormat;
use super::sink::{LogTarget, Sink};
use crate::log::{self, Topic};

/// The access log of a server.
#[derive(Debug)]
pub(crate) struct AccessLog {
    target: LogTarget,
    format: LogFormat,
    pub(crate) sink: Sink,
}

/// How soon a line is written where there are few.
const WRITE_EVERY: Duration = Duration::from_millis(100);
/// Text that is collected for one write, bytes.
const WRITE_BYTES: usize = 64 << 10;
/// How soon a socket without a receiver is tried again.
const CONNECT_EVERY: Duration = Duration::from_secs(1);

impl AccessLog {
    pub(crate) fn open(target: &LogTarget, format: LogFormat) -> std::io::Result<AccessLog> {
        Ok(AccessLog {
            target: target.clone(),
            format,
            sink: target.open()?,
        })
    }

    /// Writes until the server has ended, and then what is left.
    pub(crate) fn run(mut self, observed: &'static Observed) {
        let shared = observed.shared;
        let mut reopened = shared.reopen.load(Ordering::SeqCst);
        let mut connect_after = Instant::now();
        let mut text = String::with_capacity(WRITE_BYTES + 8192);
        let mut buffer = Vec::new();
        loop {
            // Read before the rings: what was put in before the end is still taken out.
            let ends = shared.stop.load(Ordering::SeqCst);
            let asked = shared.reopen.load(Ordering::SeqCst);
            if asked != std::mem::replace(&mut reopened, asked) {
                self.reopen();
            }
            self.sink.begin_round();
            let why = self.write_all(observed, &mut text, &mut buffer);
            if ends {
                return;
            }
            let is_gone = matches!(self.sink, Sink::Datagrams(..))
                && why.is_some_and(|why| why != std::io::ErrorKind::WouldBlock);
            if is_gone && Instant::now() >= connect_after {
                connect_after = Instant::now() + CONNECT_EVERY;
                if let Ok(sink) = self.target.open() {
                    self.sink = sink;
                }
            }
            shared.sleeps.store(true, Ordering::SeqCst);
            let mut fds = [PollFd::new(&observed.waker, PollFlags::IN)];
            let _ = net::poll(&mut fds, Some(WRITE_EVERY));
            shared.sleeps.store(false, Ordering::SeqCst);
            observed.waker.clear();
        }
    }

    /// Opens the file again, whatever its name stands for now. If that fails, the old one is kept.
    fn reopen(&mut self) {
        match self.target.open() {
            Ok(sink) => self.sink = sink,
            Err(error) => log::log(format_args!(
                "the access log {} cannot be opened anew: {error}; the open one is kept",
                self.target
            )),
        }
    }

    /// Writes what is in the rings; returns what went wrong, if anything did.
    fn write_all(
        &mut self,
        observed: &'static Observed,
        text: &mut String,
        buffer: &mut Vec<u8>,
    ) -> Option<std::io::ErrorKind> {
        let (format, mut failed) = (self.format, None);
        // The clock of the day may be set; the other one is what workers read.
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let wall_ns = wall.map_or(0, |wall| wall.as_nanos() as u64);
        let shift_ns = wall_ns.saturating_sub(monotonic_ns());
        for number in observed.numbers() {
            let ring = observed.ring(number)?;
            ring.take(buffer, |record| {
                format.append(record, record.at_ns + shift_ns, text);
                if text.len() >= WRITE_BYTES {
                    failed = self.write(observed, text).or(failed);
                }
            });
        }
        self.write(observed, text).or(failed)
    }

    fn write(&mut self, observed: &Observed, text: &mut String) -> Option<std::io::ErrorKind> {
        if text.is_empty() {
            return None;
        }
        let lines = text.bytes().filter(|byte| *byte == b'\n').count() as u64;
        let (lost, why) = self.sink.write(text);
        text.clear();
        let shared = observed.shared;
        shared.lines.fetch_add(lines - lost, Ordering::Relaxed);
        shared.unwritten.fetch_add(lost, Ordering::Relaxed);
        why.map(|error| {
            log::repeated(
                Topic::AccessLog,
                format_args!("the access log {}: {error}; lines are lost", self.target),
            );
            error.kind()
        })
    }
}
