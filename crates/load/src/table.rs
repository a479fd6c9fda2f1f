//! The result for people.

use std::fmt::Write;

use crate::outcome::Outcome;
use crate::spread::Spread;

/// The table printed at the end of a run.
pub(crate) fn render(outcome: &Outcome) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut text, outcome);
    text
}

fn write_all(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let pipelined = match outcome.pipeline {
        1 => String::new(),
        n => format!(" x {n} in flight"),
    };
    let kind = if outcome.new_connection {
        " (one a request)"
    } else {
        ""
    };
    writeln!(
        text,
        "{}: {} loop, {} connections{kind}{pipelined}, {:.3} s",
        outcome.url, outcome.mode, outcome.connections, outcome.duration_s
    )?;
    let offered = outcome
        .rate_offered
        .map_or(String::new(), |rate| format!(" of {rate:.0} offered"));
    writeln!(
        text,
        "{:.0} requests/s{offered}; {} of {} scheduled answered correctly; {:.1} in flight",
        outcome.rate_achieved, outcome.requests, outcome.scheduled, outcome.mean_in_flight
    )?;
    writeln!(
        text,
        "\n{:10}{:>11}{:>11}{:>11}{:>11}{:>11}",
        "", "p50", "p90", "p99", "p99.9", "max"
    )?;
    row(text, "response", &outcome.response_us)?;
    row(text, "service", &outcome.service_us)?;
    row(text, "slip", &outcome.slip_us)?;
    if outcome.new_connection || outcome.connections_lost > 0 {
        row(text, "connect", &outcome.connect_us)?;
    }
    writeln!(text)?;
    if !outcome.errors.is_empty() {
        let errors = outcome
            .errors
            .iter()
            .map(|(class, n)| format!("{class} {n}"));
        writeln!(text, "errors: {}", errors.collect::<Vec<_>>().join(", "))?;
    }
    if outcome.silent_connections > 0 && !outcome.new_connection {
        writeln!(
            text,
            "{} connections got no reply",
            outcome.silent_connections
        )?;
    }
    let generator = &outcome.generator;
    writeln!(
        text,
        "generator: {:.2} µs CPU a request, {:.0} % CPU ({:.0} % polling), late p99 {}",
        generator.cpu_us_per_request,
        generator.cpu_share * 100.0,
        generator.spin_share * 100.0,
        duration(Some(generator.late_p99_us))
    )?;
    let limited = outcome
        .reasons
        .iter()
        .all(|reason| reason.starts_with("limited:"));
    let verdict = match (outcome.valid, limited) {
        (true, _) => "valid",
        (false, true) => "limited",
        (false, false) => "not valid",
    };
    writeln!(text, "{verdict}")?;
    outcome
        .reasons
        .iter()
        .try_for_each(|reason| writeln!(text, "  {reason}"))
}

fn row(text: &mut String, name: &str, spread: &Spread) -> std::fmt::Result {
    write!(text, "{name:10}")?;
    let nothing = spread.count == 0;
    for value in [spread.p50, spread.p90, spread.p99, spread.p999, spread.max] {
        let cell = if nothing && value.is_none() {
            "-".to_owned()
        } else {
            duration(value)
        };
        write!(text, "{cell:>11}")?;
    }
    writeln!(text)
}

/// A number of microseconds with the unit that suits it.
fn duration(us: Option<f64>) -> String {
    match us {
        None => "infinite".to_owned(),
        Some(us) if us < 1e3 => format!("{us:.1} µs"),
        Some(us) if us < 1e6 => format!("{:.2} ms", us / 1e3),
        Some(us) => format!("{:.3} s", us / 1e6),
    }
}
