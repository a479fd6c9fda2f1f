//! Slices in the place of trials: paired by rotation, percentiles merged, findings per figure.

mod fixture;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fixture::written::reported;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
use report::data::{Env, Grid, Role, Trial, Validity};
use schema::random::SplitMix64;
use schema::slice::Slice;
use schema::{Code, Effect, Figure, Reason};

const ROTATIONS: u32 = 12;

/// A quick run whose trials are cut into slices of which each rotation has a mood of its own.
fn run() -> (Env, Vec<Trial>) {
    let (env, trials) = fixture::run("quick", 3, 5);
    let mut slices = Vec::new();
    for trial in trials {
        if trial.figures.is_none() || trial.validity != Validity::Valid || !trial.pass.is_measure()
        {
            slices.push(trial);
            continue;
        }
        for rotation in 0..ROTATIONS {
            slices.push(slice(&trial, rotation));
        }
    }
    (env, slices)
}

fn slice(trial: &Trial, rotation: u32) -> Trial {
    // The same for every server of the rotation, and up to twice as slow as at other times.
    let mood = 1.0 + SplitMix64::new(u64::from(trial.block * 100 + rotation)).uniform();
    let mut slice = trial.clone();
    slice.id = format!("{}-{rotation}", trial.id);
    slice.slice = Some(Slice {
        rotation,
        position: 0,
        seconds: 0.3,
        began_s: None,
    });
    let figures = slice.figures.as_mut().expect("a figure");
    figures.throughput_rps /= mood;
    let cpu = &mut figures.server_cpu_us_per_request;
    *cpu = cpu.map(|us| us * mood);
    (figures.scheduled, figures.requests) = (100, 100);
    let mut histogram = Histogram::<u64>::new(3).expect("three digits");
    for n in 1..=100_u64 {
        histogram.record(n * 1_000).expect("it fits");
    }
    let mut bytes = Vec::new();
    let written = V2DeflateSerializer::new().serialize(&histogram, &mut bytes);
    written.expect("memory takes it");
    slice.response_hdr = Some(BASE64_STANDARD.encode(bytes));
    slice
}

