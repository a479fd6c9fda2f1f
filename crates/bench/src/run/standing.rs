//! A server that stands beside the others of its scenario: warmed up, at rest, and loaded slice by
//! slice over connections that stay.

use report::data::{Figures, Shape};
use schema::{Code, Effect, Reason};

use crate::failure::Unmeasured;
use crate::judge::fairness::Shares;
use crate::judge::phases;
use crate::observe::connections::ByWorker;
use crate::observe::measured::{Drained, Sample, WarmUp};
use crate::observe::whoami;
use crate::plan::visit::Visit;
use crate::run::readings::Readings;
use crate::run::server::Server;
use crate::run::setup::Setup;
use crate::run::slice_generator::{Asked, SliceGenerator};
use crate::run::visit;

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
    ///
    /// # Errors
    /// [`Unmeasured::Interrupted`], or why there is no such server.
    pub fn start(setup: &Setup, visit: &'a Visit) -> Result<Self, Unmeasured> {
        let (server, warm_up) = visit::begin(setup, visit)?;
        let shape: Shape = setup.shape(visit, None);
        let generator = SliceGenerator::start(setup, &visit::call(setup, visit, &server, &shape))?;
        let restless = !server.wait_until_quiet();
        if restless {
            server.stop(true);
        }
        Ok(Self {
            visit,
            server,
            generator,
            restless,
            replies: warm_up.replies,
            warm_up,
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
        let sample = load.and_then(|load| readings.sample(load, command));
        if self.restless {
            self.server.stop(true);
        }
        let (sample, _) = sample?;
        self.replies += sample.load.requests;
        Ok(sample)
    }

    /// The figures of a slice; memory is that of the warm-up.
    pub fn figures(&self, sample: &Sample) -> Figures {
        let requests = sample.load.requests;
        let switches = sample.usage.switches.filter(|_| requests > 0);
        Figures {
            context_switches_per_request: switches.map(|n| n as f64 / requests as f64),
            kinds: phases::kinds(&sample.load),
            ..self.with_memory(crate::judge::figures::load_figures(sample))
        }
    }

    fn with_memory(&self, figures: Figures) -> Figures {
        let (idle, loaded) = (self.warm_up.unloaded, self.warm_up.loaded);
        Figures {
            pss_kib: loaded.map(|footprint| footprint.pss_kib),
            private_kib: loaded.map(|footprint| footprint.private_kib),
            pss_idle_kib: idle.map(|footprint| footprint.pss_kib),
            tasks: loaded.map(|footprint| footprint.tasks),
            ..figures
        }
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

    /// Asks its workers, opens the connections that its drain is to meet, and stops it.
    ///
    /// # Errors
    /// [`Unmeasured::Interrupted`], or why it could not be stopped; it is gone either way.
    pub fn end(self, setup: &Setup) -> Result<Ended, Unmeasured> {
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
