//! A server that stands beside the others of its scenario: warmed up, at rest, and loaded slice by
//! slice over connections that stay.

use std::time::Instant;

use report::data::{Figures, Shape};
use schema::{Code, Effect, Reason};

use crate::failure::Unmeasured;
use crate::judge::beside::RecentOthers;
use crate::judge::fairness::Shares;
use crate::judge::figures::{load_figures, with_memory};
use crate::judge::lateness::Lateness;
use crate::judge::phases;
use crate::observe::connections::ByWorker;
use crate::observe::measured::{Drained, Sample, WarmUp};
use crate::observe::tree::Snapshot;
use crate::observe::whoami;
use crate::plan::visit::Visit;
use crate::run::readings::{Reading, Readings};
use crate::run::server::Server;
use crate::run::setup::Setup;
use crate::run::slice_generator::{Asked, SliceGenerator};
use crate::run::visit;

/// Less time without load tells nothing.
const REST_S_MIN: f64 = 0.08;
/// A server that uses more than this without load is not at rest: a twentieth of a CPU.
const REST_US_PER_S_MAX: f64 = 50_000.0;
/// A load that leaves a server asleep most of the time.
const TRICKLE_RPS: f64 = 10.0;

/// A server that stands, and the generator that holds its connections.
#[derive(Debug)]
pub struct Standing<'a> {
    /// The server as it was planned.
    pub visit: &'a Visit,
    server: Server,
    generator: SliceGenerator,
    warm_up: WarmUp,
    /// It uses CPU without load, and is stopped by a signal while others are measured.
    restless: bool,
    /// Correct replies so far.
    replies: u64,
    /// What it had used when its last slice was over.
    at_rest: Option<Moment>,
    /// What it used while others were loaded.
    rest: Rest,
    /// What others than those who are measured used while it was loaded.
    pub beside: RecentOthers,
    /// Whether the generator was late while it was loaded.
    pub lateness: Lateness,
}

/// What a server had used at a moment.
type Moment = (Snapshot, Instant);

/// CPU that a server used without load, its connections open.
#[derive(Debug, Clone, Copy, Default)]
struct Rest {
    cpu_us: f64,
    seconds: f64,
}

impl Rest {
    /// What was used between two readings.
    fn between(from: &Moment, to: &Moment) -> Self {
        let cpu_us = to.0.since(&from.0).cpu_us;
        cpu_us.map_or_else(Self::default, |cpu_us| Self {
            cpu_us,
            seconds: to.1.duration_since(from.1).as_secs_f64(),
        })
    }

    fn add(&mut self, more: Self) {
        self.cpu_us += more.cpu_us;
        self.seconds += more.seconds;
    }

    /// CPU per second, µs; `None` before there is a second to speak of.
    fn us_per_s(self) -> Option<f64> {
        (self.seconds >= REST_S_MIN).then(|| self.cpu_us / self.seconds)
    }
}

/// What is known when a server has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its drain, the shares of its workers, its memory.
    pub figures: Figures,
    /// How it ended.
    pub drained: Drained,
    /// Connections that were open when it was told to stop.
    pub held: u32,
    /// Which worker served how many of them.
    pub fresh: ByWorker,
    /// Its workers, 0 where that is not known.
    pub workers: u32,
}

impl<'a> Standing<'a> {
    /// Starts the server of `visit`, verifies it and warms it up.
    pub fn start(setup: &Setup, visit: &'a Visit) -> Result<Self, Unmeasured> {
        let (server, warm_up) = visit::begin(setup, visit)?;
        let shape: Shape = setup.shape(visit, None);
        let generator = SliceGenerator::start(setup, &visit::call(setup, visit, &server, &shape))?;
        let moment = || Ok(server.snapshot()?.map(|used| (used, Instant::now())));
        let before = moment()?;
        let restless = !server.wait_until_quiet();
        let mut rest = Rest::default();
        if restless {
            if let Some((before, after)) = before.as_ref().zip(moment()?.as_ref()) {
                rest.add(Rest::between(before, after));
            }
            server.stop(true);
        }
        Ok(Self {
            visit,
            server,
            generator,
            restless,
            replies: warm_up.replies,
            warm_up,
            at_rest: None,
            rest,
            beside: RecentOthers::default(),
            lateness: Lateness::default(),
        })
    }

    /// What it did in the closed loop of its warm-up, requests per second.
    pub fn warm_up_rps(&self) -> f64 {
        self.warm_up.rps
    }

