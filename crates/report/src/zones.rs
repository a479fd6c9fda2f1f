//! How wide the zones of a scenario are, in which differences mean nothing, against how wide they should be.
//!
//! The zone of a figure is what the A/A placebo shows ([`Noise`](crate::stats::Noise)). More rotations make
//! it narrower, with the root of their number. The bench asks here which load is worth another rotation;
//! the report says which figures stayed wider than they should.

use crate::data::{Env, Mode, Trial};
use crate::metric::Metric;
use crate::noise;
use crate::primary::Choice;
use crate::run::{Run, Window};
use crate::stats::Evidence;

/// How wide a zone should be at most: CPU per request, throughput and p50...
const AIM: f64 = 0.03;
/// ...and p99, of which a slice holds few requests.
const AIM_P99: f64 = 0.10;

/// Fewer pairs do not tell how many it would take.
const PAIRS_MIN: usize = 3;

/// The zone of one figure.
#[derive(Debug, Clone)]
pub struct Zone {
    /// The scenario.
    pub scenario: String,
    /// `server CPU per request`.
    pub figure: &'static str,
    /// The load under which it was taken.
    pub load: (Mode, Option<f64>),
    /// How far equal servers may seem apart, a logarithm.
    pub log: f64,
    /// How far they should at most, a logarithm.
    pub aim: f64,
    /// Pairs of the placebo that it rests on.
    pub pairs: usize,
}

impl Zone {
    /// How many times wider it is than it should be; over 1 is too wide.
    pub fn times(&self) -> f64 {
        self.log / self.aim
    }

    /// How many pairs it would rest on if it were no wider than it should be.
    pub fn pairs_needed(&self) -> usize {
        (self.pairs as f64 * self.times().max(1.0).powi(2)).ceil() as usize
    }
}

/// The zones of `scenario` under each of its loads, of trials that are of no other one. Figures without a
/// placebo have none.
pub fn of_trials(trials: Vec<Trial>, scenario: &str) -> Vec<Zone> {
    of(&Run::new(Env::default(), trials, Vec::new()), scenario)
}

/// The same of a run.
pub(crate) fn of(run: &Run, scenario: &str) -> Vec<Zone> {
    let figures = |window: Window| match window {
        Window::Closed => vec![(Metric::Throughput, AIM)],
        // Of a load in steps one percentile means little.
        Window::Open { .. } if run.is_stepped(scenario) => Vec::new(),
        Window::Open { .. } => vec![
            (Metric::ServerCpu, AIM),
            (Metric::P50, AIM),
            (Metric::P99, AIM_P99),
        ],
    };
    let zone = |window: Window, (metric, aim): (Metric, f64)| {
        let placebo = noise::placebo(run, scenario, Choice { metric, window })?;
        Some(Zone {
            scenario: scenario.to_owned(),
            figure: metric.name(),
            load: (window.mode(), window.rate()),
            log: placebo.noise.of_estimates,
            aim: aim.ln_1p(),
            pairs: placebo.logs.len(),
        })
    };
    let windows = run.windows(scenario).into_iter();
    windows
        .flat_map(|window| figures(window).into_iter().map(move |each| (window, each)))
        .filter_map(|(window, each)| zone(window, each))
        .collect()
}

/// The figures of a run whose zones are wider than they should be, and what would narrow them: a sentence
/// per scenario.
pub(crate) fn too_wide(run: &Run) -> Vec<String> {
    let of_scenario = |scenario: &String| {
        if run.evidence(scenario) == Evidence::Figures {
            return None;
        }
        let zones = of(run, scenario);
        let is_wide = |zone: &&Zone| zone.times() > 1.0 && zone.pairs >= PAIRS_MIN;
        let wide: Vec<&Zone> = zones.iter().filter(is_wide).collect();
        let figures: Vec<String> = wide
            .iter()
            .map(|zone| {
                let window = match zone.load {
                    (Mode::Open, Some(rate)) => format!(" at {}", crate::format::rate(rate)),
                    _ => String::new(),
                };
                let width = crate::format::percent_of_log(zone.log);
                format!("{}{window} ±{width}", zone.figure)
            })
            .collect();
        let most = wide.iter().map(|zone| zone.pairs_needed()).max()?;
        let pairs = wide.iter().map(|zone| zone.pairs).max()?;
        let unit = match run.is_in_slices(scenario) {
            true => "rotations",
            false => "blocks of whole trials",
        };
        let time = run.rotation_s(scenario).map_or(String::new(), |each_s| {
            let more = most.saturating_sub(pairs) as f64 * each_s;
            format!(", {} more", crate::format::about(more))
        });
        Some(format!(
            "{scenario}: {}; it has {pairs} {unit}, and would take about {most}{time}",
            figures.join(", ")
        ))
    };
    run.scenarios.iter().filter_map(of_scenario).collect()
}
