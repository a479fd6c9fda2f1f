//! Capacities of several servers at a workload, in interleaved trials.
//!
//! The servers stand side by side and are visited in turn, each at the rate that its own search asks for
//! next, so that a slow moment of the machine meets all of them. A server is first loaded in a closed loop
//! of the workload's connections, which tells what it can do at most; then at rates, until it is known at
//! which the objective is just kept. All servers get the same arrivals in the same round.
//!
//! Of a closed population the number of clients is searched for instead, who think as the workload says;
//! the capacity is what they send per second at the highest number that keeps the objective.

use std::time::Duration;

use report::data::{Mode, Objective, Pass, Shape};
use schema::random::SplitMix64;
use workload::Workload;

use crate::failure::Unmeasured;
use crate::judge::capacity::{self, Outcome};
use crate::judge::gates::Ceiling;
use crate::observe::cpus::CpuList;
use crate::observe::measured::Sample;
use crate::plan::catalogue::Catalogue;
use crate::plan::contender::Contender;
use crate::plan::scenario::Scenario;
use crate::plan::visit::Visit;
use crate::plan::workers::Holds;
use crate::plan::workload as plan;
use crate::run::call::Call;
use crate::run::capacity_search::{Kept, Search, Trial};
use crate::run::population::{Population, served_rps};
use crate::run::readings::Readings;
use crate::run::server::Server;
use crate::run::setup::Setup;
use crate::run::visit;

/// Requests that a trial should have, so that a p99 rests on some dozens of them.
const REQUESTS: f64 = 2_500.0;
/// As many times as many at most, where the objective is about a rarer percentile or class.
const RARITY_MAX: f64 = 4.0;
/// The length of a trial, s.
const TRIAL_S: (f64, f64) = (0.8, 1.6);
/// The length of a trial at most where the objective is a long one: in a shorter one a queue that grows has not yet
/// become as long as the objective allows. The second is of those of which a rough figure is enough.
const TRIAL_S_LONG: (f64, f64) = (2.5, 5.0);
/// Objectives that a trial lasts.
const OBJECTIVES: f64 = 6.0;
/// Trials of a server at most, and of one of which a rough figure is enough.
const TRIALS: usize = 8;
const TRIALS_COARSE: usize = 5;
/// Trials of a server that the machine or the generator may have spoilt, until no more are made.
const SPOILT_TIMES: usize = 4;
/// Seats beyond what a server is predicted to need, and their number at most.
const SEATS_MORE: f64 = 1.1;
const SEATS_MAX: f64 = 1_000.0;
/// No null server stands beside: where the generator is at its limit, the gate of its CPU tells.
pub(super) const CEILING: Ceiling = Ceiling::Rps(f64::INFINITY);
/// How long replies are waited for at most beyond a window, s: no longer than the generator waits.
const DRAIN_S_MAX: f64 = 5.0;

/// A server that is measured.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Model.
    pub model: String,
    /// Variant.
    pub variant: String,
    /// Whether it is the model's default variant.
    pub default: bool,
    /// `--workers`; `None` for the default.
    pub workers: Option<u32>,
    /// Where the search begins, requests per second.
    pub guess_rps: f64,
    /// Whether a rough figure is enough: it is not among those that may be the best.
    pub coarse: bool,
}

/// What was measured of a server.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Requests per second within the workload's objective.
    pub rps: Option<f64>,
    /// Why there is no such figure; empty where there is one.
    pub why: String,
    /// Whether that is because the machine or the generator spoilt its trials: nothing is known of the server then.
    pub spoilt: bool,
    /// What it answered in a closed loop of the workload's connections, per second; 0 where it is not known.
    pub closed_rps: f64,
    /// The trials that it rests on, by the requests per second of each.
    pub trials: Vec<Trial>,
    /// Of a closed population, the clients of each trial; empty in an open loop.
    pub clients: Vec<f64>,
}

/// Where a search begins, and how exact it must be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub(super) guess_rps: f64,
    pub(super) coarse: bool,
}

/// One server, its visit, and its search.
pub(super) struct Runner {
    pub(super) server: Server,
    pub(super) visit: Visit,
    start: Start,
    pub(super) closed_rps: f64,
    pub(super) search: Option<Search>,
    /// Of a closed population: the clients of each window, and what they sent per second.
    pub(super) served: Vec<(f64, f64)>,
    /// Whether the closed loop was measured once more.
    again: bool,
    spoilt: usize,
    /// Why the last of them was spoilt.
    why: String,
}

