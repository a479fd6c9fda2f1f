//! The queue of signals, as a selector.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use os::Errno;
use os::net::PollFlags;
use os::sigio::{COALESCED, IoSignal, QUEUED, Signals, sweep};
use reactor::{Interest, Ready, Selector, Source};

use crate::datagrams::Echo;

/// A selector whose wait takes one signal, and those behind it where the loop would not have slept.
#[derive(Debug)]
pub struct SignalQueue {
    signals: Signals,
    /// By descriptor number: what is watched.
    sources: Vec<Option<Source>>,
    /// What was added since the last wait: bytes or a FIN that came before have sent no signal, so
    /// the loop tries them until it finds nothing.
    added: Vec<Ready>,
    /// Turns in a row that have taken no signal.
    without_signal: u32,
    /// Descriptors that cannot send signals; they are polled whenever a wait ends without one.
    signalless: Vec<RawFd>,
    /// Listeners that are watched. A successor may take them over, and die before it is ready.
    listeners: Vec<RawFd>,
    echo: Option<Echo>,
}

impl SignalQueue {
    /// An empty one. From now on the signals of this thread wait to be taken.
    pub fn new() -> SignalQueue {
        SignalQueue {
            signals: Signals::block(),
            sources: Vec::new(),
            added: Vec::new(),
            without_signal: 0,
            signalless: Vec::new(),
            listeners: Vec::new(),
            echo: None,
        }
    }

    /// Has datagrams echoed as their signals are taken.
    ///
    /// # Errors
    /// None that an open socket has.
    pub fn echo(&mut self, mut echo: Echo) -> Result<(), Errno> {
        for socket in echo.sockets() {
            self.signals.take_over(socket.as_fd());
            self.signals.watch(socket.as_fd(), COALESCED)?;
        }
        echo.catch_up();
        self.echo = Some(echo);
        Ok(())
    }

    fn source(&self, fd: RawFd) -> Option<Source> {
        *self.sources.get(usize::try_from(fd).ok()?)?
    }

    fn forget(&mut self, fd: RawFd) {
        if let Some(source) = usize::try_from(fd)
            .ok()
            .and_then(|fd| self.sources.get_mut(fd))
        {
            *source = None;
        }
        self.signalless.retain(|&signalless| signalless != fd);
        self.listeners.retain(|&listener| listener != fd);
    }

    /// Watches again what a successor has taken over that is no more. The server is told of its end by a
    /// signal.
    #[cold]
    fn take_back(&mut self) {
        for &fd in &self.listeners {
            let is_back = os::net::with_number(fd, |fd| self.signals.take_back(fd, QUEUED));
            // What has come meanwhile has sent no signal.
            if is_back && let Some(source) = self.source(fd) {
                self.added.push(ready(source, PollFlags::IN));
            }
        }
        if let Some(echo) = &mut self.echo {
            let mut is_back = false;
            for socket in echo.sockets() {
                is_back |= self.signals.take_back(socket.as_fd(), COALESCED);
            }
            if is_back {
                echo.catch_up(); // What has come meanwhile has sent no signal, and is counted to none.
            }
        }
    }

    /// Adds what these descriptors are ready for now.
    fn poll(&self, fds: impl Iterator<Item = RawFd>, events: &mut Vec<Ready>) {
        sweep(fds, |fd, bits| {
            events.extend(self.source(fd).map(|source| ready(source, bits)));
        });
    }
}

impl Selector for SignalQueue {
    const EDGE: bool = true;
    type Event = Ready;

    fn empty() -> server::Result<SignalQueue> {
        Ok(SignalQueue::new())
    }

    fn add(&mut self, fd: impl AsFd, source: Source, _: Interest) -> Result<(), Errno> {
        let fd = fd.as_fd();
        if matches!(source, Source::Listener(_)) {
            self.signals.take_over(fd); // A predecessor may watch it.
        }
        self.signals.watch(fd, QUEUED)?;
        let number = fd.as_raw_fd();
        if matches!(source, Source::Listener(_)) && !self.listeners.contains(&number) {
            self.listeners.push(number);
        }
        let index = number as usize;
        if self.sources.len() <= index {
            self.sources.resize(index + 1, None);
            // Only the first descriptor of each number is tested: sockets always send signals.
            if !self.signals.is_watched(fd) {
                self.signalless.push(number);
            }
        }
        self.sources[index] = Some(source);
        self.added
            .push(ready(source, PollFlags::IN | PollFlags::RDHUP));
        Ok(())
    }

    fn set(&mut self, _: impl AsFd, _: Source, _: Interest) -> Result<(), Errno> {
        Ok(()) // Every change is signalled already.
    }

    fn remove(&mut self, fd: impl AsFd) {
        self.signals.unwatch(fd.as_fd());
        self.forget(fd.as_fd().as_raw_fd());
    }

