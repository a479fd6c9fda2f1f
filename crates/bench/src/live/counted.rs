//! What is counted of A and B, not timed: user instructions, system calls and wake-ups per request.
//!
//! A single client waits for each answer, so that nothing is left to chance: whether two requests share a
//! wake-up, or the next one is there already. A neighbour on the machine changes next to nothing of this,
//! so that a gate in CI can rest on it. System calls have windows of their own, because their tracer stops
//! the server at each of them.

use report::data::{Mode, Shape};
use report::stats::{Comparison, Least, Verdict, compare_counts, median};
use schema::Code;
use serde::Serialize;

use super::contender::{Contender, answers};
use super::kind::Said;
use crate::failure::Unmeasured;
use crate::observe::counter::Counter;
use crate::observe::strace;
use crate::run::call::Call;
use crate::run::generator::Pauses;
use crate::run::readings::Readings;
use crate::run::server::Server;
use crate::run::setup::Setup;
use crate::run::slice_generator::{Asked, SliceGenerator};

/// Each is started so many times: where its memory comes to lie is in the interval.
const STARTS: usize = 2;
/// Windows of each start, and windows under the tracer.
const WINDOWS: usize = 3;
const WINDOW_S: f64 = 0.2;
const WARM_UP_S: f64 = 0.4;
/// How long the last request of a window is waited for.
const DRAIN: std::time::Duration = std::time::Duration::from_millis(500);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Instructions that the tree ran in user mode.
    UserInstructions,
    /// System calls of the tree.
    SystemCalls,
    /// Times that a task of the tree waited for something.
    WakeUps,
}

impl Kind {
    /// In the order in which they are shown.
    pub const ALL: [Kind; 3] = [Kind::UserInstructions, Kind::SystemCalls, Kind::WakeUps];

    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Kind::UserInstructions => "user instructions",
            Kind::SystemCalls => "system calls",
            Kind::WakeUps => "wake-ups",
        }
    }

    fn least(self) -> Least {
        match self {
            Kind::UserInstructions => Least::INSTRUCTIONS,
            Kind::SystemCalls => Least::SYSTEM_CALLS,
            Kind::WakeUps => Least::WAKE_UPS,
        }
    }
}

/// What was counted of one server: per right answer, window by window, or why it was not.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// User instructions.
    pub instructions: Side,
    /// System calls.
    pub calls: Side,
    /// Wake-ups.
    pub waits: Side,
    /// Requests that were not answered rightly.
    pub failures: u64,
}

/// One figure of one server.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// Per right answer.
    pub values: Vec<f64>,
    /// Why some are missing; the first reason.
    pub missing: Option<String>,
}

/// One figure of both servers.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// Which.
    pub figure: Kind,
    /// Median over the windows, per request.
    pub a: Option<f64>,
    /// The same of B.
    pub b: Option<f64>,
    /// B divided by A: over 1 is more.
    pub ratio: Option<f64>,
    /// The least of it over the windows of both.
    pub low: Option<f64>,
    /// The most.
    pub high: Option<f64>,
    /// Windows of A and of B.
    pub windows: [usize; 2],
    /// What follows: `slower` is more of it, `faster` is less.
    pub said: Said,
    /// The smallest increase that would have been declared, per cent.
    pub smallest_slowdown: Option<f64>,
    /// Why it is not judged.
    pub why: String,
}

impl Side {
    fn add(&mut self, value: Result<f64, String>) {
        match value {
            Ok(value) => self.values.push(value),
            Err(why) => {
                self.missing.get_or_insert(why);
            }
        }
    }
}

impl Counts {
    fn of(&self, kind: Kind) -> &Side {
        match kind {
            Kind::UserInstructions => &self.instructions,
            Kind::SystemCalls => &self.calls,
            Kind::WakeUps => &self.waits,
        }
    }
}

/// Counts A and B, which are asked for `paths`. The failure says which of the two it is about.
///
/// # Errors
/// [`Unmeasured::Interrupted`], or which server cannot be started or loaded, and why.
pub fn measure(
    setup: &Setup,
    contenders: &[Contender; 2],
    paths: &[String; 2],
) -> Result<[Counts; 2], (usize, Unmeasured)> {
    let mut counts = [Counts::default(), Counts::default()];
    for start in 0..STARTS {
        // A, B, B, A: what changes with time is in both.
        for whose in if start % 2 == 0 { [0, 1] } else { [1, 0] } {
            let server = contenders[whose].start(&setup.server_cpus, &setup.interrupt);
            let server = server.map_err(|why| (whose, why))?;
            let counted = count(setup, &server, &paths[whose], &mut counts[whose]);
            let ended = server.drain(&setup.interrupt).map(drop);
            counted.and(ended).map_err(|why| (whose, why))?;
        }
    }
    Ok(counts)
}

