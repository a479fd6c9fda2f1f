//! How predictions move: a fixed grid of workloads from the committed profile, beside what was predicted when
//! the grid was last written.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use advise::{Answer, Facts, Options};
use workload::Workload;

use crate::models;

/// Workloads of one and of two classes, short and long, that compute, block, await, stay, come and go.
fn grid() -> Vec<(String, Workload)> {
    let mut grid = Vec::new();
    for (name, class) in [
        ("short", "cpu_us = 10"),
        ("computes", "cpu_us = { exponential = 300 }"),
        ("blocks", "cpu_us = 50\nblocked_us = { exponential = 2000 }"),
        ("awaits", "cpu_us = 50\nwait_us = { exponential = 5000 }"),
        ("large", "cpu_us = 10\nreply_bytes = 65536"),
        (
            "mixed",
            "share = 0.99\ncpu_us = 100\n[[class]]\nshare = 0.01\ncpu_us = 10000",
        ),
    ] {
        for (load, head) in [
            ("few", "connections = 16"),
            ("idle", "connections = 500\nactive = 50"),
            ("churn", "connections = 32\nchurn = 1.0"),
        ] {
            let text =
                format!("rate = 100\n{head}\n[[class]]\n{class}\n[objective]\nresponse_ms = 60\n");
            let workload = Workload::parse(&text).expect(&text);
            grid.push((format!("{name}-{load}"), workload));
        }
    }
    grid
}

fn line(name: &str, answer: &Answer) -> String {
    match &answer.recommended {
        Some(chosen) => {
            let same =
                |c: &&advise::CandidateLine| c.model == chosen.model && c.variant == chosen.variant;
            let capacity = answer.candidates.iter().find(same);
            let rps = capacity
                .and_then(|c| c.capacity_rps)
                .map_or(0.0, |i| i.expected);
            format!("{name} {} {rps:.0}\n", chosen.model)
        }
        None => format!("{name} refused 0\n"),
    }
}

/// Prints each prediction beside the one that is written down (`--nocapture` shows them). An answer that has
/// become a refusal fails. `WRITE_GRID=1` writes the grid anew, for a change that is meant.
#[test]
fn predictions_over_a_fixed_grid_from_the_committed_profile() {
    let facts = Facts::read(&models::json()).expect("the catalogue");
    let profile = advise::read(super::REFERENCE).expect("the committed profile");
    let options = Options {
        brief: true,
        defaults: true,
        seed: 1,
        ..Options::default()
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/grid.txt");
    let mut now = String::new();
    for (name, workload) in grid() {
        let answer = advise::advise(&workload, &profile, &facts, &options).expect(&name);
        let _ = write!(now, "{}", line(&name, &answer));
    }
    if std::env::var_os("WRITE_GRID").is_some() {
        fs::write(&file, &now).expect("the grid is written");
    }
    let before = fs::read_to_string(&file).expect("reference/grid.txt, written with WRITE_GRID=1");
    let mut refused = Vec::new();
    for (was, is) in before.lines().zip(now.lines()) {
        let field = |line: &str, at: usize| line.split(' ').nth(at).unwrap_or_default().to_owned();
        let rps = |line: &str| field(line, 2).parse::<f64>().unwrap_or(0.0);
        assert_eq!(
            field(was, 0),
            field(is, 0),
            "the grid is another: WRITE_GRID=1"
        );
        let drift = (rps(is) / rps(was).max(1.0) - 1.0) * 100.0;
        println!("{was} -> {} {:.0} ({drift:+.1} %)", field(is, 1), rps(is));
        if field(is, 1) == "refused" && field(was, 1) != "refused" {
            refused.push(field(is, 0));
        }
    }
    assert_eq!(before.lines().count(), now.lines().count());
    assert!(
        refused.is_empty(),
        "answered before, and refused now: {refused:?}"
    );
}
