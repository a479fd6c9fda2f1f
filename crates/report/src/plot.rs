//! The plots: what is drawn, and under which name it is kept.

mod memory;
mod overview;
mod panel;
mod percentiles;
mod rates;
mod rows;
mod search;
mod speed;
mod timeline;
mod verdict;

use crate::anchor::slug;
use crate::drawing::Plot;
use crate::envelope::Envelope;
use crate::session::Session;
use crate::svg::Svg;

/// One that needs no style of its own.
fn plain(name: impl Into<String>, svg: Svg) -> Plot {
    Plot {
        name: name.into(),
        svg,
        style: "",
    }
}

/// The plots of one kind, one for each scenario that has something to draw.
fn per_scenario(
    session: &Session,
    kind: &str,
    draw: fn(&Session, &str) -> Option<Svg>,
) -> Vec<Plot> {
    let plot = |scenario: &String| {
        let name = format!("{kind}-{}", slug(scenario));
        Some(plain(name, draw(session, scenario)?))
    };
    session.run.scenarios.iter().filter_map(plot).collect()
}

/// The deciding figure of `scenario` with its interval.
pub fn verdict(session: &Session, scenario: &str) -> Option<Svg> {
    verdict::draw(session, scenario)
}

/// p99 against offered rate.
pub fn rates(session: &Session) -> Vec<Plot> {
    per_scenario(session, "p99-by-rate", |session, scenario| {
        (!session.run.is_stepped(scenario)).then(|| rates::draw(session, scenario))?
    })
}

/// p99 against offered rate, from the searches for the capacity.
pub fn searches(session: &Session) -> Vec<Plot> {
    per_scenario(session, "p99-to-capacity", search::draw)
}

/// Loads in steps, slice by slice.
pub fn timelines(session: &Session) -> Vec<Plot> {
    let mut plots = per_scenario(session, "timeline-p99", |session, scenario| {
        timeline::draw(session, scenario, timeline::Side::P99)
    });
    plots.extend(per_scenario(
        session,
        "timeline-answers",
        |session, scenario| timeline::draw(session, scenario, timeline::Side::Answers),
    ));
    plots
}

/// Percentiles of response and service time.
pub fn percentiles(session: &Session) -> Vec<Plot> {
    per_scenario(session, "percentiles", |session, scenario| {
        (!session.run.is_stepped(scenario)).then(|| percentiles::draw(session, scenario))?
    })
}

/// Memory idle and under load.
pub fn memory(session: &Session) -> Vec<Plot> {
    let svg = memory::draw(session);
    svg.map(|svg| plain("memory", svg)).into_iter().collect()
}

/// The speed of the machine.
pub fn speed(session: &Session) -> Vec<Plot> {
    let svg = speed::draw(session);
    svg.map(|svg| plain("speed", svg)).into_iter().collect()
}

/// Every plot of the run.
pub fn all(session: &Session) -> Vec<Plot> {
    let envelope = session.envelope.iter().flat_map(Envelope::plots);
    if session.envelope_alone().is_some() {
        return envelope.collect();
    }
    let mut plots = vec![Plot {
        style: overview::STYLE,
        ..plain("overview", overview::draw(session))
    }];
    plots.extend(per_scenario(session, "verdict", verdict::draw));
    plots.extend(rates(session));
    plots.extend(searches(session));
    plots.extend(percentiles(session));
    plots.extend(memory(session));
    plots.extend(timelines(session));
    plots.extend(speed(session));
    plots.extend(envelope);
    plots
}