/// The windows of one start.
fn count(
    setup: &Setup,
    server: &Server,
    path: &str,
    counts: &mut Counts,
) -> Result<(), Unmeasured> {
    answers(server.address(), path)?;
    let shape = Shape {
        connections: 1,
        pipeline: 1,
        keep_alive: true,
        mode: Mode::Closed,
        path: path.to_owned(),
        ..Shape::default()
    };
    let call = Call::new(server.address(), &shape, DRAIN, 1);
    let mut generator = SliceGenerator::start(setup, &call)?;
    let asked = |seconds| Asked {
        seconds,
        rate: None,
        seed: 0,
    };
    generator.slice(setup, &asked(WARM_UP_S), &mut Readings::new(setup, server))?;
    let at_rest = server.wait_until_quiet();
    let asked = asked(WINDOW_S);
    for _ in 0..WINDOWS {
        window(setup, server, &mut generator, &asked, at_rest, counts)?;
    }
    traced(setup, server, &mut generator, &asked, counts)?;
    generator.end(setup)
}

/// Readings in whose window the instructions are counted, too.
struct Counting<'a> {
    readings: Readings<'a>,
    counter: Option<Result<Counter, String>>,
    instructions: Result<u64, String>,
}

impl Pauses for Counting<'_> {
    fn generator(&mut self, pid: u32) {
        self.readings.generator(pid);
    }

    fn before_load(&mut self) -> Result<(), Unmeasured> {
        self.readings.before_load()?;
        self.counter = self.readings.server.root().map(Counter::instructions);
        Ok(())
    }

    fn after_load(&mut self) -> Result<(), Unmeasured> {
        // It waits until the work behind the last answer is done.
        self.readings.after_load()?;
        let counter = self.counter.take();
        if let Some(counter) = counter {
            self.instructions = counter.and_then(|counter| counter.read());
        }
        Ok(())
    }
}

/// A window in which instructions and wake-ups are counted.
fn window(
    setup: &Setup,
    server: &Server,
    generator: &mut SliceGenerator,
    asked: &Asked,
    at_rest: bool,
    counts: &mut Counts,
) -> Result<(), Unmeasured> {
    let mut counting = Counting {
        readings: Readings::new(setup, server),
        counter: None,
        instructions: Err("its process is not known".to_owned()),
    };
    let load = generator.slice(setup, asked, &mut counting)?;
    let (sample, _) = counting.readings.sample(load, generator.command(asked))?;
    counts.failures += sample.load.failures();
    let requests = sample.load.requests;
    let polls = || "it uses CPU without load: what it does depends on the time, too".to_owned();
    let instructions = match at_rest {
        true => counting.instructions,
        false => Err(polls()),
    };
    let waits = sample.usage.waits;
    let waits = waits.ok_or("a task of it has ended".to_owned());
    let waits = if at_rest { waits } else { Err(polls()) };
    counts.instructions.add(per_request(instructions, requests));
    counts.waits.add(per_request(waits, requests));
    Ok(())
}

/// A window in which system calls are counted.
fn traced(
    setup: &Setup,
    server: &Server,
    generator: &mut SliceGenerator,
    asked: &Asked,
    counts: &mut Counts,
) -> Result<(), Unmeasured> {
    if let Err(why) = strace::available() {
        counts.calls.add(Err(why));
        return Ok(());
    }
    let mut readings = Readings {
        traced: server.root(),
        ..Readings::new(setup, server)
    };
    match generator.slice(setup, asked, &mut readings) {
        Ok(load) => {
            let (sample, calls) = readings.sample(load, generator.command(asked))?;
            let all = calls.map(|counted| counted.calls.values().sum());
            let all = all.ok_or("nothing was counted".to_owned());
            counts.calls.add(per_request(all, sample.load.requests));
            Ok(())
        }
        // Where tracing the server is not permitted, the rest is known all the same.
        Err(Unmeasured::Because(reason)) if reason.code == Code::NotCounted => {
            counts.calls.add(Err(reason.text));
            Ok(())
        }
        Err(why) => Err(why),
    }
}

