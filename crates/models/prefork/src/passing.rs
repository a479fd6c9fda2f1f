//! `pass-fd`: the parent accepts, and passes each connection to a child that is free.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use os::net::{self, PollFd, PollFlags};
use os::pass::{self, Channel};
use os::process::Signal;
use os::signal;
use server::{
    Accepted, Backoff, Children, Connection, Phase, Server, ServingChild, Topic, Worker, repeated,
};

pub(crate) fn run(server: &'static Server) -> server::Result {
    let (needs, most) = (server.workers + SPARE, pass::descriptors_max());
    if needs > most {
        let workers = server.workers;
        return Err(format!(
            "pass-fd holds a descriptor per child: {workers} workers need {needs}, and the limit is {most}"
        )
        .into());
    }
    // The handler does nothing; it interrupts poll when a child has ended.
    signal::handle(&[Signal::CHILD], signal::do_nothing);
    server.make_listeners_nonblocking()?;
    let mut worker = Worker::before_fork(server);
    worker.warm_up();
    // A child drops the channels of the parent. Otherwise no other child would learn of its end.
    if let Some((child, channel)) = Parent::new(server).run() {
        worker.become_process(child.number);
        serve(&mut worker, &channel);
        child.end();
    }
    Ok(())
}

/// Descriptors for everything but children: standard ones, listeners, the connection to be passed.
const SPARE: usize = 16;

/// The child: reports that it is free, and serves the connection it is passed, until the channel
/// ends.
fn serve(worker: &mut Worker, channel: &Channel) {
    while !worker.is_retiring() && channel.report_free().is_ok() {
        // One that is told to end lets the parent pass nothing more, and serves what was passed.
        match channel.receive(|| worker.is_retiring()) {
            Ok(Some(socket)) => {
                let connection = Connection::new(socket, worker);
                worker.serve(connection);
            }
            Ok(None) => return,
            Err(error) => repeated(
                Topic::Pass,
                format_args!("a connection could not be received from the parent: {error}"),
            ),
        }
    }
}

/// What the parent knows of a child.
#[derive(Debug)]
struct Child {
    channel: Channel,
    free: bool,
}

#[derive(Debug)]
struct Parent {
    server: &'static Server,
    children: Children,
    /// By worker number.
    by_number: Vec<Option<Child>>,
    /// A connection that was accepted for a child which had ended when it was to be passed.
    undelivered: Option<OwnedFd>,
    accepting: Backoff,
    forking: Backoff,
    /// No child is forked before this.
    fork_after: Instant,
    /// A signal came: a child may have ended.
    interrupted: bool,
}

impl Parent {
    fn new(server: &'static Server) -> Parent {
        Parent {
            server,
            children: Children::new(server),
            by_number: (0..server.workers).map(|_| None).collect(),
            undelivered: None,
            accepting: Backoff::new(server.limits.accept_pause_ms_max),
            forking: Backoff::new(server.limits.respawn_pause_ms_max),
            fork_after: Instant::now(),
            interrupted: true,
        }
    }

    /// Keeps children and passes connections to them until the drain has emptied the listeners:
    /// `Some` in a child.
    fn run(mut self) -> Option<(ServingChild, Channel)> {
        loop {
            if self.interrupted || self.is_short() {
                self.interrupted = false;
                let pause = self.children.reap_to_replace(&mut self.forking);
                if !pause.is_zero() {
                    self.fork_after = Instant::now() + pause;
                }
            }
            let draining = self.server.drain.has_begun();
            let has_none = self.by_number.iter().all(Option::is_none);
            // Without children, what waits in the backlog could not be served in a drain.
            if (!draining || has_none)
                && let Some(child) = self.fork_one()
            {
                return Some(child);
            }
            if draining {
                self.children.signal_drain();
                if self.server.drain.phase() == Phase::Cutting {
                    break;
                }
            }
            if self.first_free().is_some() {
                self.server.ready();
            }
            let listeners = self.wait(draining);
            if !self.accept(&listeners) && draining && !listeners.is_empty() {
                break;
            }
        }
        self.server.shut_down_listeners();
        let Parent {
            by_number,
            children,
            ..
        } = self;
        // The channels end with this, and each child when it has served its connection.
        drop(by_number);
        children.drain();
        None
    }

