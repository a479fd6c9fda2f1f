//! What the first page says beside the ranking: where it disagrees with the advice, and what of a figure is
//! left when its windows failed a gate.

mod fixture;

use fixture::written::{balanced, linked, reported};
use report::data::{Advice, Env, Trial, Validity};
use schema::{Code, Effect, Figure, Reason};

const SCENARIO: &str = "tiny-keepalive";
const HEADING: &str = "Where this run disagrees with the advice";

fn with_advice(models: &[&str]) -> (Env, Vec<Trial>) {
    let (mut env, trials) = fixture::wide::run("full", 10, 42);
    for info in &mut env.scenarios {
        let fits = |model: &&str| ((*model).to_owned(), "requests compute for long".to_owned());
        info.advice = (info.name == SCENARIO).then(|| Advice {
            because: "requests hold their worker".into(),
            models: models.iter().map(fits).collect(),
        });
    }
    (env, trials)
}

#[test]
fn a_run_that_disagrees_with_the_advice_says_so_and_why() {
    let (env, trials) = with_advice(&["reactor-pool", "signal-driven"]);
    let files = reported("advice", &env, &fixture::ndjson(&trials)).expect("a report");
    let (page, summary) = (&files["index.html"], &files["summary.md"]);
    assert!(page.contains(HEADING) && summary.contains(HEADING));
    balanced("index.html", page);
    linked(page);
    let line = summary.lines().find(|line| line.contains("Advised: "));
    let line = line.expect("a sentence");
    for said in [
        "tiny-keepalive: Advised: reactor-pool, signal-driven, because requests hold their worker",
        "pick it when requests compute for long",
        "Measured: proactor, which is not among them, leads",
        "the best of these, signal-driven, is behind: it needs",
        "A request cost proactor",
        "signal-driven has more context switches",
    ] {
        assert!(line.contains(said), "{said}: {line}");
    }

    let (env, trials) = with_advice(&["reactor-pool", "proactor"]);
    let files = reported("agrees", &env, &fixture::ndjson(&trials)).expect("a report");
    assert!(!files["summary.md"].contains(HEADING) && !files["index.html"].contains(HEADING));
}

/// The cell of prefork in the deciding figure of tiny-keepalive, CPU per request, where every window of it
/// has failed a gate.
fn cell((size, blocks): (&str, u32), code: Code, spoils: &[Figure]) -> String {
    let (env, mut trials) = fixture::wide::run(size, blocks, 11);
    let own = |trial: &&mut Trial| trial.scenario == SCENARIO && trial.label == "prefork";
    for trial in trials.iter_mut().filter(own) {
        trial.validity = Validity::Invalid;
        trial.reasons =
            vec![Reason::new(code, Effect::Invalidates, "spoilt").spoiling(spoils)].into();
    }
    let name = format!("{code:?}");
    let files = reported(&name, &env, &fixture::ndjson(&trials)).expect("a report");
    let lines: Vec<&str> = files["summary.md"].lines().collect();
    let head = lines
        .iter()
        .position(|line| line.starts_with("| model") && line.contains(SCENARIO));
    let head = head.expect("a table");
    let column = lines[head]
        .split('|')
        .position(|cell| cell.trim() == SCENARIO);
    let row = lines[head..]
        .iter()
        .find(|line| line.starts_with("| prefork "));
    let cells: Vec<&str> = row.expect("a row").split('|').collect();
    cells[column.expect("a column")].trim().to_owned()
}

#[test]
fn a_late_generator_leaves_the_cpu_in_and_smoke_shows_what_is_disturbed() {
    let (smoke, quick) = (("smoke", 2), ("quick", 3));
    let late = cell(quick, Code::GeneratorLate, &[Figure::Latency]);
    assert!(late.contains('×') && !late.contains("excluded"), "{late}");
    let all = [Figure::Throughput, Figure::Latency, Figure::ServerCpu];
    let shared = cell(smoke, Code::ServerCpusShared, &all);
    assert!(
        shared.starts_with("disturbed: ") && shared.contains('–'),
        "{shared}"
    );
    assert_eq!(cell(quick, Code::ServerCpusShared, &all), "excluded");
    // What the server itself did wrong is no figure.
    assert_eq!(cell(smoke, Code::WrongBodies, &[]), "excluded");
}
