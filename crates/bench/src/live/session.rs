//! Rotations of slices until everything is decided.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use report::data::{Mode, Shape};
use report::stats::sequential::{self, FIRST, Schedule};
use report::stats::{Comparison, Verdict};
use schema::random::SplitMix64;

use super::args::{Gate, LiveArgs};
use super::contender::{Contender, answers};
use super::counted::{self, Counts};
use super::kind::Kind;
use super::slice::{self, REQUESTS_MIN_FOR_P99, Rotation, Slice};
use crate::failure::{Failure, Unmeasured};
use crate::observe::cpus::CpuList;
use crate::plan::size::Size;
use crate::run::held::Held;
use crate::run::setup::Setup;
use crate::run::slice_generator::Asked;

/// A slice of the open loop, where the rate gives it enough requests for a 99th percentile...
const OPEN_S: f64 = 0.25;
/// ...and the longest, where it does not.
const OPEN_S_MAX: f64 = 1.0;
const CLOSED_S: f64 = 0.15;
const WARM_UP_S: f64 = 0.4;
/// The open loop offers this part of what the slower of the two can do.
const RATE_SHARE: f64 = 0.4;
/// Both servers are started afresh after so many rotations: the first look is to see three starts, so
/// that what one start happens to differ by is not taken for a difference of the servers.
const ROTATIONS_PER_START: usize = FIRST / 3;
/// The probability of a wrong verdict in a session, over all its figures and looks.
const ALPHA: f64 = 0.05;

/// What was measured, and what followed at the looks.
#[derive(Debug)]
pub struct Session {
    /// A and B.
    pub contenders: [Contender; 2],
    /// Path asked for.
    pub path: String,
    /// Path that B is asked for, where it is another one.
    pub path_b: Option<String>,
    /// Connections of either loop.
    pub connections: u32,
    /// Rate of the open loop.
    pub rate_rps: f64,
    /// Per cent within which two are equal.
    pub within: f64,
    /// In the order in which they were measured.
    pub rotations: Vec<Rotation>,
    /// What the exit status rests on.
    pub gate: Gate,
    /// What was counted of A and of B.
    pub counts: Option<[Counts; 2]>,
    /// The judgement of each figure at the latest look.
    pub judged: BTreeMap<Kind, Comparison>,
    /// Times that each of the servers was started.
    pub starts: u32,
    /// How long a rotation takes, seconds.
    pub rotation_s: f64,
    /// How long everything took, seconds.
    pub taken_s: f64,
    /// Ctrl-C.
    pub interrupted: bool,
    /// Which of the two failed on the way (0 is A), and how.
    pub failed: Option<(usize, String)>,
}

/// Measures until every figure is decided or the time is over.
///
/// # Errors
/// A usage failure where a server cannot be started or does not answer the path; a failure of the
/// generator before the first rotation.
pub fn run(args: &LiveArgs) -> Result<Session, Failure> {
    let start = Instant::now();
    let setup = setup(args)?;
    let contenders = [("A", &args.a), ("B", &args.b)]
        .map(|(name, text)| Contender::parse(name, text, &setup.own));
    let [a, b] = contenders;
    let contenders = [a?, b?];
    let mut bench = Bench {
        loads: Loads::of(args),
        random: SplitMix64::new(args.seed),
        setup,
        servers: None,
        starts: 0,
    };
    let rotation_s = match args.gate {
        Gate::Timed => bench.begin(args, &contenders),
        Gate::Exact => Ok(0.0),
    };
    let rotation_s = rotation_s.map_err(|failed| failed.or_usage(&contenders))?;
    let mut session = Session {
        contenders,
        path: args.path.clone(),
        path_b: args.path_b.clone(),
        connections: args.connections,
        rate_rps: bench.loads.rate_rps,
        within: args.within,
        rotations: Vec::new(),
        gate: args.gate,
        counts: None,
        judged: BTreeMap::new(),
        starts: 0,
        rotation_s,
        taken_s: 0.0,
        interrupted: false,
        failed: None,
    };
    let end = start + Duration::from_secs(args.seconds);
    let timed = match args.gate {
        Gate::Timed => bench.rotate(&mut session, end),
        Gate::Exact => Ok(()),
    };
    match timed.and_then(|()| bench.count(&mut session)) {
        Ok(()) => {}
        // Nothing was measured before: it is the arguments that cannot be used.
        Err(failed) if args.gate == Gate::Exact => return Err(failed.or_usage(&session.contenders)),
        Err(Failed {
            why: Unmeasured::Interrupted,
            ..
        }) => session.interrupted = true,
        Err(Failed {
            whose,
            why: Unmeasured::Because(reason),
        }) => {
            session.failed = Some((whose, reason.text));
        }
    }
    session.starts = bench.starts;
    session.taken_s = start.elapsed().as_secs_f64();
    Ok(session)
}

/// A failure, and which of the two servers it is about.
struct Failed {
    whose: usize,
    why: Unmeasured,
}

impl Failed {
    fn of(whose: usize) -> impl Fn(Unmeasured) -> Self {
        move |why| Self { whose, why }
    }