/// The cell of the verdict matrix.
fn cell(files: &std::collections::BTreeMap<String, String>, model: &str, scenario: &str) -> String {
    let verdict = files["figures.md"]
        .split("## Verdict")
        .nth(1)
        .expect("a verdict");
    let mut lines = verdict.lines().filter(|line| line.starts_with('|'));
    let cells = |line: &str| {
        line.split('|')
            .map(|cell| cell.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let heads = cells(lines.next().expect("a head"));
    let column = heads
        .iter()
        .position(|head| head == scenario)
        .expect("the scenario");
    let line = lines
        .map(cells)
        .find(|line| line[1] == model)
        .expect("the model");
    line[column].clone()
}

#[test]
fn three_blocks_of_slices_give_intervals_and_a_mood_of_the_machine_cancels() {
    let (env, slices) = run();
    let files = reported("slices", &env, &fixture::ndjson(&slices)).expect("a report");
    // Three whole trials know no equivalence, and their ranges would span the moods.
    let matrix = files["figures.md"]
        .split("## Verdict")
        .nth(1)
        .expect("a verdict");
    assert!(
        matrix
            .lines()
            .any(|line| line.starts_with("| ") && line.contains('='))
    );
    let of_moods = cell(&files, "prefork", "cpu");
    let (_, trials) = fixture::run("quick", 3, 5);
    let whole = reported("whole", &env, &fixture::ndjson(&trials)).expect("a report");
    let of_trials = cell(&whole, "prefork", "cpu");
    let factor = |text: &str| -> f64 {
        let number = text.split('×').next().expect("a factor");
        number.parse().unwrap_or_else(|_| panic!("{text}"))
    };
    let apart = factor(&of_moods) / factor(&of_trials);
    assert!((apart - 1.0).abs() < 0.05, "{of_moods} {of_trials}");
}

#[test]
fn percentiles_are_those_of_the_merged_histograms() {
    let (env, slices) = run();
    let files = reported("merged", &env, &fixture::ndjson(&slices)).expect("a report");
    // Each slice has 1 to 100 µs: whatever its own percentiles say, the median of all is 50.
    let page = &files["index.html"];
    let start = page
        .find("prefork, latency: ")
        .expect("the cell of latency");
    let hover = &page[start..start + 80];
    assert!(hover.contains("latency: 50.0 µs"), "{hover}");
}

#[test]
fn a_late_generator_leaves_the_cpu_of_a_slice() {
    let (env, mut slices) = run();
    for slice in slices
        .iter_mut()
        .filter(|slice| slice.slice.is_some_and(|each| each.rotation == 0))
    {
        let late = Reason::new(Code::GeneratorLate, Effect::Invalidates, "late");
        slice.reasons = vec![late.spoiling(&[Figure::Latency])].into();
        slice.validity = Validity::Invalid;
    }
    let files = reported("late", &env, &fixture::ndjson(&slices)).expect("a report");
    let page = &files["index.html"];
    let sample = |cell: &str| {
        let rest = &page[page.find(cell).unwrap_or_else(|| panic!("{cell}"))..];
        let n = &rest[rest.find("n = ").expect("a sample") + 4..];
        n.split(|c: char| !c.is_ascii_digit())
            .next()
            .expect("digits")
            .to_owned()
    };
    assert_eq!(sample("prefork, cpu: "), (3 * ROTATIONS).to_string());
    assert_eq!(
        sample("prefork, latency: "),
        (3 * (ROTATIONS - 1)).to_string()
    );
}

/// A user who asks for the size of one server is not helped by a model that leads.
#[test]
fn the_sizes_of_a_server_are_ranked_among_themselves() {
    let (env, slices) = run();
    let mut all = slices.clone();
    for (threads, slower) in [(4, 2.0), (16, 1.2), (64, 1.6)] {
        let of_one = slices.iter().filter(|trial| trial.label == "prefork");
        all.extend(of_one.map(|trial| {
            let mut sized = trial.clone();
            sized.id = format!("{}-{threads}", trial.id);
            sized.label = format!("gunicorn gthread t{threads}");
            (sized.model, sized.role) = (sized.label.clone(), Role::Target);
            sized.grid = Some(Grid {
                name: "gunicorn gthread".into(),
                workers: None,
                threads: Some(threads),
            });
            if let Some(figures) = &mut sized.figures {
                figures.throughput_rps /= slower;
                let cpu = &mut figures.server_cpu_us_per_request;
                *cpu = cpu.map(|us| us * slower);
            }
            sized
        }));
    }
    let files = reported("sizes", &env, &fixture::ndjson(&all)).expect("a report");
    let summary = &files["summary.md"];
    let (_, own) = summary
        .split_once("The sizes of gunicorn gthread among themselves:")
        .expect("a paragraph of its own");
    let line = own.lines().find(|line| line.starts_with("- cpu: "));
    let line = line.expect("a scenario");
    assert!(
        line.starts_with("- cpu: **16 threads** wins: 64 threads"),
        "{line}"
    );
    // All of them are rows of the one matrix, beside the models.
    let verdict = summary.split("## Verdict").nth(1).expect("a verdict");
    for row in [
        "| prefork ",
        "| gunicorn gthread t4 ",
        "| gunicorn gthread t64 ",
    ] {
        assert!(verdict.lines().any(|line| line.starts_with(row)), "{row}");
    }
    let page = &files["index.html"];
    fixture::written::balanced("sizes", page);
    assert!(page.contains("<b>16 threads</b>"));
    // Without a grid nothing is said of sizes.
    let plain = reported("plain", &env, &fixture::ndjson(&slices)).expect("a report");
    assert!(!plain["summary.md"].contains("The sizes of"));
}
