//! How noisy the session was: the A/A placebo, the gates, the generator.

use std::collections::BTreeMap;

use crate::cell::State;
use crate::data::{Role, Trial, Validity};
use crate::metric::Metric;
use crate::primary::{self, Choice};
use crate::run::{Run, Window};
use crate::stats::{self, Comparison, Evidence, Spread, Verdict};
use crate::versus::{Rule, Side};

/// One server measured twice under two names.
#[derive(Debug, Clone)]
pub struct Placebo {
    pub scenario: String,
    /// The figure and load.
    pub choice: Choice,
    /// The copy against the original by block, as logarithms.
    pub logs: BTreeMap<u32, f64>,
    /// Both over all blocks; `None` where there are too few to say.
    pub comparison: Option<Comparison>,
    /// `true` when the session finds a difference between the copy and the original.
    pub differs: bool,
    /// How far equal servers may seem apart in this figure.
    pub noise: stats::Noise,
}

/// The placebo against its original; `None` where either has no VALID figure.
pub fn placebo(run: &Run, scenario: &str, choice: Choice) -> Option<Placebo> {
    let (copy, original) = run.placebo()?;
    let of = |label: &str| {
        let cell = run.cell(label, scenario, choice.window);
        // Two servers that both fail show nothing about noise.
        (cell.state_for(choice.metric) == State::Valid)
            .then(|| Side::of(&cell, choice.metric).finite())
    };
    let (copy, original) = (of(&copy.label)?, of(&original.label)?);
    let logs: BTreeMap<u32, f64> = copy
        .costs()
        .iter()
        .filter_map(|(unit, cost)| Some((*unit, cost - original.costs().get(unit)?)))
        .collect();
    let rule = Rule::once(run, scenario, choice.metric);
    // Measured against the floor: a session in which A/A differs by a per cent has nothing to warn of.
    let comparison = rule.compare(&copy, &original, stats::floor());
    let differs =
        comparison.is_some_and(|each| matches!(each.verdict, Verdict::Faster | Verdict::Slower));
    let in_order: Vec<f64> = logs.values().copied().collect();
    let merged = rule.is_merged(&copy, &original);
    (!logs.is_empty()).then(|| Placebo {
        scenario: scenario.to_owned(),
        choice,
        noise: rule.noise(comparison, &in_order, merged),
        logs,
        comparison,
        differs,
    })
}

/// The noise of a column as its placebo shows it; where the column has none, the 95th percentile (of
/// few, the largest) of that of the same figure in the other scenarios; zero without any.
///
/// With `evidence` it is what two sessions of so many blocks must expect of each other.
pub fn of_column(
    run: &Run,
    scenario: &str,
    choice: Choice,
    evidence: Option<Evidence>,
) -> stats::Noise {
    let of = |scenario: &str, choice: Choice| {
        let placebo = placebo(run, scenario, choice)?;
        let logs: Vec<f64> = placebo.logs.into_values().collect();
        Some(evidence.map_or(placebo.noise, |evidence| stats::Noise::of(&logs, evidence)))
    };
    of(scenario, choice).unwrap_or_else(|| {
        let elsewhere = |other: &String| of(other, primary::of(run, other, choice.metric));
        let found: Vec<stats::Noise> = run.scenarios.iter().filter_map(elsewhere).collect();
        let sizes: Vec<f64> = found.iter().map(|noise| noise.of_estimates).collect();
        stats::Noise {
            of_estimates: stats::percentile_95(&sizes).unwrap_or(0.0),
        }
    })
}

/// The A/A placebo in every scenario: by the figure that decides it, by throughput, server CPU, p50 and
/// p99.
pub fn placebos(run: &Run) -> Vec<Placebo> {
    let placebos = run.scenarios.iter().flat_map(|scenario| {
        let deciding = primary::choose(run, scenario);
        let figures = [
            Metric::Throughput,
            Metric::ServerCpu,
            Metric::P50,
            Metric::P99,
        ];
        let others = figures
            .map(|metric| primary::of(run, scenario, metric))
            .into_iter()
            .filter(move |choice| *choice != deciding);
        let choices = std::iter::once(deciding).chain(others);
        choices.filter_map(move |choice| placebo(run, scenario, choice))
    });
    placebos.collect()
}

