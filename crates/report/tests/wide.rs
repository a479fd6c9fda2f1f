//! A run with everything a run can hold: peers, variants, passes, phases and bystanders.

mod fixture;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use fixture::written::{balanced, full, linked, reported};
use report::data::{Deciding, Env, Trial, Validity};
use schema::{Code, Effect, Reason};

fn wide() -> &'static BTreeMap<String, String> {
    static WIDE: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    WIDE.get_or_init(written)
}

fn written() -> BTreeMap<String, String> {
    let (env, trials) = fixture::wide::run("quick", 3, 11);
    reported("wide", &env, &fixture::ndjson(&trials)).expect("a report")
}

const SHEETS: [&str; 11] = [
    "Capacity at the objective",
    "Memory by connections",
    "System calls per request",
    "Fairness between workers: requests",
    "Fairness between workers: connections",
    "Time to drain",
    "Overload",
    "One poisoned request",
    "Slow clients",
    "Idle connections",
    "The kinds of a mix",
];

#[test]
fn every_sheet_stands_in_both_and_leads_somewhere() {
    let (page, summary) = (&wide()["index.html"], &wide()["figures.md"]);
    for title in SHEETS {
        assert!(page.contains(&format!("<h2>{title}</h2>")), "{title}");
        assert!(summary.contains(&format!("\n## {title}\n")), "{title}");
    }
    balanced("index.html", page);
    linked(page);
}

#[test]
fn the_same_input_gives_the_same_bytes_with_everything_in_it() {
    assert!(wide() == &written());
}

#[test]
fn an_old_run_has_no_sheet_it_knows_nothing_of() {
    for title in SHEETS {
        let known = title == "Time to drain";
        assert_eq!(
            full()["figures.md"].contains(&format!("\n## {title}\n")),
            known,
            "{title}"
        );
    }
    assert!(
        !full()
            .keys()
            .any(|name| name.starts_with("timeline") || name.starts_with("p99-to"))
    );
}

#[test]
fn the_run_says_the_order_of_scenarios_and_what_decides_each() {
    let (mut env, trials) = fixture::wide::run("quick", 3, 11);
    let report = |env: &Env, name| {
        let files = reported(name, env, &fixture::ndjson(&trials)).expect("a report");
        files["figures.md"].clone()
    };
    // A run that does not list its scenarios is one from when the report knew them by name.
    let listed = std::mem::take(&mut env.scenarios);
    for each in &listed {
        env.purposes.insert(each.name.clone(), each.purpose.clone());
        let objective = each
            .objective
            .map(|objective| (each.name.clone(), objective));
        env.objectives.extend(objective);
    }
    assert_eq!(&report(&env, "old"), &wide()["figures.md"]);
    env.scenarios = listed;
    env.scenarios.reverse();
    env.scenarios[0].decides = Deciding::ServerCpuUsPerRequest;
    let summary = report(&env, "reversed");
    assert!(summary.contains("- poison (server CPU per request, at 10,000/s): "));
    let place = |name: &str| summary.find(&format!("\n## {name}\n")).expect("its tables");
    assert!(place("poison") < place("overload") && place("churn") < place("tiny-keepalive"));
}

/// The lines of the verdict matrix that begin with `label`.
fn verdict_line(label: &str) -> String {
    let verdict = wide()["figures.md"]
        .split("\n## ")
        .nth(1)
        .expect("a verdict");
    let is_it = |line: &&str| {
        line.split('|')
            .nth(1)
            .is_some_and(|cell| cell.trim() == label)
    };
    verdict
        .lines()
        .find(is_it)
        .expect("a line of the matrix")
        .to_owned()
}

