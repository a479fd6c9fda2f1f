//! The two promises of the rule, in sessions simulated from the reference run's noise. No server
//! runs here; `cargo run --release -p report --example promises` prints every column.

use std::path::Path;

use report::promises::{self, Noise, Session, Tally};

const SEED: u64 = 7;
/// Ten blocks with windows as long as three of the recorded ones: a full session.
const FULL: Session = Session {
    rows: 12,
    blocks: 10,
    windows: 3,
};
const QUICK: Session = Session {
    rows: 12,
    blocks: 3,
    windows: 1,
};

fn columns() -> Vec<Noise> {
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/../../results/reference");
    promises::noise(Path::new(reference)).expect("the reference run")
}

fn sum(columns: &[Noise], of: impl Fn(&Noise) -> Tally) -> Tally {
    let mut sum = Tally::default();
    columns.iter().for_each(|column| sum.add(of(column)));
    sum
}

#[test]
fn equal_servers_are_told_apart_in_less_than_one_comparison_in_twenty() {
    let columns = columns();
    assert!(columns.len() > 20, "{} columns", columns.len());
    for (name, session) in [("full", FULL), ("quick", QUICK)] {
        let tally = sum(&columns, |noise| noise.equal(session, 4, SEED));
        assert!(tally.asked > 500, "{name}: {tally:?}");
        assert!(tally.share() <= 0.05, "{name}: {tally:?}");
    }
}

#[test]
fn a_server_ten_percent_slower_is_found_in_nine_full_sessions_of_ten() {
    let mut columns = columns();
    columns.retain(|noise| noise.decides);
    assert!(columns.len() >= 5, "{} columns decide", columns.len());
    let tally = sum(&columns, |noise| noise.slowed(FULL, 1.1, 20, SEED));
    assert!(tally.share() >= 0.9, "{tally:?}");
    // And not because everything is called slower: by 1 % nothing is.
    let tally = sum(&columns, |noise| noise.slowed(FULL, 1.01, 10, SEED));
    assert!(tally.share() <= 0.1, "{tally:?}");
}

#[test]
fn two_sessions_of_one_build_hold_no_regression() {
    let columns = columns();
    let tally = sum(&columns, |noise| noise.compared(FULL, 1.0, 2, SEED));
    assert!(tally.asked > 500 && tally.share() <= 0.01, "{tally:?}");
    let mut columns = columns;
    columns.retain(|noise| noise.decides && noise.deviation() < 0.04);
    let tally = sum(&columns, |noise| noise.compared(FULL, 1.1, 4, SEED));
    assert!(tally.share() >= 0.9, "{tally:?}");
}
