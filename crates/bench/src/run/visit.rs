//! A visit: a fresh server, verified, warmed up, measured window by window, drained.
//!
//! The server is warmed up by a call of the generator of its own. Each window is then one more call,
//! without warm-up, that stands still when its connections are open and again before it closes them:
//! what the server did between the two readings of its counters there is what the requests made it
//! do, and is divided by the answers of this call. Readings are taken when the tree is at rest.
//! Memory is read during the warm-up, because reading it costs server and generator more than a
//! window may be disturbed; beside idle connections, where the window is over and they are open.

use std::path::PathBuf;
use std::time::Duration;

use report::data::{Mode, Role, Shape};

use crate::failure::Failure;
use crate::judge::fairness::{self, Fairness, Told};
use crate::judge::verify::{Trust, verify};
use crate::observe::answer::Report;
use crate::observe::calls::Counted;
use crate::observe::cpus::CpuList;
use crate::observe::held::{Held, Spread, Wanted};
use crate::observe::interrupt::Interrupt;
use crate::observe::machine;
use crate::observe::tree::{Footprint, Usage};
use crate::plan::scenario::PLAINTEXT;
use crate::plan::size::Size;
use crate::plan::visit::{Visit, Window};
use crate::run::generator::Call;
use crate::run::readings::{Readings, Warming};
use crate::run::server::{Drained, Launch, Server};

/// Where in the warm-up the memory of the server is read, as a share of it.
const FOOTPRINT_AT: f64 = 0.6;

/// How many times the connections of a scenario with a connection a request are opened to see who
/// serves them.
const FRESH_TIMES: u32 = 8;

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
    /// Where a store is, for as long as its server lives; alone in its folder.
    pub db: PathBuf,
    /// Where the tracer leaves its count, for as long as it takes to read it.
    pub trace: PathBuf,
    /// Ctrl-C.
    pub interrupt: Interrupt,
}

/// All that a visit measured.
#[derive(Debug)]
pub struct Measured {
    /// The server, before and in its warm-up.
    pub warm: Warm,
    /// A sample a window, or why there is none.
    pub samples: Vec<Result<Sample, String>>,
    /// Correct answers of the whole visit, warm-up included.
    pub answers: u64,
    /// What its workers say that they have served.
    pub fairness: Fairness,
    /// How its workers share fresh connections.
    pub spread: Spread,
    /// Connections held when it was told to stop.
    pub held: u32,
    /// How the server ended.
    pub drained: Drained,
}

/// A server that has been verified and warmed up, as it was then.
#[derive(Debug)]
pub struct Warm {
    /// Its memory before the first connection, where it can be read.
    pub idle: Option<Footprint>,
    /// Its memory and tasks in the middle of the warm-up.
    pub loaded: Option<Footprint>,
    /// What its workers had served before the warm-up.
    pub told: Told,
    /// Correct answers so far.
    pub answers: u64,
}

/// What was read in one window.
#[derive(Debug)]
pub struct Sample {
    /// The generator's report.
    pub report: Report,
    /// What the server's tree used, where that can be read.
    pub usage: Usage,
    /// What the machine did.
    pub machine: machine::Window,
    /// Its memory and tasks with the idle connections of the scenario open, if it has any.
    pub crowded: Option<Footprint>,
    /// The generator's command line.
    pub command: String,
}

impl Rig {
    /// The load of a window, or with `None` of the warm-up.
    pub fn shape(&self, visit: &Visit, window: Option<&Window>) -> Shape {
        let scenario = visit.scenario;
        let mode = window.map_or(Mode::Closed, |w| w.mode);
        let duration = window.map_or(self.size.windows().warm_up, |w| {
            w.duration(scenario, self.size)
        });
        let steps = window.map_or(&[][..], |w| &w.steps);
        let profile = steps
            .iter()
            .map(|step| format!("{}:{}ms", step.rate, step.duration.as_millis()))
            .collect::<Vec<_>>();
        let plain = Shape {
            mode,
            rate: window.and_then(|w| w.rate),
            connections: scenario.connections,
            pipeline: scenario.pipeline,
            keep_alive: scenario.keep_alive,
            path: visit.path().to_owned(),
            duration_s: duration.as_secs_f64(),
            mix: scenario.mix.iter().map(|&kind| kind.to_owned()).collect(),
            profile: (!profile.is_empty()).then(|| profile.join(",")),
            ..Shape::default()
        };
        if window.is_none() {
            return plain;
        }
        Shape {
            idle: visit.idle,
            slow_senders: scenario.slow,
            slow_readers: scenario.slow,
            poison: scenario.poison.map(str::to_owned),
            ..plain
        }
    }

    /// Measures `windows` on a fresh server.
    ///
    /// # Errors
    /// [`Failure::Interrupted`], or why there is nothing to show; the server is gone either way.
    pub fn measure(&self, visit: &Visit, windows: &[Window]) -> Result<Measured, Failure> {
        let (server, warm) = self.begin(visit)?;
        let mut answers = warm.answers;
        let mut samples = Vec::new();
        for window in windows {
            let shape = self.shape(visit, Some(window));
            samples.push(match self.sample(visit, &shape, &server) {
                Ok(sample) => {
                    answers += sample.report.requests;
                    Ok(sample)
                }
                Err(Failure::Interrupted) => return Err(Failure::Interrupted),
                Err(failure) => Err(failure.to_string()),
            });
        }
        let told = self.ask(visit, &server);
        let fairness = Fairness::between(&warm.told, &told, self.workers(visit));
        let held = self.hold(visit, &server);
        let drained = server.drain(&self.interrupt)?;
        Ok(Measured {
            spread: held.spread(self.workers(visit)),
            held: held.count(),
            warm,
            samples,
            answers,
            fairness,
            drained,
        })
    }

