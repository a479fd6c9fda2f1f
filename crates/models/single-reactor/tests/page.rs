//! The loop on this model's page is the loop that runs.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

const PAGE: &str = include_str!("../src/lib.rs");
const REACTOR: &str = include_str!("../../../reactor/src/reactor.rs");

#[test]
fn the_page_shows_the_real_loop() {
    let (_, shown) = PAGE.split_once("//! ```ignore\n").unwrap();
    let (shown, _) = shown.split_once("//! ```\n").unwrap();
    let shown: Vec<_> = shown
        .lines()
        .map(|line| line.trim_start_matches("//!").trim())
        .collect();
    let real: Vec<_> = REACTOR.lines().map(str::trim).collect();
    assert!(shown.len() > 10 && shown[0] == "while !self.is_done() {");
    assert!(
        real.windows(shown.len()).any(|lines| lines == shown),
        "reactor.rs does not have these lines:\n{}",
        shown.join("\n")
    );
}