    /// Of the beginning: a server that cannot be started or asked is an argument that cannot be used.
    fn or_usage(self, contenders: &[Contender; 2]) -> Failure {
        match self.why {
            Unmeasured::Interrupted => Failure::Interrupted,
            Unmeasured::Because(reason) => {
                let Contender { name, command, .. } = &contenders[self.whose];
                Failure::usage(format!("{name}, '{command}': {}", reason.text))
            }
        }
    }
}

/// The loads of a session.
struct Loads {
    /// Of A and of B.
    paths: [String; 2],
    connections: u32,
    rate_rps: f64,
    open_s: f64,
}

impl Loads {
    fn of(args: &LiveArgs) -> Self {
        let mut loads = Self {
            paths: [
                args.path.clone(),
                args.path_b.as_ref().unwrap_or(&args.path).clone(),
            ],
            connections: args.connections,
            rate_rps: 0.0,
            open_s: OPEN_S,
        };
        loads.set_rate(args.rate.unwrap_or(1.0));
        loads
    }

    fn set_rate(&mut self, rate_rps: f64) {
        self.rate_rps = rate_rps;
        let enough_s = 1.1 * REQUESTS_MIN_FOR_P99 as f64 / rate_rps;
        self.open_s = enough_s.clamp(OPEN_S, OPEN_S_MAX);
    }

    /// What the connections of A (0) or B are opened for; each slice says for how long and how fast.
    fn shape(&self, whose: usize) -> Shape {
        Shape {
            connections: self.connections,
            pipeline: 1,
            keep_alive: true,
            path: self.paths[whose].clone(),
            ..Shape::default()
        }
    }
}

/// The servers, and what loads them.
struct Bench {
    loads: Loads,
    random: SplitMix64,
    setup: Setup,
    servers: Option<[Held; 2]>,
    starts: u32,
}

impl Bench {
    /// Starts both, finds the rate, and measures one rotation that does not count; returns how long it
    /// took, seconds.
    fn begin(&mut self, args: &LiveArgs, contenders: &[Contender; 2]) -> Result<f64, Failed> {
        let throughput = self.start(contenders)?;
        if args.rate.is_none() {
            let slower = throughput.into_iter().fold(f64::INFINITY, f64::min);
            // Two digits are enough, and read better.
            let rate = (slower * RATE_SHARE).max(10.0);
            let step = 10_f64.powf(rate.log10().floor() - 1.0);
            self.loads.set_rate((rate / step).floor() * step);
        }
        let start = Instant::now();
        self.rotation(0)?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Starts both afresh, asks each for the path and warms it up; returns what they did in a closed loop.
    fn start(&mut self, contenders: &[Contender; 2]) -> Result<[f64; 2], Failed> {
        self.stop()?;
        let (cpus, interrupt) = (&self.setup.server_cpus, &self.setup.interrupt);
        let stand = |whose: usize| {
            let server = contenders[whose].start(cpus, interrupt)?;
            let shape = self.loads.shape(whose);
            let held = Held::new(&self.setup, server, &shape, Duration::ZERO)?;
            answers(held.address(), &shape.path)?;
            Ok(held)
        };
        let stand = |whose| stand(whose).map_err(Failed::of(whose));
        let mut servers = [stand(0)?, stand(1)?];
        let mut throughput = [0.0; 2];
        for (whose, server) in servers.iter_mut().enumerate() {
            let asked = Asked {
                seconds: WARM_UP_S,
                rate: None,
                seed: 0,
            };
            let warm = server.warm_up(&self.setup, &asked);
            let warm = warm.map_err(Failed::of(whose))?;
            throughput[whose] = slice::read(&warm.load).throughput_rps.unwrap_or(0.0);
        }
        self.servers = Some(servers);
        self.starts += 1;
        Ok(throughput)
    }

    fn stop(&mut self) -> Result<(), Failed> {
        for (whose, server) in self.servers.take().into_iter().flatten().enumerate() {
            let ended = server.end(&self.setup);
            ended.map_err(Failed::of(whose))?;
        }
        Ok(())
    }

    /// Ends the servers that stand, and counts what each does per request.
    fn count(&mut self, session: &mut Session) -> Result<(), Failed> {
        self.stop()?;
        let counts = counted::measure(&self.setup, &session.contenders, &self.loads.paths);
        let counts = counts.map_err(|(whose, why)| Failed { whose, why })?;
        session.counts = Some(counts);
        Ok(())
    }

    /// One slice of either loop on each server, in an order drawn anew.
    fn rotation(&mut self, number: u64) -> Result<Rotation, Failed> {
        let seed = self.random.next_u64() % 1_000_000 + number;
        let mut visits: Vec<(Mode, usize)> = [Mode::Open, Mode::Closed]
            .into_iter()
            .flat_map(|mode| [(mode, 0), (mode, 1)])
            .collect();
        // The two of a loop stay neighbours: a pair is to be of one moment.
        if self.random.below(2) == 1 {
            visits.rotate_left(2);
        }
        for pair in visits.chunks_exact_mut(2) {
            if self.random.below(2) == 1 {
                pair.swap(0, 1);
            }
        }
        let mut rotation = Rotation {
            start: self.starts,
            open: [Slice::default(); 2],
            closed: [Slice::default(); 2],
        };
        for (mode, whose) in visits {
            let Some([a, b]) = &mut self.servers else {
                break;
            };
            let (server, other) = if whose == 0 { (a, b) } else { (b, a) };
            let (to, seconds, rate) = match mode {
                Mode::Open => {
                    let Loads {
                        open_s, rate_rps, ..
                    } = self.loads;
                    (&mut rotation.open, open_s, Some(rate_rps))
                }
                Mode::Closed => (&mut rotation.closed, CLOSED_S, None),
            };
            let asked = Asked {
                seconds,
                rate,
                seed,
            };
            let sample = server.load(&self.setup, &asked);
            let sample = sample.map_err(Failed::of(whose))?;
            to[whose] = slice::of_pair(server, sample, other);
        }
        Ok(rotation)
    }

    /// Rotations and looks, until all is decided or `end` has come.
    fn rotate(&mut self, session: &mut Session, end: Instant) -> Result<(), Failed> {
        let left_s = end.saturating_duration_since(Instant::now()).as_secs_f64();
        // What starting afresh takes is spread over the rotations.
        let each_s = session.rotation_s + 2.5 * WARM_UP_S / ROTATIONS_PER_START as f64;
        let pairs_max = ((left_s / each_s) as usize).max(FIRST);
        let schedule = Schedule::new(pairs_max, ALPHA / Kind::ALL.len() as f64);
        let start = Instant::now();
        while session.rotations.len() < pairs_max && Instant::now() < end {
            let done = session.rotations.len();
            if done > 0 && done.is_multiple_of(ROTATIONS_PER_START) {
                self.start(&session.contenders)?;
            }
            let rotation = self.rotation(done as u64)?;
            session.rotations.push(rotation);
            session.rotation_s = start.elapsed().as_secs_f64() / (done + 1) as f64;
            if let Some(alpha) = schedule.due(done + 1) {
                session.look(alpha);
                session.progress();
                if session.is_decided() {
                    return Ok(());
                }
            }
        }
        // The time was over between two looks: what the next one may spend so far is spent now.
        if let Some(alpha) = schedule.rest(session.rotations.len()) {
            session.look_at_open(alpha);
        }
        Ok(())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What cannot be drained is killed, and all is over anyway.
        let _ = self.stop();
    }
}

impl Session {
    /// Judges every figure by all pairs so far. What an earlier look decided is judged again: few pairs
    /// hardly tell how much they depend on each other, and more of them may take a verdict back.
    pub fn look(&mut self, alpha: f64) {
        for kind in Kind::ALL {
            self.judge(kind, alpha);
        }
    }

