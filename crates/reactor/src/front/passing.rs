//! A front whose requests are served by other processes: which seats are free, and who has what.

use std::collections::HashMap;

use os::{Errno, process};
use server::{Server, Topic, repeated};

use super::links::{FrontLinks, Report};
use crate::Consumer;
use crate::job::{Job, Work};

/// The requests of a front on their way to other processes.
#[derive(Debug)]
pub(crate) struct Passing {
    server: &'static Server,
    links: FrontLinks,
    jobs: Consumer<Job>,
    /// The next one, for which there was no room in the socket of the parent.
    next: Option<Job>,
    seats: Vec<Seat>,
    /// Those that are free; the last to become so is the first to get a request.
    free: Vec<usize>,
    /// By the number of the request.
    passed: HashMap<u64, Held>,
    next_id: u64,
    /// All requests go to the one seat, whose process starts another one for each, and frees a place with its
    /// end.
    forks: bool,
}

/// A request that was passed.
#[derive(Debug)]
struct Held {
    seat: usize,
    job: Job,
    /// Its reply is being sent, or awaited: it takes no place any more.
    is_computed: bool,
}

/// What reports have changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Connections whose replies have ended.
    pub(crate) ended: Vec<Job>,
    /// How many requests take a place no more, beside those that have ended. Less than 0: of those that have, so
    /// many took none.
    pub(crate) computed: isize,
}

/// What is known of who sits there.
#[derive(Debug, Clone, Copy, Default)]
struct Seat {
    /// The request that it computes, if any.
    computes: Option<u64>,
    is_free: bool,
    is_leaving: bool,
}

impl Passing {
    /// `forks`: a parent at the first seat starts a process for each request.
    pub(crate) fn new(
        server: &'static Server,
        links: FrontLinks,
        jobs: Consumer<Job>,
        forks: bool,
    ) -> Passing {
        links.ask();
        let places = match forks {
            true => server.workers,
            false => 0, // They say so themselves.
        };
        let mut passing = Passing {
            server,
            links,
            jobs,
            next: None,
            seats: vec![Seat::default(); server.workers],
            free: Vec::new(),
            passed: HashMap::new(),
            // Another front may have had the same numbers before.
            next_id: u64::from(process::id()) << 32,
            forks,
        };
        (0..places).for_each(|place| passing.set_free(place));
        passing
    }

    /// Where reports arrive.
    pub(crate) fn reports(&self) -> &std::os::fd::OwnedFd {
        &self.links.results
    }

    /// Passes what waits, as far as there are free seats. Those that could not be passed are returned.
    pub(crate) fn pass_waiting(&mut self, failed: &mut Vec<Job>) {
        while let Some(&seat) = self.free.last()
            && let Some(mut job) = self.next.take().or_else(|| self.jobs.try_take())
        {
            let id = self.next_id;
            self.next_id += 1;
            let to = if self.forks { 0 } else { seat };
            let connection = &job.watched.connection;
            match self.links.pass(to, id, connection, self.server) {
                Ok(()) => {
                    self.free.pop();
                    self.seats[seat].is_free = false;
                    self.seats[seat].computes = Some(id);
                    let is_computed = false;
                    self.passed.insert(
                        id,
                        Held {
                            seat,
                            job,
                            is_computed,
                        },
                    );
                }
                // A parent forks more slowly than a loop passes. What fills its socket is reported sooner or later,
                // and then there is room.
                Err(Errno::AGAIN | Errno::TOOMANYREFS) if self.forks => {
                    self.next = Some(job);
                    return;
                }
                Err(error) => {
                    repeated(
                        Topic::Pass,
                        format_args!(
                            "a request could not be passed: {error}; its client is closed"
                        ),
                    );
                    job.work = Work::Failed;
                    failed.push(job);
                }
            }
        }
    }

    /// Takes note of all reports.
    pub(crate) fn take_reports(&mut self) -> Changes {
        let mut changes = Changes::default();
        while let Some(report) = Report::receive(&self.links.results) {
            match report {
                Report::Hello { seat } if seat < self.seats.len() => {
                    self.seats[seat].computes = None;
                    self.seats[seat].is_leaving = false;
                    self.lose(seat, &mut changes);
                    self.set_free(seat);
                }
                Report::Free { seat } if seat < self.seats.len() => self.set_free(seat),
                Report::Computed { id, .. } => {
                    self.is_computed(id);
                    if let Some(held) = self.passed.get_mut(&id)
                        && !std::mem::replace(&mut held.is_computed, true)
                    {
                        changes.computed += 1;
                    }
                }
                Report::Done { id, end, .. } => {
                    self.is_computed(id);
                    self.end(id, end.map_or(Work::Failed, Work::Answered), &mut changes);
                }
                Report::Leaving { seat, process } if seat < self.seats.len() => {
                    self.seats[seat].is_leaving = true;
                    self.seats[seat].is_free = false;
                    self.free.retain(|free| *free != seat);
                    self.links.dismiss(seat, process);
                }
                Report::Hello { .. } | Report::Free { .. } | Report::Leaving { .. } => {}
            }
        }
        changes
    }

    /// Who has computed it may have the next.
    fn is_computed(&mut self, id: u64) {
        if let Some(held) = self.passed.get(&id)
            && self.seats[held.seat].computes == Some(id)
        {
            let seat = held.seat;
            self.seats[seat].computes = None;
            self.set_free(seat);
        }
    }

    fn end(&mut self, id: u64, work: Work, changes: &mut Changes) {
        if let Some(held) = self.passed.remove(&id) {
            changes.computed -= isize::from(held.is_computed);
            let mut job = held.job;
            job.work = work;
            changes.ended.push(job);
        }
    }

    fn set_free(&mut self, seat: usize) {
        let known = &mut self.seats[seat];
        if known.computes.is_none() && !known.is_leaving && !known.is_free {
            known.is_free = true;
            self.free.push(seat);
        }
    }

    /// The process there has ended with all that it had.
    fn lose(&mut self, seat: usize, changes: &mut Changes) {
        let had = self.passed.iter().filter(|(_, held)| held.seat == seat);
        let lost: Vec<u64> = had.map(|(id, _)| *id).collect();
        for id in lost {
            self.end(id, Work::Failed, changes);
        }
    }
}

/// The processes end when they have done what they have, unless this front alone ends: its replacement needs
/// them.
impl Drop for Passing {
    fn drop(&mut self) {
        if !self.server.drain.is_own() {
            self.links.dismiss_all();
        }
    }
}