/// The figures in which a server was found to differ from itself: `churn (p99 response)`.
pub fn differing(run: &Run) -> Vec<String> {
    let differing = placebos(run).into_iter().filter(|each| each.differs);
    let name = |each: Placebo| format!("{} ({})", each.scenario, each.choice.metric.name());
    differing.map(name).collect()
}

/// Wall time announced before the run and taken by it, seconds; `None` where it was not kept.
pub fn duration(run: &Run) -> Option<(f64, f64)> {
    let (announced, taken) = (run.env.announced_s, run.env.duration_s);
    (announced > 0.0 && taken > 0.0).then_some((announced, taken))
}

/// The trials of a validity in every pass, by scenario and row.
pub fn trials(run: &Run, validity: Validity) -> Vec<&Trial> {
    let mut found: Vec<&Trial> = run
        .trials
        .iter()
        .chain(&run.passes)
        .filter(|trial| trial.validity == validity)
        .collect();
    let scenario = |name: &str| run.scenarios.iter().position(|each| each == name);
    let row = |label: &str| run.rows.iter().position(|each| each.label == label);
    found.sort_by_key(|trial| {
        (
            scenario(&trial.scenario),
            row(&trial.label),
            trial.pass,
            Window::of(&trial.shape),
            trial.block,
        )
    });
    found
}

/// The generator's own behaviour in one window of one scenario, over all rows.
#[derive(Debug, Clone)]
pub struct Generator {
    pub scenario: String,
    /// The load.
    pub window: Window,
    /// Lateness p99 over trials: median and range, µs.
    pub late_p99_us: Option<Spread>,
    /// CPU share over trials: median and range.
    pub cpu_share: Option<Spread>,
    /// Most CPU time stolen by the hypervisor in one window, share.
    pub steal_share_max: Option<f64>,
    /// Median throughput of the null server, the most that machine and generator can do.
    pub null_rps: Option<f64>,
}

/// The generator in every window.
pub fn generators(run: &Run) -> Vec<Generator> {
    let generators = run.scenarios.iter().flat_map(|scenario| {
        let windows = run.windows(scenario).into_iter();
        windows.map(move |window| generator(run, scenario, window))
    });
    generators.collect()
}

fn generator(run: &Run, scenario: &str, window: Window) -> Generator {
    let figures: Vec<_> = run
        .trials
        .iter()
        .filter(|trial| trial.scenario == scenario && Window::of(&trial.shape) == window)
        .filter_map(|trial| Some((trial.role, trial.figures.as_ref()?)))
        .collect();
    let over = |pick: &dyn Fn(&crate::data::Figures) -> Option<f64>| {
        Spread::of(
            figures.iter().filter_map(|(_, each)| pick(each)),
            Evidence::Ranges,
        )
    };
    let null = figures.iter().filter(|(role, _)| *role == Role::Null);
    let null_rps = Spread::of(null.map(|(_, each)| each.throughput_rps), Evidence::Ranges);
    Generator {
        scenario: scenario.to_owned(),
        window,
        late_p99_us: over(&|each| each.generator_late_p99_us),
        cpu_share: over(&|each| each.generator_cpu_share),
        steal_share_max: over(&|each| each.steal_share).map(|spread| spread.high),
        null_rps: null_rps.map(|spread| spread.median),
    }
}

/// What the trials of a scenario are counted by.
pub const COUNTED: [&str; 5] = ["VALID", "LIMITED", "INVALID", "BLOCKS", "route not offered"];

/// Trials of a scenario, counted by [`COUNTED`].
pub fn counts(run: &Run, scenario: &str) -> [usize; 5] {
    let mut counts = [0; 5];
    for trial in run.trials.iter().filter(|trial| trial.scenario == scenario) {
        let place = match trial.validity {
            Validity::Valid => 0,
            Validity::Limited => 1,
            Validity::Invalid => 2,
            Validity::Blocks if !trial.lacks_route() => 3,
            Validity::Blocks => 4,
        };
        counts[place] += 1;
    }
    counts
}
