//! The bench from its arguments to its report, with a server and a generator of the test's own.
//!
//! This binary plays the `turnstile` command, because that is what the bench starts: called with
//! `models`, `serve`, `null-server`, `load` or `bench` it is that; called without it is the tests.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use report::data::{Env, Mode, Role, Trial, Validity};

#[derive(Parser)]
enum Cli {
    Models {
        #[arg(long)]
        json: bool,
    },
    Serve {
        #[arg(long)]
        model: String,
        #[arg(long)]
        listen: String,
        #[arg(long)]
        workers: Option<u32>,
        #[arg(long)]
        variant: Option<String>,
    },
    NullServer(bench::NullArgs),
    Load(Load),
    Bench(bench::Args),
}

#[derive(Parser)]
struct Load {
    url: String,
    #[arg(long)]
    connections: usize,
    #[arg(long)]
    duration: String,
    #[arg(long)]
    json: PathBuf,
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long)]
    new_connection: bool,
    #[arg(long)]
    quiet: bool,
    #[arg(long, default_value_t = 1)]
    pipeline: usize,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    warmup: String,
    #[arg(long)]
    drain: String,
    #[arg(long)]
    timeout: String,
    #[arg(long)]
    arrivals: Option<String>,
}

fn main() -> ExitCode {
    // Test runners pass filters and flags of their own; none of them is a command.
    let commands = ["models", "serve", "null-server", "load", "bench"];
    if !std::env::args()
        .nth(1)
        .is_some_and(|first| commands.contains(&first.as_str()))
    {
        tests();
        return ExitCode::SUCCESS;
    }
    match Cli::parse() {
        Cli::Models { .. } => {
            println!(
                r#"[{{"model":"iterative","variant":"-","default":true}},
                    {{"model":"prefork","variant":"accept","default":true}},
                    {{"model":"prefork","variant":"flock","default":false}},
                    {{"model":"single-reactor","variant":"epoll","default":true}},
                    {{"model":"broken","variant":"-","default":true}}]"#
            );
            ExitCode::SUCCESS
        }
        Cli::Serve { model, .. } if model == "broken" => {
            eprintln!("broken: no such luck");
            ExitCode::FAILURE
        }
        // A server that answers once a request is complete and closes only when its client does.
        Cli::Serve { listen, .. } => bench::null_main(bench::NullArgs {
            listen,
            close: false,
        }),
        Cli::NullServer(args) => bench::null_main(args),
        Cli::Load(load) => generate(&load),
        Cli::Bench(args) => bench::main(args),
    }
}

/// A generator of one thread and one request at a time, that reports as if it held them all.
fn generate(load: &Load) -> ExitCode {
    let (address, path) = load.url["http://".len()..].split_once('/').expect("a path");
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let ms: u64 = load
        .duration
        .trim_end_matches("ms")
        .parse()
        .expect("milliseconds");
    let start = Instant::now();
    let mut requests = 0_u64;
    let mut stream = TcpStream::connect(address).expect("it listens");
    while start.elapsed() < Duration::from_millis(ms) {
        if load.new_connection {
            stream = TcpStream::connect(address).expect("it listens");
        }
        stream.write_all(request.as_bytes()).expect("sent");
        let mut reply = [0; 512];
        assert!(stream.read(&mut reply).expect("received") > 0);
        requests += 1;
        std::thread::sleep(Duration::from_micros(if path.is_empty() { 0 } else { 200 }));
    }
    let seconds = start.elapsed().as_secs_f64();
    // Little's law holds for what is reported.
    let mean_us = (load.connections * load.pipeline) as f64 * seconds * 1e6 / requests as f64;
    let json = serde_json::json!({
        "requests": requests, "scheduled": requests, "duration_s": seconds,
        "rate_achieved": requests as f64 / seconds,
        "response_us": {"count": requests, "mean": mean_us, "p50": 250.0, "p99": null, "max": null},
        "errors": {}, "valid": true, "reasons": [], "silent_connections": 0,
        "generator": {"cpu_us_per_request": 5.0, "late_p99_us": 1.0, "cpu_share": 0.1},
    });
    fs::write(&load.json, json.to_string()).expect("written");
    ExitCode::SUCCESS
}

