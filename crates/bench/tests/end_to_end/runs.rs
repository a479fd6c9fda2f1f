//! Whole runs: bad arguments, the files of a run, resuming, Ctrl-C.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use report::data::{Deciding, Mode, Pass, Role, ScenarioInfo, Trial, Validity};
use schema::Code;
use schema::gates::NULL_SHARE_MAX;

use crate::fake::FAKE_CAPACITY;
use crate::harness::{Folder, command, env, run, trials};

pub fn unusable_arguments_exit_2_with_one_line(folder: &Folder) {
    let packed = folder.0.join("packed");
    fs::create_dir_all(&packed).expect("a folder");
    fs::write(packed.join("trials.ndjson.gz"), "as it was").expect("written");
    let older = folder.0.join("older");
    fs::write(&older, "#!/bin/sh\necho '[{\"model\": \"prefork\"}]'\n").expect("written");
    fs::set_permissions(&older, Permissions::from_mode(0o755)).expect("allowed");
    for (args, says) in [
        ("--size huge", "unknown size 'huge'"),
        ("--models apache", "unknown model 'apache'"),
        ("--models prefork:x", "unknown variant 'prefork:x'"),
        ("--models iterative:inetd", "connection that it inherits"),
        ("--scenarios x", "unknown scenario 'x'"),
        ("--passes x", "unknown pass 'x'"),
        ("--target x", "does not begin with http://"),
        ("--target x=ftp://y", "does not begin with http://"),
        ("--target a=http://x --target a=http://y", "given twice"),
        (
            "--models prefork --target prefork=http://x",
            "the name of a model that is measured too",
        ),
        ("--server-cpus 0-", "--server-cpus: '0-'"),
        ("--load-cpus 4095", "--load-cpus"),
        ("--server /nonexistent/server", "cannot run the server"),
        (
            "--server ./older",
            "does not say of prefork how many workers it has: it is of another version",
        ),
        (
            "--out /proc/nowhere/run",
            "cannot write to /proc/nowhere/run",
        ),
        ("--resume /nonexistent", "holds no run to resume"),
        (
            "--resume packed",
            "holds a packed run, which cannot be resumed",
        ),
        ("--out packed", "holds a run: trials.ndjson.gz"),
    ] {
        let output = run(folder, args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args}: {error}");
        assert!(
            error.contains(says) && error.trim_end().lines().count() == 1,
            "{args}: {error}"
        );
    }
    assert!(
        !folder.0.join("results").exists(),
        "nothing is left of a run that never began"
    );
    assert_eq!(fs::read_dir(&packed).expect("still there").count(), 1);
}

const SMALL: &str =
    "--size smoke --models iterative,prefork:flock --scenarios latency,cpu --seed 11";

pub fn a_run_leaves_every_trial_and_nothing_else(folder: &Folder) {
    let output = run(folder, SMALL);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(
        error.contains("block 1/1, cpu: about"),
        "one line per scenario: {error}"
    );
    let results = folder.0.join("results");
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let path = folder.0.join(&printed);
    assert_eq!(
        fs::read_link(results.join("latest")).expect("a link"),
        path.file_name().expect("a name")
    );

    let env = env(&path);
    assert!(
        env.complete && env.seed == 11 && env.trials_planned == 18 && env.announced_s > 5.0,
        "{env:?}"
    );
    let of = |each: &ScenarioInfo| (each.name.clone(), each.decides);
    let scenarios: Vec<(String, Deciding)> = env.scenarios.iter().map(of).collect();
    let expected = [
        ("latency", Deciding::ResponseP50Us),
        ("cpu", Deciding::ThroughputRps),
    ];
    assert_eq!(scenarios, expected.map(|(name, by)| (name.to_owned(), by)));
    let text = fs::read_to_string(path.join("env.json")).expect("env");
    assert!(
        !text.contains("/proc") && !text.contains("/tmp"),
        "no paths: {text}"
    );

    let trials = trials(&path);
    let ids: BTreeSet<&str> = trials
        .iter()
        .map(|t| t.id.as_str())
        .filter(|id| !id.ends_with('r'))
        .collect();
    assert_eq!(ids.len(), 18);
    let (memory, trials): (Vec<Trial>, Vec<Trial>) =
        trials.into_iter().partition(|t| t.pass == Pass::Memory);
    memory_is_read_as_far_as_it_goes(&memory);
    for trial in &trials {
        let blocked = trial.model == "iterative" && trial.scenario == "cpu";
        assert_eq!(trial.validity == Validity::Blocks, blocked, "{trial:?}");
        assert_eq!(trial.figures.is_none(), blocked, "{trial:?}");
        assert!(!trial.server_command.contains("/tmp") && !trial.load_command.contains("/tmp/"));
        let Some(figures) = &trial.figures else {
            continue;
        };
        assert!(
            figures.server_cpu_us_per_request.is_some_and(|us| us > 0.0),
            "{trial:?}"
        );
        assert!(
            figures
                .context_switches_per_request
                .is_some_and(|n| n > 0.0),
            "{trial:?}"
        );
        assert!(
            figures.pss_kib > Some(100) && figures.pss_idle_kib > Some(100),
            "{trial:?}"
        );
        assert!(
            figures.tasks >= Some(1) && figures.drain_ms > Some(0.0),
            "{trial:?}"
        );
        let near_null = trial.reasons.has(Code::NearNullServer);
        let open = trial.shape.mode == Mode::Open;
        let late = trial.shape.rate.is_none_or(|rate| rate > FAKE_CAPACITY);
        assert_eq!(figures.response_us.p99.is_none(), late, "{trial:?}");
        assert!(
            !(near_null && (open || trial.role == Role::Null)),
            "{trial:?}"
        );
    }
    // Each model is compared with the null server of its scenario, where that has a figure.
    let closed = |t: &&Trial| t.shape.mode == Mode::Closed;
    let throughput = |t: &Trial| Some(t.figures.as_ref()?.throughput_rps);
    let null_rps = |scenario: &str| {
        let null = |t: &&Trial| t.role == Role::Null && t.scenario == scenario;
        let mut trials = trials.iter().filter(closed).filter(null);
        throughput(trials.find(|t| t.validity != Validity::Invalid)?)
    };
    let mut seen = 0;
    for trial in trials
        .iter()
        .filter(closed)
        .filter(|t| t.role == Role::Model)
    {
        let Some(rps) = throughput(trial) else {
            continue;
        };
        let null_rps = null_rps(&trial.scenario);
        let near = null_rps.is_some_and(|null_rps| rps > NULL_SHARE_MAX * null_rps);
        assert_eq!(trial.reasons.has(Code::NearNullServer), near, "{trial:?}");
        let none = trial.reasons.has(Code::NoNullServer);
        assert_eq!(none, null_rps.is_none(), "{trial:?}");
        seen += 1;
    }
    assert!(seen >= 3, "{trials:#?}");
    let workers: Vec<Option<u32>> = trials
        .iter()
        .filter(|t| t.model == "prefork" && t.scenario == "cpu")
        .map(|t| t.workers)
        .collect();
    assert!(
        !workers.is_empty() && workers.iter().all(|w| *w == Some(16)),
        "{workers:?}"
    );
    let files: BTreeSet<String> = fs::read_dir(&path)
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(files, BTreeSet::new(), "nothing temporary stays");
}

