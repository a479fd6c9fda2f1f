//! A process that serves for a front: it takes one request at a time, computes, and writes as much of the reply
//! as the socket takes. What is left of it, and a reply that is delayed, it keeps beside its next request.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use os::Errno;
use os::net::{self, PollFd, PollFlags};
use server::{Connection, End, Need, Phase, Server, Worker};

use super::links::{Passed, Report, Said, SeatLinks};

/// A process that serves for a front.
#[derive(Debug)]
pub struct Seat {
    links: SeatLinks,
    number: usize,
    /// Replies that are not done.
    kept: Vec<Kept>,
    /// Nothing more will come.
    is_dismissed: bool,
    /// It has said that it will end.
    has_told: bool,
    room: Vec<u8>,
}

/// A reply that is not done.
#[derive(Debug)]
struct Kept {
    id: u64,
    connection: Connection,
    need: Need,
}

/// How long a process that could not take a descriptor waits for others to be closed.
const PAUSE: Duration = Duration::from_millis(10);

impl Seat {
    /// Seat `number`.
    pub fn new(links: SeatLinks, number: usize) -> Seat {
        Seat {
            links,
            number,
            kept: Vec::new(),
            is_dismissed: false,
            has_told: false,
            room: Vec::new(),
        }
    }

    /// Serves until it is dismissed, or the time of a drain is over.
    pub fn serve(mut self, worker: &mut Worker) {
        // What its predecessor had not taken went with it: the front is told so. A dismissal was the predecessor's,
        // too, unless the server drains: then it is for this one.
        while let Ok(said) = self.links.hear(&mut self.room, false) {
            self.is_dismissed |= matches!(said, Said::NoMore) && drains(worker.server);
        }
        self.links.report(Report::Hello { seat: self.number });
        while !self.is_over(worker) {
            if worker.is_retiring() && !std::mem::replace(&mut self.has_told, true) {
                self.leave();
            }
            let waits = self.kept.is_empty();
            let may_hear = waits || self.wait(worker);
            if !may_hear || self.is_dismissed {
                continue;
            }
            match self.links.hear(&mut self.room, waits) {
                Ok(said) => self.on(said, worker),
                Err(Errno::INTR | Errno::AGAIN) => {} // A drain goes on.
                Err(_) => return,
            }
        }
    }

    fn leave(&self) {
        self.links.report(Report::Leaving {
            seat: self.number,
            process: os::process::id(),
        });
    }

    fn is_over(&self, worker: &Worker) -> bool {
        let no_more = self.is_dismissed
            || worker.server.drain.phase() == Phase::Cutting
            || front_has_ended(worker.server);
        no_more && self.kept.is_empty()
    }

    fn on(&mut self, said: Said, worker: &mut Worker) {
        let seat = self.number;
        match said {
            Said::Request(passed) => {
                worker.count_taken(None); // The session knows since when.
                let id = passed.id;
                match begin(passed, worker) {
                    Ok(end) => self.links.report(Report::Done { seat, id, end }),
                    Err((connection, need)) => {
                        self.kept.push(Kept {
                            id,
                            connection,
                            need,
                        });
                        self.links.report(Report::Computed { seat, id });
                    }
                }
            }
            Said::AreYouThere if self.has_told => self.leave(),
            Said::AreYouThere => self.links.report(Report::Free { seat }),
            Said::NoMore => self.is_dismissed = true,
            Said::Lost(id) => {
                std::thread::sleep(PAUSE);
                let end = None;
                self.links.report(Report::Done { seat, id, end });
            }
            Said::Nothing => {}
        }
    }

