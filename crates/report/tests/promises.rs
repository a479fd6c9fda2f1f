//! The two promises of the rule, in sessions simulated from the noise of a recorded run. No server
//! runs here; `cargo run --release -p report --example promises` prints every column.

use std::path::Path;

mod simulated;

use simulated::{FULL_BLOCKS, FULL_WINDOW_S, Noise, QUICK_BLOCKS, Session, Tally};

const SEED: u64 = 7;
const FULL: Session = Session::FULL;
const QUICK: Session = Session::QUICK;

fn columns() -> Vec<Noise> {
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded");
    simulated::noise(Path::new(recorded)).expect("the recorded run")
}

fn sum(columns: &[Noise], of: impl Fn(&Noise) -> Tally) -> Tally {
    let mut sum = Tally::default();
    columns.iter().for_each(|column| sum.add(of(column)));
    sum
}

/// The sizes that the sessions take their windows and blocks from: `bench` depends on this crate, so
/// they are read from its source.
#[test]
fn the_sessions_are_as_long_as_the_sizes_of_the_bench() {
    let source = include_str!("../../bench/src/plan/size.rs");
    let after = |text: &'static str, mark: &str| {
        let rest = text.split_once(mark);
        rest.unwrap_or_else(|| panic!("{mark} in size.rs")).1
    };
    let full = after(source, "Self::Full => Windows {");
    let full = full.split_once('}').expect("the end of it").0;
    let ms = (FULL_WINDOW_S * 1000.0) as u32;
    for window in ["closed", "open", "poison"] {
        assert!(full.contains(&format!("{window}: ms({ms})")), "{full}");
    }
    let overload = after(full, "overload: [ms(");
    assert!(
        overload.contains(&format!("), ms({ms}), ms(")),
        "{overload}"
    );
    let blocks = after(source, "fn blocks(self)");
    for (size, blocks_of) in [("Full", FULL_BLOCKS), ("Quick", QUICK_BLOCKS)] {
        assert!(blocks.contains(&format!("Self::{size} => {blocks_of},")));
    }
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

/// Held over the deciding figures, and in every column whose trials vary by less than 4 %; where they
/// vary by more, interval and zone hide such a server more often. The example prints every column.
#[test]
fn a_server_ten_percent_slower_is_found_in_nine_full_sessions_of_ten() {
    let columns = columns();
    let calm = columns.iter().filter(|noise| noise.deviation() < 0.04);
    let mut count = 0;
    for noise in calm {
        count += 1;
        let tally = noise.slowed(FULL, 1.1, 40, SEED);
        assert!(
            tally.share() >= 0.9,
            "{} {}, {} trials: {tally:?}",
            noise.scenario,
            noise.figure,
            noise.trials
        );
        // And not because everything is called slower: by 1 % nothing is.
        let tally = noise.slowed(FULL, 1.01, 20, SEED);
        assert!(
            tally.share() <= 0.1,
            "{} {}, {} trials: {tally:?}",
            noise.scenario,
            noise.figure,
            noise.trials
        );
    }
    assert!(count >= 5, "{count} calm columns");
    let mut deciding = columns;
    deciding.retain(|noise| noise.decides);
    assert!(deciding.len() >= 5, "{} columns decide", deciding.len());
    let tally = sum(&deciding, |noise| noise.slowed(FULL, 1.1, 40, SEED));
    assert!(tally.share() >= 0.9, "{tally:?}");
}

#[test]
fn two_sessions_of_one_build_hold_no_regression() {
    let columns = columns();
    let tally = sum(&columns, |noise| noise.compared(FULL, 1.0, 2, SEED));
    assert!(tally.asked > 500 && tally.share() <= 0.01, "{tally:?}");
    let mut columns = columns;
    columns.retain(|noise| noise.decides && noise.deviation() < 0.025);
    let tally = sum(&columns, |noise| noise.compared(FULL, 1.1, 4, SEED));
    assert!(tally.share() >= 0.9, "{tally:?}");
}