fn memory_is_read_as_far_as_it_goes(trials: &[Trial]) {
    let of = |model: &str| {
        let trial = trials.iter().find(|t| t.model == model).expect("a trial");
        assert!(
            trial.figures.is_none() && trial.validity == Validity::Valid,
            "{trial:?}"
        );
        &trial.memory_steps
    };
    let held = |model| {
        of(model)
            .iter()
            .map(|s| (s.connections, s.held))
            .collect::<Vec<_>>()
    };
    assert_eq!(held("prefork"), [(0, true), (100, true), (1_000, true)]);
    assert_eq!(held("iterative"), [(0, true), (100, false), (1_000, false)]);
    for step in of("iterative").iter().chain(of("prefork")) {
        assert_eq!(
            step.pss_kib.is_some_and(|kib| kib > 100),
            step.held,
            "{step:?}"
        );
        assert_eq!(step.reason.is_empty(), step.held, "{step:?}");
    }
}

pub fn a_resumed_run_measures_what_is_missing_only(folder: &Folder) {
    let latest = folder.0.join("results/latest");
    let before = fs::read_to_string(latest.join("trials.ndjson")).expect("trials");
    // As if the run had been cut off in the middle of a line of the last visit.
    let lines: Vec<&str> = before.split_inclusive('\n').collect();
    let (kept, cut) = lines.split_at(lines.len() - 2);
    let torn = format!("{}{}", kept.concat(), &cut[0][..40]);
    fs::write(latest.join("trials.ndjson"), &torn).expect("written");

    let output = run(folder, "--resume results/latest --seed 12");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("was begun with --seed 11, not 12"),
        "{error}"
    );

    let output = run(folder, "--resume results/latest");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let after = fs::read_to_string(latest.join("trials.ndjson")).expect("trials");
    assert!(
        after.starts_with(&kept.concat()),
        "what was there is not touched"
    );
    let ids = |text: &str| -> BTreeSet<String> {
        let id = |line: &str| serde_json::from_str::<Trial>(line).expect("a trial").id;
        text.lines()
            .map(id)
            .filter(|id| !id.ends_with('r'))
            .collect()
    };
    assert_eq!(ids(&after), ids(&before));
    assert!(env(&latest).complete);

    let output = run(folder, &format!("{SMALL} --out results/latest"));
    assert_eq!(
        output.status.code(),
        Some(2),
        "a folder that holds a run is not overwritten"
    );
}

pub fn an_interrupted_run_keeps_what_it_has(folder: &Folder) {
    let args = "--size smoke --models broken --scenarios latency,churn --out kept --seed 2";
    let mut child = command(folder, args)
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    // The second scenario begins: the first is done.
    let begun = lines.any(|line| line.is_ok_and(|line| line.starts_with("block 1/1, latency")));
    assert!(begun);
    let pid =
        rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("alive");
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130), "{rest:?}");
    assert!(
        rest.last().is_some_and(|line| line.contains("interrupted")),
        "{rest:?}"
    );
    let trials = trials(&folder.0.join("kept"));
    assert!(
        trials
            .iter()
            .any(|t| t.scenario == "churn" && t.role == Role::Null)
    );
    let broken = trials
        .iter()
        .find(|t| t.model == "broken")
        .expect("it was tried");
    assert_eq!(broken.validity, Validity::Invalid);
    assert!(broken.reasons.has(Code::NotStarted));
    assert_eq!(
        broken.reasons.text(),
        "the server did not start: broken: no such luck"
    );
    assert!(!env(&folder.0.join("kept")).complete);
    assert!(
        folder.0.join("kept/summary.md").exists(),
        "the report of what there is"
    );
}
