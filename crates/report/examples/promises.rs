//! Prints how often the rule is right in sessions simulated from a run's noise:
//! `promises [RUN [SESSIONS]]`.

use std::path::PathBuf;

use report::promises::{self, Noise, Session, Tally};

const SEED: u64 = 20_261_123;
/// A server this many times as costly is to be found.
const SLOWED: f64 = 1.1;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/../../results/reference");
    let run = PathBuf::from(args.next().unwrap_or_else(|| reference.to_owned()));
    let sessions = args.next().map_or(Ok(200), |text| text.parse())?;
    let noise = promises::noise(&run)?;
    println!(
        "SIMULATED sessions, {sessions} a column, drawn from the noise of recorded trials; no server ran."
    );
    println!(
        "A/A: comparisons of equal servers with the best of their column that declare a difference (promised: at most 5 %)."
    );
    println!(
        "10 %: sessions that declare a server slower that costs {SLOWED} times the others (promised: 90 % in full sessions)."
    );
    println!(
        "Full: 10 blocks, windows of three recorded ones; as recorded: 10 blocks, windows as recorded. 12 rows unless named."
    );
    println!(
        "Compare: rows in which the second of two sessions of one build is declared slower; and if it is 10 % slower.\n"
    );
    println!(
        "{:62} {:>6} | {:>6} {:>6} {:>6} | {:>6} {:>6} | {:>6} {:>6} | {:>7} {:>6}",
        "column (* decides its scenario)",
        "noise",
        "full",
        "48 row",
        "10 %",
        "as rec",
        "10 %",
        "quick",
        "48 row",
        "compare",
        "10 %"
    );
    let mut sums = [Tally::default(); 9];
    for decides in [true, false] {
        for noise in noise.iter().filter(|noise| noise.decides == decides) {
            let tallies = tallies(noise, sessions);
            line(
                &format!("{}{}", if decides { "* " } else { "  " }, noise.name),
                Some(noise.deviation()),
                &tallies,
            );
            for (sum, tally) in sums.iter_mut().zip(tallies) {
                sum.add(tally);
            }
        }
        line(if decides { "all that decide" } else { "all" }, None, &sums);
    }
    Ok(())
}

fn tallies(noise: &Noise, sessions: u32) -> [Tally; 9] {
    let full = Session {
        rows: 12,
        blocks: 10,
        windows: 3,
    };
    let wide = Session { rows: 48, ..full };
    let short = Session { windows: 1, ..full };
    let quick = Session { blocks: 3, ..short };
    let quick_wide = Session { rows: 48, ..quick };
    [
        noise.equal(full, sessions, SEED),
        noise.equal(wide, sessions / 4, SEED),
        noise.slowed(full, SLOWED, sessions, SEED),
        noise.equal(short, sessions, SEED),
        noise.slowed(short, SLOWED, sessions, SEED),
        noise.equal(quick, sessions, SEED),
        noise.equal(quick_wide, sessions / 4, SEED),
        noise.compared(full, 1.0, sessions, SEED),
        noise.compared(full, SLOWED, sessions / 4, SEED),
    ]
}

fn line(name: &str, deviation: Option<f64>, tallies: &[Tally; 9]) {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let deviation = deviation.map_or(String::new(), percent);
    let [a, b, c, d, e, f, g, h, i] = tallies.map(|tally| percent(tally.share()));
    println!(
        "{name:62} {deviation:>6} | {a:>6} {b:>6} {c:>6} | {d:>6} {e:>6} | {f:>6} {g:>6} | {h:>7} {i:>6}"
    );
}