    /// Forks one child, if one is missing and it is time: `Some` in the child. No more than one, so
    /// that connections are passed to the others meanwhile.
    fn fork_one(&mut self) -> Option<(ServingChild, Channel)> {
        if let Some(number) = self.children.next_number()
            && Instant::now() >= self.fork_after
        {
            let forked = pass::pair().and_then(|(ours, theirs)| {
                let child = self.children.fork()?;
                Ok((child, ours, theirs))
            });
            match forked {
                Ok((Some(child), _, theirs)) => return Some((child, theirs)),
                Ok((None, channel, _)) => {
                    self.by_number[number] = Some(Child {
                        channel,
                        free: false,
                    });
                }
                Err(error) => {
                    repeated(Topic::Fork, format_args!("fork: {error}; trying again"));
                    self.fork_after = Instant::now() + self.forking.pause();
                }
            }
        }
        None
    }

    /// Waits for a report of a child, and for a connection if a child is free. Records which
    /// children are free, and which channels have ended with their process. Returns the listeners
    /// to try.
    fn wait(&mut self, draining: bool) -> Vec<usize> {
        let accepts = self.first_free().is_some() && self.undelivered.is_none();
        let looks = accepts && !draining;
        let listeners = &self.server.listeners;
        let known = || self.by_number.iter().enumerate();
        let known = known().filter_map(|(number, child)| Some((number, child.as_ref()?)));
        let (numbers, mut fds): (Vec<_>, Vec<_>) = known
            .map(|(number, child)| (number, PollFd::new(&child.channel, PollFlags::IN)))
            .unzip();
        if looks {
            let watched = |listener| PollFd::new(listener, PollFlags::IN);
            fds.extend(listeners.iter().map(watched));
        }
        // In a drain the waker stays readable, and the listeners are tried without waiting.
        let timeout = match draining {
            true if accepts => Some(Duration::ZERO),
            true => Some(LOOK_EVERY),
            false if !self.children.is_full() => {
                let left = self.fork_after.saturating_duration_since(Instant::now());
                Some(left.min(LOOK_EVERY))
            }
            // A channel ends a moment before its process can be reaped.
            false if self.is_short() => Some(LOOK_EVERY),
            false => None,
        };
        if !draining {
            fds.push(PollFd::new(&self.server.waker, PollFlags::IN));
        }
        if net::poll(&mut fds, timeout).is_err() {
            self.interrupted = true; // A child has ended, or the drain goes on.
            return Vec::new();
        }
        let ready: Vec<_> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let (of_children, of_listeners) = ready.split_at(numbers.len());
        for (number, is_ready) in numbers.into_iter().zip(of_children) {
            if *is_ready {
                self.read_report(number);
            }
        }
        let is_to_look = |index: &usize| accepts && (draining || of_listeners[*index]);
        (0..listeners.len()).filter(is_to_look).collect()
    }

    fn read_report(&mut self, number: usize) {
        if let Some(child) = &mut self.by_number[number] {
            match child.channel.has_reported_free() {
                Some(free) => child.free |= free,
                None => self.by_number[number] = None,
            }
        }
    }

    /// Accepts at these listeners as long as a child is free, and passes the connections on. False
    /// if all were empty.
    fn accept(&mut self, listeners: &[usize]) -> bool {
        if let Some(socket) = self.undelivered.take() {
            self.pass(socket);
        }
        let mut any = false;
        for &index in listeners {
            if self.first_free().is_none() || self.undelivered.is_some() {
                return true;
            }
            match self.server.accept_at(index, false, &mut self.accepting) {
                Accepted::Empty => continue,
                Accepted::Socket(socket) => self.pass(socket),
                Accepted::Interrupted => {}
                Accepted::Pause(pause) => drop(self.server.wait_for_drain(pause)),
            }
            any = true;
        }
        any
    }

    /// Passes a connection to the first free child, or keeps it for the next that will be free.
    fn pass(&mut self, socket: OwnedFd) {
        while let Some(number) = self.first_free() {
            if let Some(child) = &mut self.by_number[number] {
                child.free = false;
                if child.channel.pass(socket.as_fd()).is_ok() {
                    return;
                }
            }
            self.by_number[number] = None; // It has ended.
        }
        self.undelivered = Some(socket);
    }

    /// Whether a child is missing.
    fn is_short(&self) -> bool {
        self.by_number.iter().any(Option::is_none)
    }

    fn first_free(&self) -> Option<usize> {
        let is_free = |child: &Option<Child>| child.as_ref().is_some_and(|child| child.free);
        self.by_number.iter().position(is_free)
    }
}

/// How often the parent looks around while a child is missing, or no child is free in a drain.
const LOOK_EVERY: Duration = Duration::from_millis(20);