    /// Waits until something is said, or something can be done for a reply, and does it. True if something
    /// was said.
    fn wait(&mut self, worker: &mut Worker) -> bool {
        let server = worker.server;
        let mut fds: Vec<_> = self.kept.iter().map(Kept::as_poll).collect();
        if !self.is_dismissed {
            fds.push(PollFd::new(&self.links.requests, PollFlags::IN));
        }
        let deadlines = self
            .kept
            .iter()
            .map(|kept| kept.connection.deadline(server));
        let left = deadlines
            .min()
            .map(|first| first.saturating_duration_since(Instant::now()));
        let ready: Vec<PollFlags> = match net::poll(&mut fds, left) {
            Ok(_) => fds.iter().map(PollFd::revents).collect(),
            Err(_) => vec![PollFlags::empty(); fds.len()], // A drain goes on.
        };
        worker.tick();
        let said = ready.len() > self.kept.len() && !ready[self.kept.len()].is_empty();
        for index in (0..self.kept.len()).rev() {
            let kept = &mut self.kept[index];
            kept.go_on(ready[index], worker);
            if let Some(end) = ended(&kept.connection, kept.need) {
                let Kept { id, connection, .. } = self.kept.swap_remove(index);
                drop(connection); // The front closes the last descriptor.
                self.links.report(Report::Done {
                    seat: self.number,
                    id,
                    end: Some(end),
                });
            }
        }
        said
    }
}

/// Whether the server drains and its front is no more. A front that alone was told to end, as when every process of a
/// group is, dismisses no child: it expects to be replaced, and in a drain it is not.
fn front_has_ended(server: &Server) -> bool {
    let front = &server.blocks[server.extra_thread(0)];
    drains(server) && front.id.load(Ordering::Relaxed) == 0
}

/// Whether all its processes drain.
fn drains(server: &Server) -> bool {
    server.drain.has_begun() && !server.drain.is_own()
}

/// Serves one request to the end of its reply, in a process that is there for it alone.
pub fn serve_one(links: &SeatLinks, number: usize, passed: Passed, worker: &mut Worker) {
    let id = passed.id;
    worker.count_taken(None); // The session knows since when.
    let end = match begin(passed, worker) {
        Ok(end) => end,
        Err((connection, need)) => {
            let mut kept = Kept {
                id,
                connection,
                need,
            };
            let seat = number;
            links.report(Report::Computed { seat, id });
            loop {
                if let Some(end) = ended(&kept.connection, kept.need) {
                    break Some(end);
                }
                let deadline = kept.connection.deadline(worker.server);
                let left = deadline.saturating_duration_since(Instant::now());
                let mut fds = [kept.as_poll()];
                let ready = match net::poll(&mut fds, Some(left)) {
                    Ok(_) => fds[0].revents(),
                    Err(_) => PollFlags::empty(), // A drain goes on.
                };
                worker.tick();
                kept.go_on(ready, worker);
            }
        }
    };
    links.report(Report::Done {
        seat: number,
        id,
        end,
    });
}

/// Computes a request, and writes what the socket takes: how the reply has ended (`None`: there is none), or
/// what it needs to go on.
#[allow(clippy::result_large_err)] // It is no error, and is taken apart at once.
fn begin(passed: Passed, worker: &mut Worker) -> Result<Option<End>, (Connection, Need)> {
    let Passed {
        socket,
        numbers,
        bytes,
        ..
    } = passed;
    let Some(mut connection) = Connection::passed(socket, numbers, &bytes, worker) else {
        return Ok(None);
    };
    connection.compute(worker);
    let need = connection.step(worker);
    match ended(&connection, need) {
        Some(end) => Ok(Some(end)),
        None => Err((connection, need)),
    }
}

/// How a reply has ended, if it has.
fn ended(connection: &Connection, need: Need) -> Option<End> {
    match need {
        Need::Closed => Some(connection.end().unwrap_or(End::Closing)),
        _ => connection.end(),
    }
}

impl Kept {
    fn as_poll(&self) -> PollFd<'_> {
        let flags = match self.need {
            Need::Writable => PollFlags::OUT,
            Need::Readable => PollFlags::IN,
            Need::Time | Need::Compute | Need::Closed => PollFlags::empty(),
        };
        PollFd::new(&self.connection, flags)
    }

    /// Does what can be done now.
    fn go_on(&mut self, ready: PollFlags, worker: &mut Worker) {
        let is_over = self.connection.deadline(worker.server) <= worker.now;
        self.need = match self.need {
            // It needs nothing from the client, which has gone.
            Need::Time if ready.intersects(PollFlags::HUP | PollFlags::ERR) => Need::Closed,
            Need::Readable | Need::Writable if !ready.is_empty() => {
                self.connection.step_rarely(worker)
            }
            _ if is_over => self.connection.expire(worker),
            need => need,
        };
    }
}