    /// Starts the server of a visit, verifies it and warms it up.
    ///
    /// # Errors
    /// [`Failure::Interrupted`], or why there is no such server.
    pub fn begin(&self, visit: &Visit) -> Result<(Server, Warm), Failure> {
        let (server, trust) = match &visit.contender.target {
            Some(target) => (Server::running(target), Trust::Stranger),
            None => {
                let launch = Launch::of(visit, &self.server, &self.own, &self.db);
                let server = Server::start(&launch, &self.server_cpus, &self.interrupt)?;
                let null = visit.contender.role == Role::Null;
                (server, if null { Trust::Null } else { Trust::Model })
            }
        };
        let idle = server.footprint();
        verify(server.address(), visit.scenario, visit.own_path(), trust)?;
        let told = self.ask(visit, &server);
        let shape = self.shape(visit, None);
        let mut warming = Warming {
            server: &server,
            after: Duration::from_secs_f64(shape.duration_s * FOOTPRINT_AT),
            loaded: None,
        };
        let report = self
            .call(visit, &server, &shape)
            .run(
                &self.load,
                &self.load_cpus,
                &self.json,
                &self.interrupt,
                &mut warming,
            )
            .map_err(|failure| failure.of("the generator failed in the warm-up"))?;
        let warm = Warm {
            idle,
            loaded: warming.loaded,
            told,
            answers: 1 + report.requests,
        };
        Ok((server, warm))
    }

    /// What the workers of a model say that they have served.
    fn ask(&self, visit: &Visit, server: &Server) -> Told {
        match self.workers(visit) {
            0 => Told::new(),
            workers => fairness::ask(server.address(), workers),
        }
    }

    /// Holds the connections of the scenario.
    fn hold(&self, visit: &Visit, server: &Server) -> Held {
        let keep = visit.scenario.keep_alive;
        // Those that are over with their reply cost little, and a few say little.
        let times = if keep { 1 } else { FRESH_TIMES };
        let wanted = Wanted {
            connections: visit.scenario.connections_at_once(visit.idle) * times,
            path: if visit.is_null() {
                PLAINTEXT
            } else {
                "/whoami"
            },
            keep,
        };
        // Nobody stops a target, and a null server that closes has nothing to hold.
        let stops = visit.contender.target.is_none();
        if stops && (wanted.keep || !visit.is_null()) {
            Held::open(server.address(), wanted, &self.interrupt)
        } else {
            Held::default()
        }
    }

    /// Workers that a server is known to have, 0 where that is not known.
    fn workers(&self, visit: &Visit) -> u32 {
        let known = visit.workers_known(self.server_cpus.len());
        known.filter(|_| !visit.is_null()).unwrap_or(0)
    }

    fn call<'a>(&self, visit: &Visit, server: &'a Server, shape: &'a Shape) -> Call<'a> {
        Call {
            address: server.address(),
            shape,
            seed: visit.seed,
            drain: self.size.windows().drain,
            within_us: visit.scenario.objective.map(|objective| objective.p99_us),
            threads: self.load_cpus.len(),
        }
    }

    /// One window.
    ///
    /// # Errors
    /// [`Failure::Interrupted`], or why there is no sample.
    pub fn sample(&self, visit: &Visit, shape: &Shape, server: &Server) -> Result<Sample, Failure> {
        self.sample_under(visit, shape, server, None)
            .map(|(sample, _)| sample)
    }

    /// One window, under a tracer of the tree of `traced` where there is one.
    fn sample_under(
        &self,
        visit: &Visit,
        shape: &Shape,
        server: &Server,
        traced: Option<u32>,
    ) -> Result<(Sample, Option<Counted>), Failure> {
        let call = self.call(visit, server, shape);
        let mut readings = Readings {
            rig: self,
            server,
            crowded: visit.idle > 0,
            traced,
            tracer: None,
            before: None,
            after: None,
        };
        let report = call
            .run(
                &self.load,
                &self.load_cpus,
                &self.json,
                &self.interrupt,
                &mut readings,
            )
            .map_err(|failure| failure.of("the generator failed"))?;
        let (Some(before), Some(after)) = (readings.before, readings.after) else {
            return Err(anyhow::anyhow!("the generator did not stand still to be read").into());
        };
        let usage = match (&before.tree, &after.tree) {
            (Some(before), Some(after)) => after.since(before),
            _ => Usage::UNKNOWN,
        };
        let sample = Sample {
            report,
            usage,
            machine: after.machine.since(&before.machine),
            crowded: after.crowded,
            command: call.command(),
        };
        Ok((sample, after.counted))
    }

    /// A window in which the server's system calls are counted, on a fresh server.
    ///
    /// # Errors
    /// [`Failure::Interrupted`], or why there is no count.
    pub fn count(
        &self,
        visit: &Visit,
        window: &Window,
    ) -> Result<(Sample, Counted, Drained), Failure> {
        let (server, _) = self.begin(visit)?;
        let root = server
            .root()
            .ok_or_else(|| anyhow::anyhow!("the process of this server is not known"))?;
        let shape = Shape {
            duration_s: self.size.windows().calls.as_secs_f64(),
            ..self.shape(visit, Some(window))
        };
        let (sample, counted) = self.sample_under(visit, &shape, &server, Some(root))?;
        let counted = counted.ok_or_else(|| anyhow::anyhow!("nothing was counted"))?;
        let drained = server.drain(&self.interrupt)?;
        Ok((sample, counted, drained))
    }
}