/// The capacity of each of `asked`, or why there is none.
///
/// # Errors
/// The workload cannot be sent, or its objective is not one that is measured here.
pub fn capacities(workload: &Workload, asked: &[Asked]) -> anyhow::Result<Vec<Measured>> {
    let session = Session::new(workload)?;
    session.measure(session.visits(asked)?)
}

/// What all servers of a measurement share.
pub(super) struct Session {
    pub(super) setup: Setup,
    pub(super) scenario: &'static Scenario,
    idle: u32,
    pub(super) objective: Objective,
    /// The clients, where the loop is closed.
    /// How many times as many requests the objective takes as a p99 of all.
    rarity: f64,
    pub(super) population: Option<Population>,
}

/// The load of a window.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    /// A closed loop of so many clients, which do not think: what a server can do at most.
    Most(u32),
    /// What a search tries: a rate, or clients that think as the workload says.
    Tried(f64),
}

impl Session {
    pub(super) fn new(workload: &Workload) -> anyhow::Result<Self> {
        let made = plan::scenario(&workload.to_string(), 1)?;
        let objective = made.scenario.objective.unwrap_or_default();
        let (server_cpus, load_cpus) = CpuList::allowed()?.halves();
        Ok(Self {
            setup: Setup::temporary(server_cpus, load_cpus, "capacities")?,
            scenario: made.scenario,
            idle: made.idle,
            objective,
            rarity: rarity(workload),
            population: Population::of(workload),
        })
    }

    /// A visit of each of `asked`, with where its search begins.
    pub(super) fn visits(
        &self,
        asked: &[Asked],
    ) -> anyhow::Result<Vec<(Result<Visit, String>, Start)>> {
        let known = Catalogue::ask(&self.setup.own)?;
        let visit = |asked: &Asked| -> Result<Visit, String> {
            let contender = known.find(&asked.model, &asked.variant);
            let contender = contender.ok_or("there is no such variant")?;
            let workers = self.workers(contender, asked);
            Ok(self.visit(self.scenario, contender, workers))
        };
        let start = |asked: &Asked| Start {
            guess_rps: asked.guess_rps,
            coarse: asked.coarse,
        };
        Ok(asked.iter().map(|a| (visit(a), start(a))).collect())
    }

    /// `--workers` of a server. Where each client of a closed population holds a worker, there is one for
    /// each that may be tried: `pick` predicts so, too.
    fn workers(&self, contender: &Contender, asked: &Asked) -> Option<u32> {
        let population = self.population.as_ref();
        let holds = contender.workers.holds == Holds::Workers;
        let Some(population) = population.filter(|_| holds) else {
            return asked.workers;
        };
        let most = (population.most(asked.guess_rps) * SEATS_MORE).min(SEATS_MAX);
        let held = (most as u32).max(self.scenario.connections) + self.idle;
        let cpus = self.setup.server_cpus.len();
        let wanted = contender.workers.asked_for(held, false, cpus);
        wanted.map(|n| n.max(asked.workers.unwrap_or(0)))
    }

    pub(super) fn visit(
        &self,
        scenario: &'static Scenario,
        contender: &Contender,
        workers: Option<u32>,
    ) -> Visit {
        Visit {
            idle: self.idle,
            workers,
            ..Visit::new(Pass::Capacity, scenario, contender.clone())
        }
    }

    /// The capacity of the server of each visit, whose search begins at the rate beside it.
    pub(super) fn measure(
        &self,
        visits: Vec<(Result<Visit, String>, Start)>,
    ) -> anyhow::Result<Vec<Measured>> {
        let runners = self.searched(visits)?;
        Ok(runners.into_iter().map(|r| self.end(r)).collect())
    }

    /// The servers side by side, each with its search at its end. Their order is another in every round.
    pub(super) fn searched(
        &self,
        visits: Vec<(Result<Visit, String>, Start)>,
    ) -> anyhow::Result<Vec<Result<Runner, String>>> {
        let begin = |(visit, start): (Result<Visit, String>, Start)| {
            let visit = visit?;
            let (server, _) = visit::begin(&self.setup, &visit).map_err(|why| said(&why))?;
            Ok(Runner {
                server,
                visit,
                start,
                closed_rps: 0.0,
                search: None,
                served: Vec::new(),
                again: false,
                spoilt: 0,
                why: String::new(),
            })
        };
        let mut runners: Vec<Result<Runner, String>> = visits.into_iter().map(begin).collect();
        let mut random = SplitMix64::new(runners.len() as u64);
        let mut order: Vec<usize> = (0..runners.len()).collect();
        for round in 0..TRIALS + SPOILT_TIMES + 2 {
            random.shuffle(&mut order);
            for &at in &order {
                let slot = &mut runners[at];
                let Ok(runner) = slot else { continue };
                match self.step(runner, round as u64) {
                    Ok(()) => {}
                    Err(Unmeasured::Interrupted) => anyhow::bail!("interrupted"),
                    Err(why) => *slot = Err(said(&why)),
                }
            }
        }
        Ok(runners)
    }

