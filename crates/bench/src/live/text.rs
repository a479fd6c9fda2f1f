//! The outcome as a table and as JSON.

use report::format::{clock, micros, number, rate};

use super::args::Gate;
use super::counted;
use super::kind::{Kind, Said};
use super::verdict::{Figure, Outcome};

/// The outcome for a terminal.
pub fn table(outcome: &Outcome) -> String {
    let mut out = format!("A: {}\nB: {}\n", outcome.a, outcome.b);
    let path_b = outcome.path_b.as_ref();
    let path_b = path_b.map_or(String::new(), |path| format!(" of A and {path} of B"));
    let asked = format!("GET {}{path_b}", outcome.path);
    out.push_str(&match outcome.gate {
        Gate::Timed => format!(
            "{asked}, {} connections; {} offered for CPU and latency, a closed loop for throughput.\n{} rotations in {}, each server started {} times.\n\n",
            outcome.connections,
            rate(outcome.rate_rps),
            outcome.rotations,
            clock(outcome.taken_s),
            outcome.starts,
        ),
        Gate::Exact => format!(
            "{asked}, one client that waits for each answer; in {}.\n\n",
            clock(outcome.taken_s)
        ),
    });
    let names = ["A", "B"].map(|name| Some(name.to_owned()));
    row(&mut out, "", names, "B compared with A");
    if outcome.gate == Gate::Timed {
        timed(outcome, &mut out);
    }
    if outcome.gate == Gate::Timed && !outcome.counted.is_empty() {
        out.push_str("Counted per request, of one client that waits for each answer; this decides with --gate exact:\n");
    }
    for figure in &outcome.counted {
        let both = [figure.a, figure.b].map(|value| value.map(count));
        row(&mut out, figure.figure.name(), both, &counted_said(figure));
    }
    out.push('\n');
    for note in &outcome.notes {
        out.push_str(&format!("{note}\n"));
    }
    out.push_str(&format!("{}\n", conclusion(outcome)));
    out
}

fn timed(outcome: &Outcome, out: &mut String) {
    for figure in &outcome.figures {
        let shown = |value: Option<f64>| value.map(|value| shown(figure.figure, value));
        let both = [figure.a, figure.b].map(shown);
        row(out, figure.figure.name(), both, &said(figure));
    }
    if let [Some(a), Some(b)] = outcome.context_switches_per_request {
        let both = [a, b].map(|value| Some(format!("{value:.2}")));
        row(out, "context switches", both, "per request, not judged");
    }
}

fn row(out: &mut String, name: &str, [a, b]: [Option<String>; 2], said: &str) {
    let [a, b] = [&a, &b].map(|value| value.as_deref().unwrap_or("-"));
    out.push_str(&format!("{name:18} {a:>10} {b:>10}   {said}\n"));
}

/// `3.02`, or `14,210`.
fn count(value: f64) -> String {
    match value {
        few if few < 100.0 => format!("{few:.2}"),
        many => number(many.round()),
    }
}

/// `more: 12.0 % (11.8 to 12.3 %)`.
fn counted_said(figure: &counted::Figure) -> String {
    let (Some(ratio), Some(low), Some(high)) = (figure.ratio, figure.low, figure.high) else {
        return format!("not judged: {}", figure.why);
    };
    let difference = difference(ratio, low, high);
    match figure.said {
        Said::Slower => format!("more: {difference}"),
        Said::Faster => format!("less: {difference}"),
        Said::Equal => {
            let most = high.max(1.0 / low);
            format!("equal within {:.1} %", (most - 1.0) * 100.0)
        }
        Said::NotMore => format!("not more: {difference}"),
        Said::Undecided | Said::NotJudged => {
            let most = figure.smallest_slowdown.unwrap_or_default();
            format!("undecided: {difference}; {most:.1} % more would have shown")
        }
    }
}

fn shown(kind: Kind, value: f64) -> String {
    match kind {
        Kind::Throughput => rate(value),
        Kind::Cpu | Kind::P50 | Kind::P99 => micros(value),
    }
}

/// `4.8 % more (3.1 to 6.4 %)`.
fn difference(ratio: f64, low: f64, high: f64) -> String {
    let percent = |ratio: f64| (ratio - 1.0) * 100.0;
    let (size, interval) = match percent(ratio) {
        more if more >= 0.0 => (format!("{more:.1} % more"), (percent(low), percent(high))),
        less => (
            format!("{:.1} % less", -less),
            (-percent(high), -percent(low)),
        ),
    };
    format!("{size} ({:.1} to {:.1} %)", interval.0, interval.1)
}

/// `slower: 4.8 % more (3.1 to 6.4 %)`.
fn said(figure: &Figure) -> String {
    let (Some(ratio), Some(low), Some(high)) = (figure.ratio, figure.low, figure.high) else {
        return format!("not judged: {}", figure.why);
    };
    let difference = difference(ratio, low, high);
    match figure.said {
        Said::Slower | Said::Faster => {
            let word = match (figure.figure, figure.said) {
                (Kind::Cpu, Said::Slower) => "costlier",
                (Kind::Cpu, _) => "cheaper",
                (_, Said::Slower) => "slower",
                _ => "faster",
            };
            format!("{word}: {difference}")
        }
        Said::Equal => {
            let most = figure.differs_by_at_most.unwrap_or_default();
            format!("equal within {most:.1} %")
        }
        Said::Undecided | Said::NotMore | Said::NotJudged => {
            let most = figure.smallest_slowdown.unwrap_or_default();
            let more = figure
                .seconds_to_decide
                .map_or("for ever".to_owned(), |seconds| {
                    format!("about {} more", clock(seconds))
                });
            format!(
                "undecided: {difference}; a slowdown of {most:.1} % would have shown; to decide takes {more}"
            )
        }
    }
}

fn conclusion(outcome: &Outcome) -> String {
    let timed = outcome.figures.iter();
    let timed = timed.map(|figure| (figure.said, figure.figure.name()));
    let counted = outcome.counted.iter();
    let counted = counted.map(|figure| (figure.said, figure.figure.name()));
    let deciding: Vec<(Said, &str)> = match outcome.gate {
        Gate::Timed => timed.collect(),
        Gate::Exact => counted.collect(),
    };
    let names = |wanted: Said| {
        let found = deciding.iter().filter(|(said, _)| *said == wanted);
        found.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    };
    let more = match outcome.gate {
        Gate::Timed => "A longer run may: --seconds.",
        Gate::Exact => "What is counted varies too much for that.",
    };
    match outcome.exit {
        0 if outcome.gate == Gate::Exact => {
            "B does no more than A: an increase would have been seen.".to_owned()
        }
        0 => match names(Said::NotJudged) {
            unjudged if unjudged.is_empty() => {
                "B is not slower than A: a slowdown would have been seen.".to_owned()
            }
            unjudged => format!(
                "B is not slower than A in what was judged: a slowdown would have been seen there, and not in {unjudged}."
            ),
        },
        1 if names(Said::Slower).is_empty() => {
            "B is worse than A: it failed where A did not.".to_owned()
        }
        1 => format!("B is worse than A in {}.", names(Said::Slower)),
        _ => match names(Said::Undecided) {
            open if open.is_empty() => "It cannot be decided: too little was measured.".to_owned(),
            open => format!("It cannot be decided for {open}. {more}"),
        },
    }
}

/// The same for programs.
pub fn json(outcome: &Outcome) -> String {
    let json = serde_json::to_string_pretty(outcome);
    json.expect("numbers and strings always serialise") + "\n"
}