/// A folder of this test that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("bench-test-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn command(folder: &Folder, args: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("itself"));
    command
        .arg("bench")
        .args(args.split_whitespace())
        .current_dir(&folder.0);
    command
}

fn run(folder: &Folder, args: &str) -> Output {
    command(folder, args).output().expect("it runs")
}

fn trials(run: &Path) -> Vec<Trial> {
    let text = fs::read_to_string(run.join("trials.ndjson")).expect("trials");
    text.lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

fn env(run: &Path) -> Env {
    serde_json::from_slice(&fs::read(run.join("env.json")).expect("env")).expect("an Env")
}

fn tests() {
    let folder = Folder::new();
    unusable_arguments_exit_2_with_one_line(&folder);
    a_run_leaves_every_trial_and_nothing_else(&folder);
    a_resumed_run_measures_what_is_missing_only(&folder);
    an_interrupted_run_keeps_what_it_has(&folder);
    println!("end to end: ok");
}

fn unusable_arguments_exit_2_with_one_line(folder: &Folder) {
    for (args, says) in [
        ("--size huge", "unknown size 'huge'"),
        ("--models apache", "unknown model 'apache'"),
        ("--models prefork:x", "unknown variant 'prefork:x'"),
        ("--scenarios x", "unknown scenario 'x'"),
        ("--server-cpus 0-", "--server-cpus: '0-'"),
        ("--load-cpus 4095", "--load-cpus"),
        ("--server /nonexistent/server", "cannot run the server"),
        (
            "--out /proc/nowhere/run",
            "cannot write to /proc/nowhere/run",
        ),
        ("--resume /nonexistent", "holds no run to resume"),
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
}

const SMALL: &str =
    "--size smoke --models iterative,prefork:flock --scenarios latency,cpu --seed 11";

fn a_run_leaves_every_trial_and_nothing_else(folder: &Folder) {
    let output = run(folder, SMALL);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(
        error.contains("block 1/1, cpu: about"),
        "a line a scenario: {error}"
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
        env.complete && env.seed == 11 && env.trials_planned == 24,
        "{env:?}"
    );
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
    assert_eq!(ids.len(), 24);
    for trial in &trials {
        let blocked = trial.model == "iterative" && trial.scenario == "cpu";
        assert_eq!(trial.validity == Validity::Blocks, blocked, "{trial:?}");
        assert_eq!(trial.figures.is_none(), blocked, "{trial:?}");
        assert!(!trial.server_command.contains("/tmp") && !trial.load_command.contains("/tmp/"));
        let Some(figures) = &trial.figures else {
            continue;
        };
        assert!(
            figures
                .server_cpu_us_per_request
                .is_some_and(|us| us > 0.5 && us < 1e4),
            "{trial:?}"
        );
        assert!(
            figures
                .context_switches_per_request
                .is_some_and(|n| n > 0.1),
            "{trial:?}"
        );
        assert!(
            figures.pss_kib > Some(100) && figures.pss_idle_kib > Some(100),
            "{trial:?}"
        );
        assert!(
            figures.tasks >= Some(1) && figures.drain_ms < Some(1000.0),
            "{trial:?}"
        );
        assert_eq!(figures.response_us.p99, None);
        let near_null = trial.reasons.iter().any(|r| r.starts_with("at least"));
        let open = trial.shape.mode == Mode::Open;
        assert!(
            !(near_null && (open || trial.role == Role::Null)),
            "{trial:?}"
        );
    }
    // Server and null server are the same here: the gate must see that nobody was measured.
    let limited = |t: &&Trial| t.validity == Validity::Limited && t.role == Role::Model;
    assert!(trials.iter().filter(limited).count() >= 2, "{trials:#?}");
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

fn a_resumed_run_measures_what_is_missing_only(folder: &Folder) {
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

fn an_interrupted_run_keeps_what_it_has(folder: &Folder) {
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
    assert_eq!(
        broken.reasons,
        ["the server did not start: broken: no such luck"]
    );
    assert!(!env(&folder.0.join("kept")).complete);
    assert!(
        folder.0.join("kept/summary.md").exists(),
        "the report of what there is"
    );
}