fn per_request(counted: Result<u64, String>, requests: u64) -> Result<f64, String> {
    match (counted, requests) {
        (Err(why), _) => Err(why),
        (Ok(_), 0) => Err("no request was answered".to_owned()),
        (Ok(counted), requests) => Ok(counted as f64 / requests as f64),
    }
}

/// What follows from what was counted of A and B.
pub fn judge(counts: &[Counts; 2]) -> Vec<Figure> {
    Kind::ALL.map(|kind| figure(kind, counts)).into()
}

fn figure(kind: Kind, counts: &[Counts; 2]) -> Figure {
    let [a, b] = [0, 1].map(|whose| {
        let mut values = counts[whose].of(kind).values.clone();
        values.sort_by(f64::total_cmp);
        values
    });
    let told = compare_counts(&a, &b, kind.least());
    let missing = counts.iter().find_map(|each| each.of(kind).missing.clone());
    // What is not known of every window is not known of the server.
    let told: Option<Comparison> = told.filter(|_| missing.is_none());
    let factor = median(&a).map(|was| 1.0 + kind.least().of(was));
    let is_bounded = told
        .zip(factor)
        .is_some_and(|(told, factor)| told.high <= factor.ln());
    let ratio = |log: fn(&Comparison) -> f64| told.as_ref().map(|told| log(told).exp());
    Figure {
        figure: kind,
        a: median(&a),
        b: median(&b),
        ratio: ratio(|told| told.log),
        low: ratio(|told| told.low),
        high: ratio(|told| told.high),
        windows: [a.len(), b.len()],
        said: match told.map(|told| told.verdict) {
            None => Said::NotJudged,
            Some(Verdict::Slower) => Said::Slower,
            Some(Verdict::Faster) => Said::Faster,
            Some(Verdict::Equivalent) => Said::Equal,
            // A gate asks whether it is more, and nothing else.
            Some(Verdict::TooClose) if is_bounded => Said::NotMore,
            Some(Verdict::TooClose) => Said::Undecided,
        },
        smallest_slowdown: told.map(|told| told.smallest.exp_m1() * 100.0),
        why: match (told, missing) {
            (Some(_), _) => String::new(),
            (None, Some(why)) => why,
            (None, None) => "there is nothing of it to compare".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(values: &[f64]) -> Side {
        Side {
            values: values.to_vec(),
            missing: None,
        }
    }

    fn counts(instructions: &[f64]) -> Counts {
        Counts {
            instructions: side(instructions),
            calls: side(&[3.0, 3.0]),
            waits: side(&[1.0, 1.0]),
            failures: 0,
        }
    }

    #[test]
    fn more_instructions_are_more_and_what_is_not_counted_says_why() {
        let said = |a: &[f64], b: &[f64]| judge(&[counts(a), counts(b)])[0].said;
        assert_eq!(said(&[5_000.0, 5_010.0], &[5_005.0, 5_020.0]), Said::Equal);
        assert_eq!(said(&[5_000.0, 5_010.0], &[5_100.0, 5_110.0]), Said::Slower);
        assert_eq!(said(&[5_000.0, 5_010.0], &[4_900.0, 4_890.0]), Said::Faster);
        assert_eq!(
            said(&[5_000.0, 5_200.0], &[4_900.0, 5_030.0]),
            Said::NotMore
        );
        assert_eq!(
            said(&[5_000.0, 5_200.0], &[4_900.0, 5_300.0]),
            Said::Undecided
        );
        let mut refused = counts(&[]);
        refused.instructions.add(Err("no counters".to_owned()));
        let judged = judge(&[refused, counts(&[5_000.0])]);
        assert_eq!(
            (judged[0].said, judged[0].why.as_str()),
            (Said::NotJudged, "no counters")
        );
        assert!(judged[1..].iter().all(|each| each.said == Said::Equal));
    }

    #[test]
    fn a_window_without_an_answer_is_no_count() {
        assert_eq!(per_request(Ok(700), 350), Ok(2.0));
        assert!(per_request(Ok(700), 0).is_err());
        assert_eq!(per_request(Err("why".into()), 5), Err("why".to_owned()));
    }
}
