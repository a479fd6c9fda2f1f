//! The result as a table for people.

use std::fmt::Write;

use schema::Effect;
use schema::load::{Latency, LoadResult, Mode};

use crate::headline;

/// The table printed at the end of a run.
pub(crate) fn render(result: &LoadResult) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut text, result);
    text
}

fn write_all(text: &mut String, result: &LoadResult) -> std::fmt::Result {
    if let Some(line) = headline::of(result) {
        writeln!(text, "{line}")?;
    }
    let pipelined = match result.pipeline {
        1 => String::new(),
        n => format!(" x {n} in flight"),
    };
    let mode = match result.mode {
        Mode::Closed => "closed",
        Mode::Open => "open",
    };
    let thinks = match result.think_ms > 0.0 {
        true => format!(", {} ms of thinking", result.think_ms),
        false => String::new(),
    };
    let kind = match result.new_connection {
        true => " (one per request)".to_owned(),
        false if result.churn > 0.0 => format!(
            " kept and {} % of requests on their own",
            result.churn * 100.0
        ),
        false => String::new(),
    };
    writeln!(
        text,
        "{}: {} loop, {} connections{kind}{pipelined}{thinks}, {:.3} s",
        result.url, mode, result.connections, result.duration_s
    )?;
    let offered = result.rate_offered.map_or(String::new(), |offered| {
        format!(" of {} offered", rate(offered))
    });
    writeln!(
        text,
        "{} requests/s{offered}; {} of {} scheduled answered correctly; {:.1} in flight{}",
        rate(result.rate_achieved),
        result.requests,
        result.scheduled,
        result.mean_in_flight,
        match result.think_ms > 0.0 {
            true => format!(", {:.1} thinking", result.mean_thinking),
            false => String::new(),
        }
    )?;
    writeln!(
        text,
        "\n{:10}{:>11}{:>11}{:>11}{:>11}{:>11}",
        "", "p50", "p90", "p99", "p99.9", "max"
    )?;
    row(text, "response", &result.response_us)?;
    if let Some(asked) = &result.percentile {
        let value = figure(asked.response_us, asked.scheduled);
        let of = asked.scheduled;
        writeln!(text, "response p{}: {value}, of {of} requests", asked.asked)?;
    }
    row(text, "service", &result.service_us)?;
    row(text, "slip", &result.slip_us)?;
    if result.new_connection || result.churn > 0.0 || result.connections_lost > 0 {
        row(text, "connect", &result.connect_us)?;
    }
    writeln!(text)?;
    if !result.errors.is_empty() {
        let errors = result
            .errors
            .iter()
            .map(|(class, n)| format!("{class} {n}"));
        writeln!(text, "errors: {}", errors.collect::<Vec<_>>().join(", "))?;
    }
    // One 2xx for all is what is expected, and not worth a line.
    let usual = |status: &String| status.starts_with('2');
    if result.statuses.len() > 1 || !result.statuses.keys().all(usual) {
        writeln!(text, "statuses: {}", headline::counted(&result.statuses))?;
    }
    if !result.malformed.is_empty() {
        writeln!(text, "malformed: {}", headline::reasons(result))?;
    }
    let silent = result.silent_connections.unwrap_or(0);
    if silent > 0 && !result.new_connection {
        writeln!(text, "{silent} connections got no reply")?;
    }
    parts(text, result)?;
    extra_clients(text, result)?;
    let generator = &result.generator;
    writeln!(
        text,
        "generator: {:.2} µs CPU per request, {:.0} % CPU ({:.0} % polling), late p99 {}",
        generator.cpu_us_per_request.unwrap_or(0.0),
        generator.cpu_share.unwrap_or(0.0) * 100.0,
        generator.spin_share * 100.0,
        duration(generator.late_p99_us)
    )?;
    let verdict = match (result.valid, result.reasons.any(Effect::Invalidates)) {
        (true, _) => "valid",
        (false, false) => "limited",
        (false, true) => "not valid",
    };
    writeln!(text, "{verdict}")?;
    result
        .reasons
        .iter()
        .try_for_each(|reason| writeln!(text, "  {reason}"))
}

/// A line for each step of the profile and each kind of request.
fn parts(text: &mut String, result: &LoadResult) -> std::fmt::Result {
    let phases = result.phases.iter().map(|phase| {
        let name = format!("{} to {}/s", rate(phase.rate_from), rate(phase.rate_to));
        (name, phase.scheduled, phase.requests, phase.response_us)
    });
    let kinds = result.kinds.iter().map(|kind| {
        let name = format!("{} {}", kind.method, kind.path);
        (name, kind.scheduled, kind.requests, kind.response_us)
    });
    for (name, scheduled, requests, response) in phases.chain(kinds) {
        writeln!(
            text,
            "{name}: {requests} of {scheduled} answered correctly, p50 {}, p99 {}",
            figure(response.p50, scheduled),
            figure(response.p99, scheduled)
        )?;
    }
    Ok(())
}

/// A line for each sort of extra clients.
fn extra_clients(text: &mut String, result: &LoadResult) -> std::fmt::Result {
    if let Some(idle) = &result.idle {
        writeln!(
            text,
            "idle: {} of {} opened, {} open at the end",
            idle.opened, idle.asked, idle.open_at_end
        )?;
    }
    if let Some(slow) = &result.slow {
        for (name, side) in [("senders", &slow.senders), ("readers", &slow.readers)] {
            writeln!(
                text,
                "slow {name}: {} at a time, {} opened, {} closed by the server, {} requests finished",
                side.asked, side.opened, side.closed_by_server, side.finished
            )?;
        }
    }
    if let Some(poison) = &result.poison {
        writeln!(
            text,
            "poison: {} sent, {} answered, {} lost",
            poison.sent, poison.answered, poison.lost
        )?;
    }
    Ok(())
}

/// A number per second: whole, unless that would say too little.
fn rate(per_s: f64) -> String {
    match per_s {
        ..0.1 if per_s > 0.0 => format!("{per_s:.4}"),
        ..10.0 if per_s.fract() != 0.0 => format!("{per_s:.2}"),
        _ => format!("{per_s:.0}"),
    }
}

/// A percentile of a population that may be empty.
fn figure(us: Option<f64>, population: u64) -> String {
    if population == 0 {
        "-".to_owned()
    } else {
        duration(us)
    }
}

fn row(text: &mut String, name: &str, latency: &Latency) -> std::fmt::Result {
    write!(text, "{name:10}")?;
    for value in [
        latency.p50,
        latency.p90,
        latency.p99,
        latency.p999,
        latency.max,
    ] {
        write!(text, "{:>11}", figure(value, latency.count))?;
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
