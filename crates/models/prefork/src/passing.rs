//! `pass-fd`: the parent accepts, and passes each connection to a child that is free.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use os::net::{self, PollFd, PollFlags};
use os::pass::{self, Channel};
use os::process::Signal;
use os::signal;
use server::{Accepted, Backoff, Children, Connection, Phase, Server, ServingChild, Worker, log};

pub(crate) fn run(server: &'static Server) -> server::Result {
    let (needs, most) = (server.workers + SPARE, pass::descriptors_max());
    if needs > most {
        let workers = server.workers;
        return Err(format!(
            "pass-fd holds a descriptor per child: {workers} workers need {needs}, and the limit is {most}"
        )
        .into());
    }
    // The handler does nothing: what counts is that poll returns when a child has ended.
    signal::handle(&[Signal::CHILD], signal::do_nothing);
    server.make_listeners_nonblocking()?;
    let mut worker = Worker::blocking(server, 0);
    worker.warm_up();
    // What the parent holds is not the child's, or others would not hear of its end: it is dropped.
    if let Some((child, channel)) = Parent::new(server).pass_on() {
        worker.become_process(child.number);
        serve(&mut worker, &channel);
        child.end();
    }
    Ok(())
}

/// Descriptors for everything but children: standard ones, listeners, a connection in hand.
const SPARE: usize = 16;

/// The child: says that it is free, serves what it is passed, until there will be no more.
fn serve(worker: &mut Worker, channel: &Channel) {
    while channel.report_free().is_ok() {
        match channel.receive() {
            Ok(Some(socket)) => {
                let connection = Connection::new(socket, worker);
                worker.serve(connection);
            }
            Ok(None) => return,
            Err(error) => log(format_args!("a connection was passed and lost: {error}")),
        }
    }
}

/// A child, as the parent knows it.
#[derive(Debug)]
struct Desk {
    channel: Channel,
    free: bool,
}

#[derive(Debug)]
struct Parent {
    server: &'static Server,
    children: Children,
    /// By the number of the worker.
    desks: Vec<Option<Desk>>,
    /// Accepted for a child that was gone when it was to be passed.
    held: Option<OwnedFd>,
    accepting: Backoff,
    forking: Backoff,
    /// Before this no place is filled.
    fork_from: Instant,
    /// A signal came: a child may have ended.
    interrupted: bool,
}

impl Parent {
    fn new(server: &'static Server) -> Parent {
        Parent {
            server,
            children: Children::new(server),
            desks: (0..server.workers).map(|_| None).collect(),
            held: None,
            accepting: Backoff::new(server.limits.accept_pause_ms_max),
            forking: Backoff::new(server.limits.respawn_pause_ms_max),
            fork_from: Instant::now(),
            interrupted: true,
        }
    }

    /// Keeps children and passes connections to them until the drain has emptied the listeners: `Some` in
    /// a child.
    fn pass_on(mut self) -> Option<(ServingChild, Channel)> {
        loop {
            if self.interrupted || self.is_short() {
                self.interrupted = false;
                let pause = self.children.reap_to_replace(&mut self.forking);
                if !pause.is_zero() {
                    self.fork_from = Instant::now() + pause;
                }
            }
            let draining = self.server.drain.has_begun();
            let nobody = self.desks.iter().all(Option::is_none);
            // A drain that finds no child needs some, for what waits in the backlog.
            if (!draining || nobody)
                && let Some(child) = self.fill()
            {
                return Some(child);
            }
            if draining {
                self.children.signal_drain();
                if self.server.drain.phase() == Phase::Cutting {
                    break;
                }
            }
            let listeners = self.wait_and_hear(draining);
            if !self.accept(&listeners) && draining && !listeners.is_empty() {
                break;
            }
        }
        self.server.shut_down_listeners();
        let Parent {
            desks, children, ..
        } = self;
        // Children hear that their channels end, and end when they have served what they hold.
        drop(desks);
        children.drain();
        None
    }