    /// Loads it for one slice.
    ///
    /// # Errors
    /// [`Unmeasured::Interrupted`], or why there is no sample; it cannot be loaded again then.
    pub fn slice(&mut self, setup: &Setup, asked: &Asked) -> Result<Sample, Unmeasured> {
        if self.restless {
            self.server.stop(false);
        }
        let mut readings = Readings::new(setup, &self.server);
        let load = self.generator.slice(setup, asked, &mut readings);
        let command = self.generator.command(asked);
        let moment = |reading: Option<&Reading>| {
            let reading = reading?;
            Some((reading.tree.clone()?, reading.at))
        };
        let (before, after) = (readings.before.as_ref(), readings.after.as_ref());
        if let Some((from, to)) = self.at_rest.take().zip(moment(before)) {
            let rest = Rest::between(&from, &to);
            self.rest.add(rest);
            // One that polls is not always seen at the start, where others kept it from its CPU.
            self.restless |= rest.us_per_s().is_some_and(|us| us > REST_US_PER_S_MAX);
        }
        self.at_rest = moment(after).filter(|_| !self.restless);
        let sample = load.and_then(|load| readings.sample(load, command));
        let answered = match &sample {
            Ok((sample, _)) => sample.load.requests > 0 || !sample.load.statuses.is_empty(),
            Err(Unmeasured::Interrupted) => return Err(Unmeasured::Interrupted),
            Err(Unmeasured::Because(_)) => false,
        };
        if let Some(reason) = self.server.lost(answered, &setup.interrupt) {
            return Err(Unmeasured::Because(reason));
        }
        if self.restless {
            self.server.stop(true);
        }
        let (sample, _) = sample?;
        self.beside.add(&sample.others);
        self.replies += sample.load.requests;
        Ok(sample)
    }

    /// The figures of a slice; memory is that of the warm-up.
    pub fn figures(&self, sample: &Sample) -> Figures {
        Figures {
            context_switches_per_request: sample.switches(),
            kinds: phases::kinds(&sample.load),
            ..self.with_memory(load_figures(sample))
        }
    }

    fn with_memory(&self, figures: Figures) -> Figures {
        with_memory([self.warm_up.unloaded, self.warm_up.loaded], figures)
    }

    /// What a reader of a slice must know of how it was measured.
    pub fn notes(&self, sample: &Sample) -> Vec<Reason> {
        let mut notes = Vec::new();
        let reopened = sample.load.connections_reopened;
        if reopened > 0 {
            let text = format!(
                "{reopened} connections were opened again before this slice: the server had closed them, or had left a request on them unanswered"
            );
            let note = Reason::new(Code::ConnectionsReopened, Effect::Notes, text);
            notes.push(note.with("reopened_connections", reopened as f64));
        }
        if self.restless {
            let text = "it uses CPU without load: between its slices it is stopped by a signal";
            notes.push(Reason::new(Code::StoppedBetween, Effect::Notes, text));
        }
        notes
    }

    /// What it uses at ten requests per second, µs per second, where that is measured.
    fn trickle(&mut self, setup: &Setup) -> Result<Option<f64>, Unmeasured> {
        if !self.visit.trickles() {
            return Ok(None);
        }
        let asked = Asked {
            seconds: setup.size.trickle().as_secs_f64(),
            rate: Some(TRICKLE_RPS),
            seed: self.visit.seed,
        };
        let sample = self.slice(setup, &asked)?;
        // Arrivals are random, and more or fewer may have come than were meant.
        Ok(sample.cpu_us().map(|us| us * TRICKLE_RPS))
    }

    /// Asks its workers, opens the connections that its drain is to meet, and stops it.
    ///
    /// # Errors
    /// [`Unmeasured::Interrupted`], or why it could not be stopped; it is gone either way.
    pub fn end(mut self, setup: &Setup) -> Result<Ended, Unmeasured> {
        let trickle_us = self.trickle(setup)?;
        if self.restless {
            self.server.stop(false);
        }
        let workers = visit::workers_of(setup, self.visit);
        let figures = self.with_memory(Figures::default());
        // Where a worker holds a connection, none would be free for those that follow.
        self.generator.end(setup)?;
        let served = whoami::served(self.server.address(), workers);
        let shares = Shares::of_requests(&self.warm_up.served, &served, workers);
        let held = visit::hold(setup, self.visit, &self.server);
        let drained = self.server.drain(&setup.interrupt)?;
        let switches = drained.exit.map(|exit| exit.switches as f64);
        let figures = Figures {
            requests: self.replies,
            scheduled: self.replies,
            context_switches_per_request: switches.map(|n| n / self.replies.max(1) as f64),
            idle_cpu_us_per_s: self.rest.us_per_s(),
            trickle_cpu_us_per_s: trickle_us,
            drain_ms: drained.drain_ms,
            workers_served: shares.counts,
            jain: shares.jain,
            ..figures
        };
        Ok(Ended {
            figures,
            held: held.count(),
            fresh: held.by_worker,
            workers,
            drained,
        })
    }
}