    /// What must be kept.
    pub(super) fn kept(&self) -> Kept {
        Kept {
            p99_us: self.objective.p99_us,
            errors_share: self.objective.errors_max_share,
        }
    }

    /// The next window of a server: the closed loop first, then trials as long as its search needs some.
    fn step(&self, runner: &mut Runner, round: u64) -> Result<(), Unmeasured> {
        let Some(search) = &mut runner.search else {
            let guess_rps = runner.start.guess_rps;
            let seconds = self.closed_s(guess_rps, runner.start.coarse);
            let load = self.most(guess_rps);
            let (_, sample) = self.load(&runner.server, &runner.visit, load, seconds, round)?;
            let replies = sample.load.rate_achieved;
            if replies <= 0.0 {
                let text = "it answered nothing in a closed loop";
                return Err(Unmeasured::new(schema::Code::NothingAnswered, text));
            }
            runner.closed_rps = replies;
            let search = self.search(replies, guess_rps);
            runner.search = Some(if runner.start.coarse {
                search.coarse()
            } else {
                search
            });
            return Ok(());
        };
        if search.is_at_top() && !runner.again {
            // It could do as much as it could do at most: was that its most?
            let seconds = self.closed_s(runner.closed_rps, runner.start.coarse);
            let load = self.most(runner.closed_rps);
            let (_, sample) = self.load(&runner.server, &runner.visit, load, seconds, round)?;
            runner.again = true;
            runner.closed_rps = runner.closed_rps.max(sample.load.rate_achieved);
            search.raise(self.tried_max(runner.closed_rps));
            return Ok(());
        }
        let most = if runner.start.coarse {
            TRIALS_COARSE
        } else {
            TRIALS
        };
        if search.is_over() || search.trials().len() >= most || runner.spoilt >= SPOILT_TIMES {
            return Ok(());
        }
        let rate = search.next;
        let seconds = self.trial_s(runner.closed_rps, runner.start.coarse);
        let load = Load::Tried(rate);
        let (shape, sample) = self.load(&runner.server, &runner.visit, load, seconds, round)?;
        let (step, outcome) = capacity::step(&shape, &sample, self.objective, CEILING);
        match outcome {
            Outcome::Decided(_) => {
                search.record(Trial {
                    rate,
                    p99_us: step.p99_us,
                    errors_share: step.errors_share,
                });
                if self.population.is_some() {
                    runner.served.push((rate, sample.load.rate_achieved));
                }
            }
            // What the machine or the generator spoilt is tried again.
            Outcome::Generator(why) | Outcome::Noise(why) => {
                runner.spoilt += 1;
                runner.why = why.text();
            }
            Outcome::Broken(why) => {
                return Err(Unmeasured::new(schema::Code::NothingAnswered, why.text()));
            }
        }
        Ok(())
    }

    /// How long a trial of a server takes that answers so many requests per second.
    pub(super) fn trial_s(&self, rps: f64, coarse: bool) -> f64 {
        let by_requests = enough_s(rps, self.rarity);
        let (usual, rough) = TRIAL_S_LONG;
        let by_objective = self.objective.p99_us / 1e6 * OBJECTIVES;
        let by_thinking = self.population.map_or(0.0, |p| p.trial_s());
        by_requests
            .max(by_objective.min(if coarse { rough } else { usual }))
            .max(by_thinking)
    }

    /// The load that tells what a server can do at most, which is expected to be `rps`.
    fn most(&self, rps: f64) -> Load {
        let usual = self.scenario.connections;
        Load::Most(self.population.map_or(usual, |p| p.in_flight(rps) as u32))
    }

    /// The most that is tried of a server that answers `rps` at most.
    pub(super) fn tried_max(&self, rps: f64) -> f64 {
        self.population.map_or(rps, |p| p.most(rps))
    }