    /// Fills one place that is empty, if it is time; `Some` in a child. One, so that those who are
    /// there serve meanwhile.
    fn fill(&mut self) -> Option<(ServingChild, Channel)> {
        if let Some(number) = self.children.next_number()
            && Instant::now() >= self.fork_from
        {
            let forked = pass::pair().and_then(|(ours, theirs)| {
                let child = self.children.fork()?;
                Ok((child, ours, theirs))
            });
            match forked {
                Ok((Some(child), _, theirs)) => return Some((child, theirs)),
                Ok((None, channel, _)) => {
                    self.desks[number] = Some(Desk {
                        channel,
                        free: false,
                    });
                }
                Err(error) => {
                    if self.forking.is_first() {
                        log(format_args!("fork: {error}; trying again"));
                    }
                    self.fork_from = Instant::now() + self.forking.pause();
                }
            }
        }
        None
    }

    /// Waits for word of a child, and for a connection if a child is free; notes who is free, and
    /// whose channel has ended with its process. Returns the listeners to look at.
    fn wait_and_hear(&mut self, draining: bool) -> Vec<usize> {
        let accepts = self.first_free().is_some() && self.held.is_none();
        let looks = accepts && !draining;
        let listeners = &self.server.listeners;
        let known = || self.desks.iter().enumerate();
        let known = known().filter_map(|(number, desk)| Some((number, desk.as_ref()?)));
        let (numbers, mut fds): (Vec<_>, Vec<_>) = known
            .map(|(number, desk)| (number, PollFd::new(&desk.channel, PollFlags::IN)))
            .unzip();
        if looks {
            fds.extend(
                listeners
                    .iter()
                    .map(|listener| PollFd::new(listener, PollFlags::IN)),
            );
        }
        // In a drain the waker stays readable, and nobody need wait for what is at the listeners.
        let timeout = match draining {
            true if accepts => Some(Duration::ZERO),
            true => Some(LOOK_EVERY),
            false if !self.children.is_full() => {
                let left = self.fork_from.saturating_duration_since(Instant::now());
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
        for (number, _) in numbers
            .into_iter()
            .zip(of_children)
            .filter(|(_, ready)| **ready)
        {
            self.hear(number);
        }
        let is_to_look = |index: &usize| accepts && (draining || of_listeners[*index]);
        (0..listeners.len()).filter(is_to_look).collect()
    }

    fn hear(&mut self, number: usize) {
        if let Some(desk) = &mut self.desks[number] {
            match desk.channel.has_reported_free() {
                Some(free) => desk.free |= free,
                None => self.desks[number] = None,
            }
        }
    }

    /// Accepts at these listeners as long as a child is free, and passes on. False if all were empty.
    fn accept(&mut self, listeners: &[usize]) -> bool {
        if let Some(socket) = self.held.take() {
            self.pass(socket);
        }
        let mut came = false;
        for &index in listeners {
            if self.first_free().is_none() || self.held.is_some() {
                return true;
            }
            match self.server.accept_at(index, false, &mut self.accepting) {
                Accepted::Empty => continue,
                Accepted::Socket(socket) => self.pass(socket),
                Accepted::Interrupted => {}
                Accepted::Pause(pause) => drop(self.server.wait_for_drain(pause)),
            }
            came = true;
        }
        came
    }

    /// Passes a connection to the first free child, or holds it for the next that will be.
    fn pass(&mut self, socket: OwnedFd) {
        while let Some(number) = self.first_free() {
            if let Some(desk) = &mut self.desks[number] {
                desk.free = false;
                if desk.channel.pass(socket.as_fd()).is_ok() {
                    return;
                }
            }
            self.desks[number] = None; // It has ended.
        }
        self.held = Some(socket);
    }

    /// Whether a place is empty, or its child has ended.
    fn is_short(&self) -> bool {
        self.desks.iter().any(Option::is_none)
    }

    fn first_free(&self) -> Option<usize> {
        let is_free = |desk: &Option<Desk>| desk.as_ref().is_some_and(|desk| desk.free);
        self.desks.iter().position(is_free)
    }
}

/// How often a parent looks up while it is short of children, or no child is free in a drain.
const LOOK_EVERY: Duration = Duration::from_millis(20);