#[test]
fn a_peer_is_measured_against_the_best_model_and_never_ranked() {
    let line = verdict_line("nginx");
    assert!(
        line.contains("× (") && line.contains("peer") && !line.contains('#'),
        "{line}"
    );
    for sentence in wide()["figures.md"]
        .lines()
        .filter(|line| line.starts_with("- "))
    {
        assert!(
            !sentence.contains("nginx") && !sentence.contains("apache"),
            "{sentence}"
        );
    }
    // It stands right behind the model it embodies, with its variants.
    let page = &wide()["index.html"];
    let order: Vec<usize> = [
        ">multi-reactor<",
        "multi-reactor:<wbr>reuseport",
        ">nginx<",
        ">leader-follower<",
    ]
    .iter()
    .map(|name| {
        page.find(name)
            .unwrap_or_else(|| panic!("{name} is in the page"))
    })
    .collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn a_target_without_the_route_is_not_blocked_by_design() {
    for reason in [
        "does not answer /cpu/100: status 404 instead of 200",
        "route not offered: status 404 instead of 200",
    ] {
        not_offered(reason);
    }
}

fn not_offered(reason: &str) {
    let (env, mut trials) = fixture::wide::run("quick", 3, 11);
    for trial in &mut trials {
        let nginx_cpu = trial.label == "nginx" && trial.scenario == "cpu";
        if nginx_cpu {
            trial.validity = Validity::Blocks;
            trial.reasons = vec![Reason::new(Code::NotOffered, Effect::Excuses, reason)].into();
            (trial.figures, trial.capacity) = (None, None);
        }
    }
    let files = reported("routes", &env, &fixture::ndjson(&trials)).expect("a report");
    let summary = &files["figures.md"];
    let nginx: Vec<&str> = summary
        .lines()
        .filter(|line| line.starts_with("| nginx "))
        .collect();
    assert!(nginx.iter().any(|line| line.contains(reason)));
    for line in nginx {
        assert!(!line.to_lowercase().contains("blocks"), "{line}");
        assert!(!line.contains("offered: route"), "{line}");
    }
    let capacity = summary.split("\n## Capacity").nth(1).expect("the sheet");
    assert!(capacity.contains("| route not offered"));
    assert!(files["index.html"].contains("<span class=\"iv\">route not offered</span>"));
    assert!(files["overview.svg"].contains("route not offered"));
    // A model still blocks by design.
    assert!(summary.contains("blocks by design"));
}

#[test]
fn connections_without_a_reply_are_counted_and_shown() {
    let (env, mut trials) = fixture::wide::run("quick", 3, 11);
    let starving =
        |trial: &&mut Trial| trial.label == "thread-pool" && trial.scenario == "blocking";
    for trial in trials.iter_mut().filter(starving) {
        if let Some(figures) = &mut trial.figures {
            figures.silent_connections = Some(56 + u64::from(trial.block));
        }
    }
    let files = reported("unserved", &env, &fixture::ndjson(&trials)).expect("a report");
    let page = &files["index.html"];
    assert!(page.contains("<span class=\"unserved\">58 of 64 unserved</span>"));
    assert!(page.contains("<td class=\"differs\">58/64") && page.contains("they starve"));
    let summary = &files["figures.md"];
    assert!(summary.contains("(58 of 64 unserved)") && summary.contains("| unserved |"));
    assert!(!wide()["figures.md"].contains("unserved"));
}

#[test]
fn the_time_that_was_announced_stands_beside_the_time_taken() {
    let (mut env, trials) = fixture::wide::run("quick", 3, 11);
    assert!(!wide()["figures.md"].contains("announced beforehand"));
    (env.announced_s, env.duration_s) = (745.0, 694.0);
    let files = reported("clock", &env, &fixture::ndjson(&trials)).expect("a report");
    for name in ["figures.md", "index.html"] {
        let told = "12 min 25 s announced beforehand, 11 min 34 s taken (7 % less)";
        assert!(files[name].contains(told), "{name}");
    }
}

#[test]
fn variants_fold_away_unless_they_lead() {
    let page = &wide()["index.html"];
    let matrix = page.split("</table>").next().expect("the verdict matrix");
    assert!(matrix.contains("Show all 7 variants") && matrix.contains("class=\"variant folded\""));
    // All are in the summary.
    verdict_line("single-reactor:select");
}

#[test]
fn capacity_is_a_bracket_and_says_what_was_not_confirmed() {
    let sheet = wide()["figures.md"]
        .split("\n## Capacity")
        .nth(1)
        .expect("the sheet");
    let sheet = sheet.split("\n## ").next().expect("its end");
    let line = |label: &str| {
        let found = sheet
            .lines()
            .find(|line| line.starts_with(&format!("| {label} ")));
        found
            .unwrap_or_else(|| panic!("{label}: {sheet}"))
            .to_owned()
    };
    assert!(line("prefork").contains('–') && !line("prefork").contains('?'));
    assert!(line("reactor-pool").contains('?'));
    assert!(line("proactor").contains("≥ "));
    assert!(line("apache-event").contains("< "));
    assert!(line("iterative").contains("blocks by design"));
}

#[test]
fn a_load_in_steps_is_ranked_by_its_goodput_and_drawn_over_time() {
    let summary = &wide()["figures.md"];
    assert!(summary.contains("- overload (goodput at twice the capacity"));
    assert!(wide().contains_key("timeline-p99-overload.svg"));
    assert!(wide()["timeline-p99-overload.svg"].contains("objective: p99 ≤ 10.0 ms"));
    assert!(!wide().contains_key("p99-by-rate-overload.svg"));
    assert!(wide().contains_key("p99-to-capacity-cpu.svg"));
}

#[test]
fn connections_stand_beside_requests_and_beside_the_time_to_drain() {
    let summary = &wide()["figures.md"];
    let sheet = |title: &str| {
        let rest = summary.split(&format!("\n## {title}\n")).nth(1);
        let rest = rest.unwrap_or_else(|| panic!("{title}"));
        rest.split("\n## ").next().expect("its end").to_owned()
    };
    let spread = sheet("Fairness between workers: connections");
    // One of 65 workers has three: (64 + 3)² / (65 × (64 + 9)).
    assert!(spread.contains("| 0.95 (1–3 on 65) |"), "{spread}");
    assert!(
        sheet("Time to drain").contains(" (64) |"),
        "how many were open"
    );
    assert!(wide()["index.html"].contains("0.95 (1–3 on 65)"));
    // Runs from before that have the time alone.
    let old = full()["figures.md"].split("\n## Time to drain\n").nth(1);
    let old = old
        .expect("the sheet")
        .split("\n## ")
        .next()
        .expect("its end");
    let rows: Vec<&str> = old
        .lines()
        .filter(|line| line.starts_with("| prefork"))
        .collect();
    assert!(
        !rows.is_empty() && rows.iter().all(|row| !row.contains('(')),
        "{rows:?}"
    );
}

#[test]
fn a_page_of_many_trials_stays_small() {
    let (_, trials) = fixture::wide::run("quick", 3, 11);
    let bytes = wide()["index.html"].len() / trials.len();
    assert!(bytes < 800, "{bytes} bytes per trial");
}

#[test]
fn the_load_of_a_block_stands_once_and_what_is_a_rows_own_beside_its_name() {
    let (env, mut trials) = fixture::wide::run("quick", 3, 11);
    for trial in &mut trials {
        let own = if trial.label == "nginx" {
            "/health"
        } else {
            "/"
        };
        trial.load_command = format!(
            "turnstile load {own} --of {}-{}",
            trial.scenario, trial.block
        );
    }
    let files = reported("commands", &env, &fixture::ndjson(&trials)).expect("a report");
    let section = files["index.html"].split("<section id=\"trials\">").nth(1);
    let section = section.expect("the trials");
    let cpu = section.split("<summary>cpu</summary>").nth(1).expect("cpu");
    let cpu = cpu.split("</details>").next().expect("its end");
    let windows = cpu.matches("<thead>").count();
    for block in 0..3 {
        let common = format!("</span>turnstile load / --of cpu-{block}</code>");
        assert_eq!(cpu.matches(&common).count(), windows, "{common}");
        let own = format!("<code>turnstile load /health --of cpu-{block}</code>");
        assert_eq!(cpu.matches(&own).count(), windows, "{own}");
    }
}