    /// The search of a server that answers `replies` per second at most, and is expected to carry `guess_rps`.
    fn search(&self, replies: f64, guess_rps: f64) -> Search {
        match &self.population {
            None => Search::new(self.kept(), replies, guess_rps),
            Some(clients) => {
                let (most, guess) = (clients.most(replies), clients.guess(guess_rps));
                Search::new(self.kept(), most, guess).whole()
            }
        }
    }

    /// How long a closed loop of it takes: no queue grows in one. Where a rough figure is enough, few requests come,
    /// and they need the time.
    fn closed_s(&self, rps: f64, coarse: bool) -> f64 {
        if coarse {
            self.trial_s(rps, coarse)
        } else {
            enough_s(rps, 1.0)
        }
    }

    /// A window of a server.
    pub(super) fn load(
        &self,
        server: &Server,
        visit: &Visit,
        load: Load,
        seconds: f64,
        round: u64,
    ) -> Result<(Shape, Sample), Unmeasured> {
        let usual = Shape {
            duration_s: seconds,
            idle: visit.idle,
            ..self.setup.shape(visit, None)
        };
        let shape = match (load, self.population) {
            (Load::Most(connections), _) => Shape {
                connections,
                think_ms: 0.0,
                ..usual
            },
            (Load::Tried(rate), None) => Shape {
                mode: Mode::Open,
                rate: Some(rate),
                ..usual
            },
            (Load::Tried(clients), Some(_)) => Shape {
                connections: clients as u32,
                ..usual
            },
        };
        let late_s = (self.objective.p99_us / 1e6 * 1.5 + 0.25).min(DRAIN_S_MAX);
        let call = Call {
            seed: round + 1,
            drain: Duration::from_secs_f64(late_s),
            ..visit::call(&self.setup, visit, server, &shape)
        };
        let (sample, _) = Readings::new(&self.setup, server).of_call(&call)?;
        Ok((shape, sample))
    }

    pub(super) fn end(&self, runner: Result<Runner, String>) -> Measured {
        let runner = match runner {
            Ok(runner) => runner,
            Err(why) => {
                return Measured {
                    why,
                    ..Measured::default()
                };
            }
        };
        let drained = runner.server.drain(&self.setup.interrupt);
        let search = runner.search.as_ref();
        let mut trials = search.map_or_else(Vec::new, |s| s.trials().to_vec());
        let capacity = search.and_then(Search::capacity);
        let rps = capacity.map(|found| served_rps(&runner.served, found));
        let spoilt = drained.is_ok() && rps.is_none() && runner.spoilt >= SPOILT_TIMES;
        let why = match (&drained, rps) {
            (Err(why), _) => said(why),
            (Ok(_), None) if spoilt => runner.why,
            (Ok(_), None) => {
                let least = trials.iter().map(|t| t.rate).fold(f64::INFINITY, f64::min);
                match self.population {
                    None => format!("no rate down to {least:.0}/s kept the objective"),
                    Some(_) => {
                        format!("no number of clients down to {least:.0} kept the objective")
                    }
                }
            }
            (Ok(_), Some(_)) => String::new(),
        };
        let clients = match self.population {
            None => Vec::new(),
            Some(_) => trials.iter().map(|trial| trial.rate).collect(),
        };
        for trial in &mut trials {
            trial.rate = served_rps(&runner.served, trial.rate);
        }
        Measured {
            rps: rps.filter(|_| why.is_empty()),
            why,
            spoilt,
            closed_rps: runner.closed_rps,
            trials,
            clients,
        }
    }
}

/// How long it takes to send enough requests for a p99, at so many per second.
fn enough_s(rps: f64, rarity: f64) -> f64 {
    (REQUESTS * rarity / rps.max(1.0)).clamp(TRIAL_S.0, TRIAL_S.1 * rarity.max(1.0))
}

/// How many times as many requests an objective takes as a p99 of all: so that as many lie beyond it.
fn rarity(workload: &Workload) -> f64 {
    let beyond = 1.0 - workload.objective.percentile / 100.0;
    let class = workload.objective_class();
    let share = class.map_or(1.0, |class| workload.classes[class].share);
    (0.01 / beyond / share).clamp(0.1, RARITY_MAX)
}

pub(super) fn said(why: &Unmeasured) -> String {
    match why {
        Unmeasured::Because(reason) => reason.text.clone(),
        Unmeasured::Interrupted => "interrupted".to_owned(),
    }
}
