//! Prints how often the rule is right in sessions simulated from the noise of runs:
//! `promises [--sessions N] [RUN...]`; of the recorded run of the tests and the latest one without RUN.

use std::path::{Path, PathBuf};

#[path = "../tests/simulated/mod.rs"]
mod simulated;

use simulated::{Noise, Session, Tally};

const SEED: u64 = 20_261_123;
/// A server this many times as costly is to be found.
const SLOWED: f64 = 1.1;
/// Promised: at most so many comparisons of equal servers declare a difference...
const EQUAL_MAX: f64 = 0.05;
/// ...and at least so many full sessions find the slowed one.
const FOUND_MIN: f64 = 0.9;

fn main() -> anyhow::Result<()> {
    let mut sessions = 200;
    let mut runs: Vec<PathBuf> = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--sessions" => sessions = args.next().unwrap_or_default().parse()?,
            _ => runs.push(arg.into()),
        }
    }
    if runs.is_empty() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let known = ["tests/recorded", "../../results/latest"].map(|name| here.join(name));
        runs.extend(known.into_iter().filter(|run| run.is_dir()));
    }
    println!(
        "SIMULATED sessions, {sessions} per figure, drawn from the noise of recorded trials; no server ran."
    );
    println!(
        "A/A: comparisons of equal servers with the best of their column that declare a difference; promised: at most 5 %."
    );
    println!(
        "10 %: sessions that declare a server slower that costs {SLOWED} times as much as the others; promised: at least 90 % of full ones."
    );
    println!(
        "Full: 16 blocks, windows of 2 s; same windows: 16 blocks, windows as recorded; quick: 3 blocks. 12 rows, or 48."
    );
    println!(
        "Compare: rows in which the second of two full sessions of one build is declared slower; and if it is 10 % slower."
    );
    for run in &runs {
        println!("\n{}\n", run.display());
        table(&simulated::noise(run)?, sessions);
    }
    Ok(())
}

fn table(columns: &[Noise], sessions: u32) {
    let heads = [
        "A/A full",
        "48 rows",
        "10 % full",
        "A/A same",
        "10 % same",
        "A/A quick",
        "48 rows",
        "compare",
        "10 %",
    ];
    let heads = heads.map(|head| format!("{head:>9}")).join(" | ");
    println!(
        "| {:15} | {:39} | {:>6} | {:>8} | {heads} | kept    |",
        "scenario", "figure", "trials", "noise"
    );
    println!("|{}|", ["---"; 14].join("|"));
    let mut sums = [Tally::default(); 9];
    for (decides, name) in [(true, "all that decide"), (false, "all")] {
        for noise in columns.iter().filter(|noise| noise.decides == decides) {
            let tallies = tallies(noise, sessions);
            let (trials, deviation) = (noise.trials.to_string(), percent(noise.deviation()));
            line(
                [&noise.scenario, &noise.figure, &trials, &deviation],
                &tallies,
            );
            for (sum, tally) in sums.iter_mut().zip(tallies) {
                sum.add(tally);
            }
        }
        line([name, "", "", ""], &sums);
    }
}

fn tallies(noise: &Noise, sessions: u32) -> [Tally; 9] {
    let full = Session::FULL;
    let wide = Session { rows: 48, ..full };
    let same = Session {
        window_s: None,
        ..full
    };
    let quick = Session::QUICK;
    let quick_wide = Session { rows: 48, ..quick };
    [
        noise.equal(full, sessions, SEED),
        noise.equal(wide, sessions / 4, SEED),
        noise.slowed(full, SLOWED, sessions, SEED),
        noise.equal(same, sessions, SEED),
        noise.slowed(same, SLOWED, sessions, SEED),
        noise.equal(quick, sessions, SEED),
        noise.equal(quick_wide, sessions / 4, SEED),
        noise.compared(full, 1.0, sessions, SEED),
        noise.compared(full, SLOWED, sessions / 4, SEED),
    ]
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn line([scenario, figure, trials, deviation]: [&str; 4], tallies: &[Tally; 9]) {
    let shares = tallies.map(|tally| format!("{:>9}", percent(tally.share())));
    let [equal, _, found, ..] = tallies.map(Tally::share);
    let kept = match (equal <= EQUAL_MAX, found >= FOUND_MIN) {
        (true, true) => "yes",
        (true, false) => "A/A",
        (false, true) => "10 %",
        (false, false) => "no",
    };
    println!(
        "| {scenario:15} | {figure:39} | {trials:>6} | {deviation:>8} | {} | {kept:7} |",
        shares.join(" | ")
    );
}
