//! The numbers that the rule is fed with: what each server cost in each block, column by column.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cell::State;
use crate::data::{Trial, Validity};
use crate::metric::Metric;
use crate::primary::{self, Choice};
use crate::read;
use crate::run::Run;
use crate::stats::INFINITE_LOG;

/// One figure under one load of one scenario.
#[derive(Debug, Clone)]
pub struct Column {
    /// `tiny-keepalive`.
    pub scenario: String,
    /// `server CPU per request, at 20,000/s`.
    pub figure: String,
    /// `true` for the figure that decides its scenario.
    pub decides: bool,
    /// What it was taken over, seconds.
    pub window_s: f64,
    /// Share of the trials that the gates left out.
    pub lost: f64,
    /// Of each server, the logarithmic cost of its VALID trials by block; infinite ones are left out.
    ///
    /// A trial counts whatever became of the server's others: the servers that passed every gate in
    /// every block are the quiet ones.
    pub rows: Vec<BTreeMap<u32, f64>>,
}

/// Every column of the run in `dir`.
///
/// # Errors
/// As [`crate::write`]: an unreadable run.
pub fn columns(dir: &Path) -> anyhow::Result<Vec<Column>> {
    let run = read::run(dir)?;
    let mut found = Vec::new();
    for scenario in &run.scenarios {
        let deciding = primary::choose(&run, scenario);
        for window in run.windows(scenario) {
            let mut metrics = match window.rate() {
                None => vec![Metric::Throughput],
                // Of a load in steps one percentile means little.
                Some(_) if run.is_stepped(scenario) => Vec::new(),
                Some(_) => vec![Metric::ServerCpu, Metric::P50, Metric::P99],
            };
            if window == deciding.window && !metrics.contains(&deciding.metric) {
                metrics.push(deciding.metric);
            }
            for metric in metrics {
                let choice = Choice { metric, window };
                found.extend(column(&run, scenario, choice, choice == deciding));
            }
        }
    }
    Ok(found)
}

/// `None` where it is not known what the figure was taken over.
fn column(run: &Run, scenario: &str, choice: Choice, decides: bool) -> Option<Column> {
    let (mut tried, mut lost) = (0.0, 0.0);
    let mut rows = Vec::new();
    let mut window_s = None;
    for row in &run.rows {
        let cell = run.cell(&row.label, scenario, choice.window);
        for trial in &cell.trials {
            tried += f64::from(u8::from(trial.validity != Validity::Blocks));
            lost += f64::from(u8::from(trial.validity == Validity::Invalid));
            window_s = window_s.or_else(|| taken_over_s(trial, choice.metric));
        }
        let mut costs = cell.costs_in(State::Valid, choice.metric);
        costs.retain(|_, cost| cost.abs() < INFINITE_LOG);
        rows.push(costs);
    }
    Some(Column {
        scenario: scenario.to_owned(),
        figure: format!("{}, {}", choice.metric.name(), choice.window.describe()),
        decides,
        window_s: window_s?,
        lost: lost / f64::max(tried, 1.0),
        rows,
    })
}

/// What the figure of a trial was taken over, seconds.
fn taken_over_s(trial: &Trial, metric: Metric) -> Option<f64> {
    let seconds = match metric {
        Metric::Goodput => trial.figures.as_ref()?.overload()?.duration_s,
        _ => trial.shape.duration_s,
    };
    (seconds > 0.0).then_some(seconds)
}
