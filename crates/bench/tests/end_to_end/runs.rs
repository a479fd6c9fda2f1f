//! Whole runs: bad arguments, the files of a run, resuming, Ctrl-C.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use report::data::{Pass, Role, Trial, Validity};
use schema::Code;

use crate::checks::{
    LINES, memory_is_read_as_far_as_it_goes, models_are_compared_with_the_null_server,
    rotations_are_whole, the_environment_describes_the_run, trials_are_whole,
};
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

    the_environment_describes_the_run(&path);
    let trials = trials(&path);
    let drains = trials.iter().filter(|t| t.pass == Pass::Drain).count();
    assert_eq!(drains, 7, "every server that stood");
    // Rotations that noise has spoilt come in addition, as far as there is time for them.
    assert!(trials.len() - drains >= LINES, "{}", trials.len());
    rotations_are_whole(&of_scenario(&trials, "latency"), 8, 4);
    rotations_are_whole(&of_scenario(&trials, "cpu"), 8, 3);
    let (memory, trials): (Vec<Trial>, Vec<Trial>) =
        trials.into_iter().partition(|t| t.pass == Pass::Memory);
    memory_is_read_as_far_as_it_goes(&memory);
    trials_are_whole(&trials);
    models_are_compared_with_the_null_server(&trials);
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

fn of_scenario(trials: &[Trial], scenario: &str) -> Vec<Trial> {
    let own = trials.iter().filter(|trial| trial.scenario == scenario);
    own.cloned().collect()
}

pub fn a_resumed_run_measures_what_is_missing_only(folder: &Folder) {
    let latest = folder.0.join("results/latest");
    let before = fs::read_to_string(latest.join("trials.ndjson")).expect("trials");
    // As if the run had been killed in the middle of a line, in the second of a rotation's slices.
    let lines: Vec<&str> = before.split_inclusive('\n').collect();
    let cut = |line: &&str| line.contains("\"cpu\"") && line.contains("\"rotation\":7");
    let at = lines.iter().position(cut).expect("a slice") + 1;
    let (kept, cut) = lines.split_at(at);
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
    let again = trials(&latest);
    // The rotation that was cut short is measured again under a number of its own.
    let cpu = of_scenario(&again, "cpu");
    rotations_are_whole(&cpu, 8, 3);
    let of = |rotation| {
        cpu.iter()
            .filter(move |t| t.slice.is_some_and(|s| s.rotation == rotation))
    };
    assert_eq!((of(7).count(), of(15).count()), (1, 3));
    assert!(env(&latest).complete);

    let output = run(folder, "--resume results/latest");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("results/latest is finished") && said.trim_end().lines().count() == 1,
        "{said}"
    );
    assert!(!said.contains('%'), "{said}");
    let finished = fs::read_to_string(latest.join("trials.ndjson")).expect("trials");
    assert_eq!(finished, after, "nothing is measured again");

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

/// A limit on the size of a file stands for a disk that is full: writing fails in the middle of a line.
pub fn a_full_disk_loses_nothing_that_was_measured(folder: &Folder) {
    let args = "--size smoke --models prefork --scenarios latency --passes measure --seed 3";
    let own = std::env::current_exe().expect("itself");
    let output = std::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(format!(
            "trap '' XFSZ; ulimit -f 40; exec '{}' bench {args} --out full",
            own.display()
        ))
        .current_dir(&folder.0)
        .output()
        .expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    let last = error.lines().last().unwrap_or_default();
    assert!(last.contains("cannot write trials.ndjson"), "{error}");
    let path = folder.0.join("full");
    let before = fs::read_to_string(path.join("trials.ndjson")).expect("trials");
    let whole = &before[..before.rfind('\n').map_or(0, |end| end + 1)];
    assert!(whole.lines().count() > 2, "some slices were measured");

    let output = run(folder, "--resume full");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let after = fs::read_to_string(path.join("trials.ndjson")).expect("trials");
    assert!(after.starts_with(whole), "what was there is not touched");
    rotations_are_whole(&of_scenario(&trials(&path), "latency"), 8, 3);
    assert!(env(&path).complete && path.join("index.html").exists());
}
