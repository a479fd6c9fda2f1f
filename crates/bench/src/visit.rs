//! A visit: a fresh server, verified, warmed up, measured window by window, drained.
//!
//! The server is warmed up by a call of the generator of its own. Each window is then one more call,
//! without warm-up: what the server did between the two readings of its counters is what this call
//! made it do, from the first connection to the last close, and is divided by the answers of this
//! call. Readings are taken when the tree is at rest. Memory is read during the warm-up, because
//! reading it costs server and generator more than a window may be disturbed.

use std::path::PathBuf;
use std::time::Duration;

use report::data::{Mode, Shape};

use crate::args::Size;
use crate::cpus::CpuList;
use crate::failure::Failure;
use crate::generator::{Call, Report};
use crate::interrupt::Interrupt;
use crate::machine;
use crate::plan::{Visit, Window};
use crate::server::{Drained, Launch, Server};
use crate::tree::{Footprint, Snapshot, Usage};

/// Where in the warm-up the memory of the server is read, as a share of it.
const FOOTPRINT_AT: f64 = 0.6;

/// What all visits of a run share.
#[derive(Debug)]
pub struct Rig {
    /// The server under test.
    pub server: PathBuf,
    /// This command: it holds the null server.
    pub own: PathBuf,
    /// The load generator.
    pub load: PathBuf,
    /// CPUs of the server.
    pub server_cpus: CpuList,
    /// CPUs of the generator.
    pub load_cpus: CpuList,
    /// How much is measured, and for how long.
    pub size: Size,
    /// Where the generator leaves its report, for as long as it takes to read it.
    pub json: PathBuf,
    /// Ctrl-C.
    pub interrupt: Interrupt,
}

/// All that a visit measured.
#[derive(Debug)]
pub struct Measured {
    /// The server's memory before the first connection.
    pub idle: Footprint,
    /// Its memory and tasks in the middle of the warm-up.
    pub loaded: Footprint,
    /// A sample a window, or why there is none.
    pub samples: Vec<Result<Sample, String>>,
    /// Correct answers of the whole visit, warm-up included.
    pub answers: u64,
    /// How the server ended.
    pub drained: Drained,
}

/// What was read in one window.
#[derive(Debug)]
pub struct Sample {
    /// The generator's report.
    pub report: Report,
    /// What the server's tree used.
    pub usage: Usage,
    /// What the machine did.
    pub machine: machine::Window,
    /// The generator's command line.
    pub command: String,
}

impl Rig {
    /// The load of a window, or with `None` of the warm-up.
    pub fn shape(&self, visit: &Visit, window: Option<&Window>) -> Shape {
        let (mode, duration) = match window.map(|w| w.mode) {
            None => (Mode::Closed, self.size.windows().warm_up),
            Some(Mode::Closed) => (Mode::Closed, self.size.windows().closed),
            Some(Mode::Open) => (Mode::Open, self.size.windows().open),
        };
        Shape {
            mode,
            rate: window.and_then(|w| w.rate),
            connections: visit.scenario.connections,
            pipeline: visit.scenario.pipeline,
            keep_alive: visit.scenario.keep_alive,
            path: visit.scenario.path.to_owned(),
            duration_s: duration.as_secs_f64(),
        }
    }

    /// Measures `windows` on a fresh server.
    ///
    /// # Errors
    /// [`Failure::Interrupted`], or why there is nothing to show; the server is gone either way.
    pub fn measure(&self, visit: &Visit, windows: &[Window]) -> Result<Measured, Failure> {
        let launch = Launch::of(visit, &self.server, &self.own);
        let server = Server::start(&launch, &self.server_cpus, &self.interrupt)?;
        let idle = Footprint::take(server.pid());
        server.verify(visit.scenario.path)?;
        let mut loaded = Footprint::default();
        let warm_up = self.warm_up(visit, &server, &mut loaded)?;
        let mut answers = 1 + warm_up.requests;
        let mut samples = Vec::new();
        for window in windows {
            samples.push(match self.sample(visit, window, &server) {
                Ok(sample) => {
                    answers += sample.report.requests;
                    Ok(sample)
                }
                Err(Failure::Interrupted) => return Err(Failure::Interrupted),
                Err(failure) => Err(failure.to_string()),
            });
        }
        let drained = server.drain(&self.interrupt)?;
        Ok(Measured {
            idle,
            loaded,
            samples,
            answers,
            drained,
        })
    }

    fn warm_up(
        &self,
        visit: &Visit,
        server: &Server,
        loaded: &mut Footprint,
    ) -> Result<Report, Failure> {
        let shape = self.shape(visit, None);
        let at = Duration::from_secs_f64(shape.duration_s * FOOTPRINT_AT);
        let mut look = || *loaded = Footprint::take(server.pid());
        let call = self.call(visit, server, &shape);
        call.run(
            &self.load,
            &self.load_cpus,
            &self.json,
            &self.interrupt,
            Some((at, &mut look)),
        )
        .map_err(|failure| failure.of("the generator failed in the warm-up"))
    }

    fn call<'a>(&self, visit: &Visit, server: &'a Server, shape: &'a Shape) -> Call<'a> {
        Call {
            address: server.address(),
            shape,
            seed: visit.seed,
            drain: self.size.windows().drain,
            threads: self.load_cpus.len(),
        }
    }

    fn sample(&self, visit: &Visit, window: &Window, server: &Server) -> Result<Sample, Failure> {
        let shape = self.shape(visit, Some(window));
        let call = self.call(visit, server, &shape);
        let cpus = [&self.server_cpus, &self.load_cpus];
        server.rest();
        let before = Snapshot::take(server.pid())?;
        let machine = machine::Reading::take(&cpus)?;
        let report = call
            .run(
                &self.load,
                &self.load_cpus,
                &self.json,
                &self.interrupt,
                None,
            )
            .map_err(|failure| failure.of("the generator failed"))?;
        let machine = machine::Reading::take(&cpus)?.since(&machine);
        // A server that never rests goes on using CPU: its books are closed at once.
        let at_once = Snapshot::take(server.pid())?;
        let after = if server.rest() {
            Snapshot::take(server.pid())?
        } else {
            at_once
        };
        Ok(Sample {
            report,
            usage: after.since(&before),
            machine,
            command: call.command(),
        })
    }
}
