//! The log: lines on standard error.

use std::fmt;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use os::signal::{self, monotonic_ns};

/// Writes one line to standard error, in one call, so that the lines of several processes do not
/// mix. Where standard error is closed, the line is lost.
pub fn log(line: fmt::Arguments<'_>) {
    let _ = std::io::stderr().write_all(format!("turnstile: {line}\n").as_bytes());
}

/// The same without allocating. Async-signal-safe.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let mut buffer = [0; 256];
    let mut rest = &mut buffer[..];
    let _ = writeln!(rest, "turnstile: {line}");
    let unused = rest.len();
    signal::write_to_stderr(&buffer[..buffer.len() - unused]);
}

/// What can go wrong again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// A connection cannot be accepted.
    Accept,
    /// A process cannot be forked.
    Fork,
    /// A thread cannot be started.
    Thread,
    /// A connection that another process has passed cannot be received.
    Pass,
    /// A worker has ended.
    WorkerEnded,
    /// A worker is stuck in a call of the service.
    Stuck,
    /// A line of the access log cannot be written.
    AccessLog,
}

const TOPICS: [&str; 7] = [
    "accept",
    "fork",
    "thread",
    "pass",
    "worker ended",
    "stuck",
    "access log",
];

/// How often each topic was written of, for all processes of the server.
#[derive(Debug, Default)]
pub(crate) struct Repeats([Repeat; TOPICS.len()]);

#[derive(Debug, Default)]
struct Repeat {
    /// When a line of this topic was written last, monotonic ns; 0: never.
    written_ns: AtomicU64,
    /// How many were not written since then.
    more: AtomicU64,
    /// How many were not written at all.
    suppressed: AtomicU64,
}

static REPEATS: OnceLock<&'static Repeats> = OnceLock::new();

/// After how long a topic is written of again, ns.
const AGAIN_NS: u64 = 10_000_000_000;

/// Has all processes that are forked from now on count together.
pub(crate) fn share(repeats: &'static Repeats) {
    let _ = REPEATS.set(repeats); // A process has one server.
}

/// Writes a line of `topic`, unless one was written less than ten seconds ago. Then it is only counted,
/// and the next line of the topic that is written says how many there were.
pub fn repeated(topic: Topic, line: fmt::Arguments<'_>) {
    match REPEATS.get() {
        None => log(line),
        Some(repeats) => match repeats.0[topic as usize].admit(monotonic_ns()) {
            None => {}
            Some(0) => log(line),
            Some(more) => log(format_args!(
                "{line} (and {} more like it before)",
                Thousands(more)
            )),
        },
    }
}

/// Says of what there was more than was written. For the end of a server.
pub(crate) fn account() {
    let Some(repeats) = REPEATS.get() else {
        return;
    };
    for (name, repeat) in TOPICS.iter().zip(&repeats.0) {
        match repeat.more.swap(0, Ordering::SeqCst) {
            0 => {}
            more => log(format_args!(
                "{name}: {} more like the last line",
                Thousands(more)
            )),
        }
    }
}

impl Repeats {
    /// Each topic, and how many lines of it were only counted.
    pub(crate) fn suppressed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |repeat: &Repeat| repeat.suppressed.load(Ordering::Relaxed);
        TOPICS.into_iter().zip(self.0.iter().map(count))
    }
}

impl Repeat {
    /// Whether a line may be written at `now_ns`: `Some` of how many were not written since the last.
    fn admit(&self, now_ns: u64) -> Option<u64> {
        let last_ns = self.written_ns.load(Ordering::SeqCst);
        let is_due = last_ns == 0 || now_ns.saturating_sub(last_ns) >= AGAIN_NS;
        let take = || {
            self.written_ns.compare_exchange(
                last_ns,
                now_ns.max(1),
                Ordering::SeqCst,
                Ordering::SeqCst,
            )
        };
        if is_due && take().is_ok() {
            return Some(self.more.swap(0, Ordering::SeqCst));
        }
        self.more.fetch_add(1, Ordering::SeqCst);
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// A number with a comma for each three digits.
struct Thousands(u64);

impl fmt::Display for Thousands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.char_indices() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_written_the_others_are_counted_until_it_is_time_again() {
        let repeat = Repeat::default();
        assert_eq!(repeat.admit(5), Some(0));
        for at_ns in 6..1_240 {
            assert_eq!(repeat.admit(at_ns), None);
        }
        assert_eq!(repeat.admit(5 + AGAIN_NS), Some(1_234));
        assert_eq!(repeat.admit(6 + AGAIN_NS), None);
        assert_eq!(repeat.admit(5 + 3 * AGAIN_NS), Some(1));
        assert_eq!(repeat.suppressed.load(Ordering::Relaxed), 1_235);
    }

    #[test]
    fn of_many_at_once_one_is_written() {
        let repeat = Repeat::default();
        let written = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let admitted = (0..1_000).filter(|_| repeat.admit(7).is_some()).count();
                    written.fetch_add(admitted as u64, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(written.load(Ordering::Relaxed), 1);
        assert_eq!(repeat.more.load(Ordering::Relaxed), 7_999);
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(Thousands(number).to_string(), text);
        }
    }
}
