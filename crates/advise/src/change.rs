//! What would change the answer: each input from half to twice.

use workload::{Offered, Workload};

use crate::candidate::Candidate;
use crate::facts::Facts;
use crate::question::{Found, Question, parallel};
use crate::rules;
use crate::tiers::coarse_choice;

/// Candidates that are tried with a changed input.
const TRIED: usize = 5;
/// Requests of each simulation.
const MANY: usize = 3_000;
/// Halvings of the way to a change.
const STEPS: u32 = 3;

/// An input of the question.
struct Input {
    name: &'static str,
    unit: &'static str,
    at: fn(&Workload) -> f64,
    set: fn(&mut Workload, f64),
}

fn scale(
    workload: &mut Workload,
    of: fn(&mut workload::Class) -> &mut workload::Distribution,
    by: f64,
) {
    for class in &mut workload.classes {
        let scaled = of(class).scaled(by);
        *of(class) = scaled;
    }
}

const INPUTS: &[Input] = &[
    Input {
        name: "CPU per request",
        unit: " µs",
        at: |w| w.means_us()[0],
        set: |w, by| scale(w, |c| &mut c.cpu_us, by),
    },
    Input {
        name: "blocked time",
        unit: " µs",
        at: |w| w.means_us()[1],
        set: |w, by| scale(w, |c| &mut c.blocked_us, by),
    },
    Input {
        name: "awaited time",
        unit: " µs",
        at: |w| w.means_us()[2],
        set: |w, by| scale(w, |c| &mut c.wait_us, by),
    },
    Input {
        name: "connections",
        unit: "",
        at: |w| f64::from(w.connections),
        set: |w, by| {
            if let Offered::Open { .. } = w.offered {
                w.connections = ((f64::from(w.connections) * by) as u32).max(1);
                w.active = ((f64::from(w.active) * by) as u32).clamp(1, w.connections);
            }
        },
    },
    Input {
        name: "churn",
        unit: "",
        at: |w| w.churn,
        set: |w, by| w.churn = (w.churn * by).min(1.0),
    },
    Input {
        name: "the objective's time",
        unit: " ms",
        at: |w| w.objective.response_ms,
        set: |w, by| w.objective.response_ms *= by,
    },
    Input {
        name: "bytes of a reply",
        unit: "",
        at: |w| {
            w.classes
                .iter()
                .map(|c| c.share * c.reply_bytes as f64)
                .sum()
        },
        set: |w, by| {
            for class in &mut w.classes {
                class.reply_bytes = (class.reply_bytes as f64 * by) as u64;
            }
        },
    },
];

/// One line for each input whose half or double has another answer, with the value at which it turns.
pub(crate) fn search(
    question: &Question<'_>,
    facts: &[Facts],
    found: &[Found],
    chosen: usize,
) -> Vec<String> {
    let rivals = rivals(facts, found, chosen);
    let chooses = |workload: &Workload| -> Option<String> {
        let question = Question::new(workload, question.profile, question.known, question.seed);
        let able = rivals
            .iter()
            .filter(|f| rules::by_design(f, workload).is_none());
        let able =
            able.filter_map(|f| Candidate::of(f, &question.priced, workload, question.cores));
        let able = able.filter(|c| rules::by_memory(c, workload).is_none());
        let found = question.coarse_serial(able.collect(), MANY);
        coarse_choice(&found).map(|at| found[at].candidate.facts.label())
    };
    let with = |by: f64, input: &Input| {
        let mut workload = question.workload.clone();
        (input.set)(&mut workload, by);
        chooses(&workload)
    };
    // With the same few requests, so that a difference is one of the input.
    let Some(as_is) = chooses(question.workload) else {
        return Vec::new();
    };
    let matters = |input: &&Input| (input.at)(question.workload) > 0.0;
    let inputs: Vec<&Input> = INPUTS.iter().filter(matters).collect();
    let lines = parallel(inputs, |input| {
        let turns = [(2.0, "above"), (0.5, "below")]
            .into_iter()
            .filter_map(|(end, side)| {
                let other = with(end, input);
                if other.as_ref() == Some(&as_is) {
                    return None;
                }
                let (mut same, mut turned, mut to) = (1.0, end, other);
                for _ in 0..STEPS {
                    let middle = f64::sqrt(same * turned);
                    match with(middle, input) {
                        Some(label) if label == as_is => same = middle,
                        label => (turned, to) = (middle, label),
                    }
                }
                let at = (input.at)(question.workload) * f64::sqrt(same * turned);
                let to = to.unwrap_or_else(|| "none that keeps the objective".into());
                Some(format!(
                    "{side} {}{} of {}: {to}",
                    rounded(at),
                    input.unit,
                    input.name
                ))
            });
        turns.collect::<Vec<String>>()
    });
    lines.into_iter().flatten().collect()
}

/// The chosen, the best, and the best of each arrangement that is not among them.
fn rivals(facts: &[Facts], found: &[Found], chosen: usize) -> Vec<Facts> {
    let mut rivals: Vec<Facts> = vec![found[chosen].candidate.facts.clone()];
    for f in found.iter().map(|f| &f.candidate.facts).chain(facts) {
        let alike = |r: &Facts| r.topology == f.topology && r.workers == f.workers;
        if rivals.len() < TRIED && !rivals.iter().any(alike) {
            rivals.push(f.clone());
        }
    }
    rivals
}

fn rounded(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

impl Question<'_> {
    /// As [`Question::coarse`], on this thread, and without those whose bound lies below the best.
    fn coarse_serial(&self, candidates: Vec<Candidate>, many: usize) -> Vec<Found> {
        let trace = self.trace(many);
        let mut candidates = candidates;
        let bound = |c: &Candidate| c.rate_max(self.workload);
        candidates.sort_by(|a, b| bound(b).total_cmp(&bound(a)));
        let mut best = 0.0;
        let mut found = Vec::new();
        for candidate in candidates {
            let mut of = Found {
                expected: 0.0,
                factor: 0.0,
                candidate,
            };
            if bound(&of.candidate) >= best * 0.9 {
                let capacity = self.capacity(&of.candidate, &trace, None, 0.06);
                of = Found::new(of.candidate, &capacity);
            }
            best = f64::max(best, of.expected);
            found.push(of);
        }
        found.sort_by(|a, b| b.expected.total_cmp(&a.expected));
        found
    }
}
