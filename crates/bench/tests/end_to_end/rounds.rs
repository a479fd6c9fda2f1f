//! Rounds until verdicts are settled: what is measured, how it ends, how it is resumed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use report::data::{Pass, Trial};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Folder, command, env, run, trials};

const ROUNDS: &str = "--until 10% --size smoke --models prefork,single-reactor --scenarios latency,cpu \
                      --seed 3 --out rounds";

pub fn what_cannot_be_settled_is_refused(folder: &Folder) {
    for (args, says) in [
        ("--until x", "--until 'x': a percentage"),
        ("--minutes 0", "--minutes 0: more than 0"),
        (
            "--minutes 1 --scenarios overload,poison",
            "none of these scenarios is measured in slices",
        ),
        (
            "--minutes 0.02 --scenarios cpu",
            "the first verdicts take about",
        ),
        (
            "--resume results/latest --until 3%",
            "it has a fixed length",
        ),
    ] {
        let output = run(
            folder,
            &format!("--models single-reactor {args}")
                .replace("--models single-reactor --resume", "--resume"),
        );
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args}: {error}");
        assert!(
            error.contains(says) && error.trim_end().lines().count() == 1,
            "{args}: {error}"
        );
    }
}

/// Rotations of each load in which all of `labels` were loaded, by scenario and round.
fn whole(trials: &[Trial], labels: &[&str]) -> BTreeMap<(String, u32, bool), usize> {
    let mut seen: BTreeMap<(String, u32, u32, bool), BTreeSet<&str>> = BTreeMap::new();
    for trial in trials {
        if let Some(slice) = trial.slice {
            let closed = trial.shape.rate.is_none();
            let key = (trial.scenario.clone(), trial.block, slice.rotation, closed);
            seen.entry(key).or_default().insert(&trial.label);
        }
    }
    let mut whole = BTreeMap::new();
    for ((scenario, block, _, closed), there) in seen {
        if labels.iter().all(|label| there.contains(label)) {
            *whole.entry((scenario, block, closed)).or_default() += 1;
        }
    }
    whole
}

pub fn rounds_go_on_where_verdicts_are_open(folder: &Folder) {
    let path = folder.0.join("rounds");
    // The first session is ended by Ctrl-C in its second round.
    let mut first = command(folder, ROUNDS);
    let mut first = first.stderr(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(first.stderr.take().expect("piped")).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line.starts_with("round 2, latency"))));
    let pid = Pid::from_raw(i32::try_from(first.id()).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::INT).expect("it runs");
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(first.wait().expect("it ends").code(), Some(130), "{rest:?}");
    let half = env(&path);
    assert!(!half.complete && half.duration_s > 0.0);
    let kept = fs::read_to_string(path.join("trials.ndjson")).expect("trials");

    let output = run(folder, "--resume rounds --until 5%");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("was begun with --until 10%, not 5%"),
        "{error}"
    );

    let output = run(folder, "--resume rounds");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let after = fs::read_to_string(path.join("trials.ndjson")).expect("trials");
    assert!(after.starts_with(&kept), "what was there is not touched");
    the_first_look_holds_everything(&trials(&path));
    let now = env(&path);
    let how = now.sequential.expect("it says how");
    assert!(
        now.complete && (how.until_percent, how.rotations_max, how.minutes) == (10.0, 24, None)
    );
    // One line per verdict, and how many are open.
    assert!(
        error.contains("cpu: ") && error.contains("latency: "),
        "{error}"
    );
    let summary = fs::read_to_string(path.join("summary.md")).expect("a summary");
    assert!(summary.contains("settled to within 10 %"), "{summary}");

    let output = run(folder, "--resume rounds");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("rounds is finished"), "{said}");
    let finished = fs::read_to_string(path.join("trials.ndjson")).expect("trials");
    assert_eq!(finished, after, "nothing is measured again");
}

fn the_first_look_holds_everything(trials: &[Trial]) {
    let labels = ["null", "prefork", "single-reactor"];
    let whole = whole(trials, &labels);
    for scenario in ["latency", "cpu"] {
        for round in 0..2 {
            let here = trials
                .iter()
                .filter(|t| t.scenario == scenario && t.block == round);
            let loads: BTreeSet<bool> = here
                .clone()
                .filter(|t| t.slice.is_some())
                .map(|t| t.shape.rate.is_none())
                .collect();
            for closed in loads {
                let count = whole.get(&(scenario.to_owned(), round, closed)).copied();
                assert!(count >= Some(6), "{scenario}, round {round}: {whole:?}");
            }
            assert!(
                here.clone().any(|t| t.pass == Pass::Drain),
                "servers are ended"
            );
        }
        // Later rounds measure the load that decides, and no more rotations than there may be.
        let later = trials
            .iter()
            .filter(|t| t.scenario == scenario && t.block >= 2);
        let loads: BTreeSet<Option<u64>> = later
            .filter(|t| t.slice.is_some())
            .map(|t| t.shape.rate.map(|rate| rate as u64))
            .collect();
        assert!(loads.len() <= 2, "{scenario}: {loads:?}");
        assert!(
            trials.iter().all(|t| t.block < 4),
            "24 rotations are four rounds"
        );
    }
}