    /// Judges what the last look left open, by the few pairs since then: what they may spend is too
    /// little to take a verdict back.
    fn look_at_open(&mut self, alpha: f64) {
        for kind in Kind::ALL {
            let judged = self.judged.get(&kind);
            if judged.is_none_or(|judged| judged.verdict == Verdict::TooClose) {
                self.judge(kind, alpha);
            }
        }
    }

    fn judge(&mut self, kind: Kind, alpha: f64) {
        let bounds = kind.bounds(self.within);
        if let Some(told) = sequential::judge(&self.logs(kind), alpha, bounds) {
            self.judged.insert(kind, told);
        }
    }

    /// How many times worse B was in each rotation that has the figure of both, as logarithms.
    pub fn logs(&self, kind: Kind) -> Vec<f64> {
        let pairs = self.rotations.iter().map(|each| kind.of(each));
        pairs
            .filter_map(|[a, b]| Some(kind.cost(b?) - kind.cost(a?)))
            .filter(|log| log.is_finite())
            .collect()
    }

    /// Whether nothing is left to be decided: a figure that has no pairs will not get any, one that has
    /// too few may.
    pub fn is_decided(&self) -> bool {
        Kind::ALL
            .into_iter()
            .all(|kind| match self.judged.get(&kind) {
                Some(judged) => judged.verdict != Verdict::TooClose,
                None => self.logs(kind).is_empty(),
            })
    }

    /// One line that shows the progress.
    fn progress(&self) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let said = |kind: Kind| {
            let judged = self.judged.get(&kind)?;
            let word = judged.verdict.words();
            let half = (judged.high - judged.low) / 2.0 * 100.0;
            Some(format!(
                "{} {:+.1} ±{half:.1} % {word}",
                kind.name(),
                judged.log * 100.0
            ))
        };
        let said: Vec<String> = Kind::ALL.into_iter().filter_map(said).collect();
        eprintln!(
            "{:>4} rotations: {}",
            self.rotations.len(),
            said.join(" · ")
        );
    }
}

fn setup(args: &LiveArgs) -> Result<Setup, Failure> {
    let (server_cpus, load_cpus) = args.cpus.shared_out(&CpuList::allowed()?)?;
    let setup = Setup::temporary(server_cpus, load_cpus, "live")?;
    Ok(Setup {
        size: Size::Quick,
        load: args.load.clone().unwrap_or(setup.load),
        ..setup
    })
}
