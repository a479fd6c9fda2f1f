//! The queue of signals, as a selector.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use os::Errno;
use os::net::PollFlags;
use os::sigio::{COALESCED, IoSignal, QUEUED, Signals, sweep};
use reactor::{Interest, Ready, Selector, Source};

use crate::datagrams::Echo;

/// A selector whose wait takes one signal.
#[derive(Debug)]
pub struct SignalQueue {
    signals: Signals,
    /// By descriptor number: what is watched.
    sources: Vec<Option<Source>>,
    /// Watched since the last wait: what came before was not told, be it bytes, a FIN or both, so they
    /// are tried until nothing is there.
    fresh: Vec<Ready>,
    /// Those that cannot send signals: looked at whenever a wait ends without one.
    mute: Vec<RawFd>,
    echo: Option<Echo>,
}

impl SignalQueue {
    /// An empty one. From now on this thread takes the signals when it likes.
    pub fn new() -> SignalQueue {
        SignalQueue {
            signals: Signals::block(),
            sources: Vec::new(),
            fresh: Vec::new(),
            mute: Vec::new(),
            echo: None,
        }
    }

    /// Has datagrams echoed as their signals are taken.
    ///
    /// # Errors
    /// None that an open socket has.
    pub fn echo(&mut self, mut echo: Echo) -> Result<(), Errno> {
        for socket in echo.sockets() {
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
        self.mute.retain(|&mute| mute != fd);
    }

    /// Polls everything: news were lost.
    fn look_at_all(&self, events: &mut Vec<Ready>) {
        let watched = self.sources.iter().enumerate();
        let watched = watched.filter_map(|(fd, source)| source.map(|_| fd as RawFd));
        sweep(watched, |fd, bits| {
            events.extend(self.source(fd).map(|source| ready(source, bits)));
        });
    }
}

impl Selector for SignalQueue {
    const EDGE: bool = true;
    type Event = Ready;

    fn empty() -> Result<SignalQueue, Errno> {
        Ok(SignalQueue::new())
    }

    fn add(&mut self, fd: impl AsFd, source: Source, _: Interest) -> Result<(), Errno> {
        let fd = fd.as_fd();
        self.signals.watch(fd, QUEUED)?;
        let number = fd.as_raw_fd();
        let index = number as usize;
        if self.sources.len() <= index {
            self.sources.resize(index + 1, None);
            // Only the first descriptor of a number is asked: sockets never are mute.
            if !self.signals.is_watched(fd) {
                self.mute.push(number);
            }
        }
        self.sources[index] = Some(source);
        self.fresh
            .push(ready(source, PollFlags::IN | PollFlags::RDHUP));
        Ok(())
    }

    fn set(&mut self, _: impl AsFd, _: Source, _: Interest) -> Result<(), Errno> {
        Ok(()) // Everything is told already.
    }

    fn remove(&mut self, fd: impl AsFd) {
        self.signals.unwatch(fd.as_fd());
        self.forget(fd.as_fd().as_raw_fd());
    }

    fn closing(&mut self, fd: impl AsFd) {
        self.forget(fd.as_fd().as_raw_fd());
    }

    fn wait(&mut self, events: &mut Vec<Ready>, timeout: Option<Duration>) {
        events.clear();
        if !self.fresh.is_empty() {
            events.append(&mut self.fresh);
            return;
        }
        match self.signals.take(timeout) {
            IoSignal::Ready { fd, events: bits } => {
                events.extend(self.source(fd).map(|source| ready(source, bits)));
            }
            IoSignal::Overflow => self.look_at_all(events),
            IoSignal::Datagrams { fd } => {
                if let Some(echo) = &mut self.echo {
                    echo.answer(fd);
                }
            }
            IoSignal::None => {
                let Self { mute, sources, .. } = self;
                sweep(mute.iter().copied(), |fd, bits| {
                    events.extend(sources[fd as usize].map(|source| ready(source, bits)));
                });
            }
        }
        if let Some(echo) = &mut self.echo {
            echo.tell_if_asked();
        }
    }

    fn ready(event: &Ready) -> Ready {
        *event
    }
}

/// News, in the words of selectors.
fn ready(source: Source, bits: PollFlags) -> Ready {
    let hung_up = bits.intersects(PollFlags::HUP | PollFlags::ERR);
    Ready {
        source,
        readable: hung_up || bits.intersects(PollFlags::IN | PollFlags::RDHUP),
        writable: hung_up || bits.contains(PollFlags::OUT),
        half_closed: bits.contains(PollFlags::RDHUP),
        hung_up,
    }
}