    fn closing(&mut self, fd: impl AsFd) {
        self.forget(fd.as_fd().as_raw_fd());
    }

    #[inline(always)]
    fn wait(&mut self, events: &mut Vec<Ready>, timeout: Option<Duration>) {
        events.clear();
        if self.added.is_empty() {
            let signal = self.signals.take(timeout);
            self.without_signal = 0;
            self.report(signal, events);
            if timeout == Some(Duration::ZERO) {
                self.take_pending(signal, events);
            }
        } else {
            self.report_added(events);
        }
        if let Some(echo) = &mut self.echo {
            echo.log_if_asked();
        }
    }

    fn ready(event: &Ready) -> Ready {
        *event
    }
}

/// Signals that are taken at most in one turn of a loop that has more to do.
const PENDING_MAX: usize = 256;
/// Turns in a row that may begin with what was added, and take no signal.
const ADDED_MAX: u32 = 16;

impl SignalQueue {
    /// What was added since the last turn.
    #[inline(always)]
    fn report_added(&mut self, events: &mut Vec<Ready>) {
        events.append(&mut self.added);
        self.without_signal += 1;
        if self.without_signal > ADDED_MAX {
            self.without_signal = 0;
            let signal = self.signals.take(Some(Duration::ZERO));
            self.report(signal, events);
            self.take_pending(signal, events);
        }
    }

    /// Takes the signals behind `signal` too. A loop that has more to do waits only in passing, and serves connections
    /// meanwhile that it tries by itself: they send signals all the same, and those that wait for theirs would be told
    /// one behind the other, a turn each.
    #[cold]
    #[inline(never)]
    fn take_pending(&mut self, mut signal: IoSignal, events: &mut Vec<Ready>) {
        for _ in 0..PENDING_MAX {
            if matches!(signal, IoSignal::None | IoSignal::Interrupted) {
                return;
            }
            signal = self.signals.take(Some(Duration::ZERO));
            self.report(signal, events);
        }
    }

    /// Adds what a signal says.
    #[inline(always)]
    fn report(&mut self, signal: IoSignal, events: &mut Vec<Ready>) {
        match signal {
            // After an overflow the queue may still hold signals of a descriptor that was closed,
            // and another connection may have its number. A hang-up would close that one.
            IoSignal::Ready { fd, events: bits } if is_hang_up(bits) => {
                self.poll(std::iter::once(fd), events);
            }
            IoSignal::Ready { fd, events: bits } => {
                events.extend(self.source(fd).map(|source| ready(source, bits)));
            }
            IoSignal::Overflow => {
                let all = self.sources.iter().zip(0..);
                let watched = all.filter_map(|(source, fd)| source.map(|_| fd));
                self.poll(watched, events);
            }
            IoSignal::Datagrams { fd } => {
                if let Some(echo) = &mut self.echo {
                    echo.answer(fd);
                }
            }
            IoSignal::Interrupted => {
                self.take_back();
                self.poll(self.signalless.iter().copied(), events);
                events.append(&mut self.added);
            }
            IoSignal::None => self.poll(self.signalless.iter().copied(), events),
        }
    }
}

fn is_hang_up(bits: PollFlags) -> bool {
    bits.intersects(PollFlags::HUP | PollFlags::ERR)
}

/// The bits of poll, as all selectors describe an event.
fn ready(source: Source, bits: PollFlags) -> Ready {
    let hung_up = is_hang_up(bits);
    Ready {
        source,
        readable: hung_up || bits.intersects(PollFlags::IN | PollFlags::RDHUP),
        writable: hung_up || bits.contains(PollFlags::OUT),
        half_closed: bits.contains(PollFlags::RDHUP),
        hung_up,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Whether `source` is among what one turn that would not sleep is told of.
    fn is_told(queue: &mut SignalQueue, source: Source) -> bool {
        let mut events = Vec::new();
        queue.wait(&mut events, Some(Duration::ZERO));
        events.iter().any(|event| event.source == source)
    }

    #[test]
    fn a_turn_with_more_to_do_finds_what_stands_behind_many_signals() {
        let mut queue = SignalQueue::new();
        let (mut busy, of_busy) = UnixStream::pair().expect("two sockets");
        let (mut other, of_other) = UnixStream::pair().expect("two sockets");
        for (fd, source) in [(&of_busy, Source::Wake), (&of_other, Source::Drain)] {
            queue.add(fd, source, Interest::Read).expect("watched");
        }
        assert!(is_told(&mut queue, Source::Drain), "it was added");
        for _ in 0..40 {
            busy.write_all(b"x").expect("room");
        }
        other.write_all(b"x").expect("room");
        assert!(is_told(&mut queue, Source::Drain));
        assert!(!is_told(&mut queue, Source::Wake), "no signal is left");
    }
}
