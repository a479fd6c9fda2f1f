//! The plots: what is drawn, and under which name it is kept.

mod memory;
mod overview;
mod panel;
mod percentiles;
mod rates;
mod search;
mod timeline;
mod verdict;

use crate::anchor::slug;
use crate::run::Run;
use crate::svg::Svg;

/// A drawing with its file name.
#[derive(Debug, Clone)]
pub struct Plot {
    /// File name below `plots/`, without `.svg`.
    pub name: String,
    /// The drawing.
    pub svg: Svg,
    /// Style rules it needs beyond the common ones.
    pub style: &'static str,
}

/// The plots of one kind, one a scenario that has something to draw.
fn per_scenario(run: &Run, kind: &str, draw: fn(&Run, &str) -> Option<Svg>) -> Vec<Plot> {
    let plot = |scenario: &String| {
        let name = format!("{kind}-{}", slug(scenario));
        Some(Plot {
            name,
            svg: draw(run, scenario)?,
            style: "",
        })
    };
    run.scenarios.iter().filter_map(plot).collect()
}

/// The deciding figure of each scenario with its interval.
pub fn verdicts(run: &Run) -> Vec<Plot> {
    per_scenario(run, "verdict", verdict::draw)
}

/// p99 against offered rate.
pub fn rates(run: &Run) -> Vec<Plot> {
    per_scenario(run, "p99-by-rate", |run, scenario| {
        (!run.is_stepped(scenario)).then(|| rates::draw(run, scenario))?
    })
}

/// p99 against offered rate, from the searches for the capacity.
pub fn searches(run: &Run) -> Vec<Plot> {
    per_scenario(run, "p99-to-capacity", search::draw)
}

/// Loads in steps, slice by slice.
pub fn timelines(run: &Run) -> Vec<Plot> {
    let mut plots = per_scenario(run, "timeline-p99", |run, scenario| {
        timeline::draw(run, scenario, timeline::Side::P99)
    });
    plots.extend(per_scenario(run, "timeline-answers", |run, scenario| {
        timeline::draw(run, scenario, timeline::Side::Answers)
    }));
    plots
}

/// Percentiles of response and service time.
pub fn percentiles(run: &Run) -> Vec<Plot> {
    per_scenario(run, "percentiles", |run, scenario| {
        (!run.is_stepped(scenario)).then(|| percentiles::draw(run, scenario))?
    })
}

/// Memory idle and under load.
pub fn memory(run: &Run) -> Vec<Plot> {
    let svg = memory::draw(run);
    svg.map(|svg| Plot {
        name: "memory".to_owned(),
        svg,
        style: "",
    })
    .into_iter()
    .collect()
}

/// Every plot of the run.
pub fn all(run: &Run) -> Vec<Plot> {
    let overview = overview::draw(run);
    let overview = Plot {
        name: "overview".to_owned(),
        svg: overview,
        style: overview::STYLE,
    };
    let mut plots = vec![overview];
    plots.extend(verdicts(run));
    plots.extend(rates(run));
    plots.extend(searches(run));
    plots.extend(percentiles(run));
    plots.extend(memory(run));
    plots.extend(timelines(run));
    plots
}
