//! Locust as the coordinator of several generators (contrib/locust), each in a network namespace of its
//! own. Where namespaces are not allowed or Locust is not installed, the test is skipped and says so.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const TURNSTILE: &str = env!("CARGO_BIN_EXE_turnstile");
/// Addresses of the namespace in the middle, for the master and for the server.
const MASTER: &str = "10.213.0.1";
const SERVER: &str = "10.213.0.2";
const MACHINES: usize = 3;
/// The load, of which every arrival is known.
const LOAD: &str = "--rate 300 --arrivals constant --connections 10 --warmup 100ms";

/// A namespace for the server and the master, and one for each machine, which has a link to it.
struct Network {
    names: Vec<String>,
    folder: PathBuf,
}

impl Network {
    /// Why it cannot be made here, otherwise.
    fn new() -> Result<Self, String> {
        let id = std::process::id();
        let mut network = Self {
            names: Vec::new(),
            folder: std::env::temp_dir().join(format!("turnstile-locust-{id}")),
        };
        fs::create_dir_all(&network.folder).unwrap();
        for name in ["hub", "a", "b", "c"] {
            let name = format!("turnstile-{id}-{name}");
            ip(&["netns", "add", &name])?;
            network.names.push(name);
        }
        let hub = &network.names[0];
        inside(hub, "link set lo up")?;
        for address in [MASTER, SERVER] {
            inside(hub, &format!("addr add {address}/32 dev lo"))?;
        }
        for (number, name) in network.names.iter().enumerate().skip(1) {
            let to = format!("to{number}");
            inside(
                hub,
                &format!("link add {to} type veth peer name hub netns {name}"),
            )?;
            inside(hub, &format!("addr add 10.213.{number}.1/24 dev {to}"))?;
            inside(hub, &format!("link set {to} up"))?;
            inside(name, "link set lo up")?;
            inside(name, &format!("addr add 10.213.{number}.2/24 dev hub"))?;
            inside(name, "link set hub up")?;
            inside(name, &format!("route add default via 10.213.{number}.1"))?;
        }
        Ok(network)
    }

    /// A command in a namespace: 0 is the middle.
    fn command(&self, at: usize, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[at]]);
        command.arg(program);
        command
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = ip(&["netns", "del", name]);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output();
    let output = output.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// `ip` in a namespace.
fn inside(name: &str, args: &str) -> Result<(), String> {
    let all: Vec<&str> = ["-n", name].into_iter().chain(args.split(' ')).collect();
    ip(&all)
}

/// A process that is killed in the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Locust in its own environment or in the path; `None`, and a line, if there is none.
fn locust() -> Option<String> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/locust/bin/locust");
    let candidates = [own.to_string_lossy().into_owned(), "locust".to_owned()];
    let works = |program: &&String| {
        let version = Command::new(program).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    };
    let found = candidates.iter().find(works).cloned();
    if found.is_none() {
        skipped("locust is not installed");
    }
    found
}

fn skipped(why: &str) {
    let line = format!("SKIPPED locust: {why}, so nothing was tested here\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The network with a server in it.
struct Stage {
    _server: Running,
    network: Network,
    locust: String,
    url: String,
}

/// What the master has said.
struct Said {
    status: Option<i32>,
    text: String,
    /// The merged result, where there is one.
    result: Option<Value>,
}

impl Said {
    /// The only line that begins with INVALID and holds `what`.
    fn line(&self, what: &str) -> &str {
        let lines = self.text.lines();
        let mut found = lines.filter(|line| line.starts_with("INVALID: ") && line.contains(what));
        let line = found
            .next()
            .unwrap_or_else(|| panic!("{what}: {}", self.text));
        assert!(found.next().is_none(), "{}", self.text);
        line
    }
}

impl Stage {
    fn new() -> Option<Self> {
        let locust = locust()?;
        let made = Network::new().inspect_err(|why| {
            let why = why.lines().next().unwrap_or_default();
            skipped(&format!("network namespaces cannot be made here ({why})"));
        });
        let network = made.ok()?;
        let mut server = network.command(0, TURNSTILE);
        // Tests run beside each other on few CPUs: requests wait, and all are to be served.
        server.args([
            "serve",
            "--queue-delay-ms",
            "0",
            "--model",
            "multi-reactor",
            "--listen",
        ]);
        server.arg(format!("{SERVER}:0")).stdout(Stdio::piped());
        let mut server = Running(server.spawn().unwrap());
        let mut line = String::new();
        let mut output = BufReader::new(server.0.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect("ready");
        Some(Self {
            _server: server,
            url: format!("http://{address}/"),
            network,
            locust,
        })
    }

    fn locustfile() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/locust/locustfile.py")
    }

    /// Starts the worker of a machine, whose generator is `turnstile`.
    fn worker(&self, machine: usize, turnstile: &Path) -> Running {
        let mut worker = self.network.command(machine, &self.locust);
        worker.arg("-f").arg(Self::locustfile());
        worker.args(["--worker", "--master-host", MASTER]);
        let out = fs::File::create(self.network.file(&format!("worker-{machine}"))).unwrap();
        worker.env("TURNSTILE", turnstile).stdin(Stdio::null());
        worker.stdout(out.try_clone().unwrap()).stderr(out);
        Running(worker.spawn().unwrap())
    }

    fn workers(&self, machines: std::ops::RangeInclusive<usize>) -> Vec<Running> {
        machines
            .map(|machine| self.worker(machine, Path::new(TURNSTILE)))
            .collect()
    }

    /// Starts the master. What it prints can be read while it runs.
    fn master(&self, more: &str, within_s: u32) -> Running {
        let json = self.network.file("all.json");
        let _ = fs::remove_file(&json);
        let mut master = self.network.command(0, &self.locust);
        master.arg("-f").arg(Self::locustfile());
        master.args([
            "--master",
            "--master-bind-host",
            MASTER,
            "--headless",
            "--only-summary",
        ]);
        master.args(["--machines", &MACHINES.to_string()]);
        master.args(["--machines-within", &within_s.to_string()]);
        master
            .arg("--load")
            .arg(format!("{} {LOAD} {more}", self.url));
        master.arg(format!("--merge=--quiet --json {}", json.display()));
        master.env("TURNSTILE", TURNSTILE).stdin(Stdio::null());
        let out = fs::File::create(self.network.file("master")).unwrap();
        master.stdout(out.try_clone().unwrap()).stderr(out);
        Running(master.spawn().unwrap())
    }

    /// Waits until the master prints a line.
    fn await_line(&self, line: &str) {
        let file = self.network.file("master");
        let is_there = || fs::read_to_string(&file).is_ok_and(|text| text.contains(line));
        for _ in 0..3_000 {
            if is_there() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("{line}: {:?}", fs::read_to_string(&file));
    }

    /// What the master has said when it has ended.
    fn said(&self, mut master: Running) -> Said {
        let status = master.0.wait().unwrap().code();
        let result = fs::read(self.network.file("all.json")).ok();
        Said {
            status,
            text: fs::read_to_string(self.network.file("master")).unwrap(),
            result: result.map(|text| serde_json::from_slice(&text).unwrap()),
        }
    }
}

fn number(value: &Value, field: &str) -> u64 {
    let number = value[field].as_f64();
    number.unwrap_or_else(|| panic!("{field}: {value}")) as u64
}

/// One generator with the whole load.
fn single(stage: &Stage) -> Value {
    let mut load = stage.network.command(1, TURNSTILE);
    load.args(["load", &stage.url]).args(LOAD.split(' '));
    load.args(["--duration", "2s", "--quiet", "--json", "-"]);
    let Output { stdout, stderr, .. } = load.output().unwrap();
    let text = String::from_utf8_lossy(&stderr);
    serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn three_machines_are_one_generator(stage: &Stage) {
    let _workers = stage.workers(1..=MACHINES);
    let said = stage.said(stage.master("--duration 2s", 60));
    let all = said.result.expect(&said.text);
    let one = single(stage);
    assert_eq!(number(&all, "runs"), MACHINES as u64);
    for field in ["connections", "rate_offered"] {
        assert_eq!(all[field], one[field], "{field}");
    }
    // 600 arrivals; each machine may have one more or less at the edges of its window.
    assert!(number(&one, "scheduled").abs_diff(600) <= 1, "{one}");
    assert!(number(&all, "scheduled").abs_diff(600) <= 3, "{all}");
    for run in [&all, &one] {
        assert_eq!(number(run, "sent"), number(run, "scheduled"), "{run}");
        assert_eq!(number(run, "requests"), number(run, "scheduled"), "{run}");
        assert_eq!(run["errors"], serde_json::json!({}));
        assert_eq!(number(run, "connections_lost"), 0);
    }
    // "machine HOST (index 0): 200 of 200 requests answered correctly"
    let counts = said.text.lines().filter_map(|line| {
        let (_, counts) = line.strip_prefix("machine ")?.split_once("): ")?;
        let (answered, rest) = counts.split_once(" of ")?;
        rest.contains("answered")
            .then(|| answered.parse::<u64>().unwrap())
    });
    let counts: Vec<u64> = counts.collect();
    assert_eq!(counts.len(), MACHINES, "{}", said.text);
    assert_eq!(counts.iter().sum::<u64>(), number(&all, "requests"));
    assert!(said.text.contains("PREVIEW"), "{}", said.text);
    let achieved = |run: &Value| run["rate_achieved"].as_f64().unwrap();
    let ratio = achieved(&all) / achieved(&one);
    assert!((0.98..=1.02).contains(&ratio), "{ratio}: {all} {one}");
    assert!(!said.text.contains("INVALID: "), "{}", said.text);
    // On a busy machine a generator may be late, which makes the sum invalid.
    let is_valid = all["valid"] == true;
    assert_eq!(said.status, Some(i32::from(!is_valid)), "{}", said.text);
    let is_told = said.text.contains("error: invalid: ");
    assert_eq!(is_told, !is_valid, "{}", said.text);
}

fn a_machine_whose_own_run_is_invalid_fails_the_whole(stage: &Stage) {
    // One machine is asked for so little that nothing is due.
    let little = stage.network.file("little");
    let script = format!(
        "#!/bin/sh\nexec {TURNSTILE} $(echo \"$*\" | sed 's/--rate 300 /--rate 0.003 /')\n"
    );
    fs::write(&little, script).unwrap();
    fs::set_permissions(&little, fs::Permissions::from_mode(0o755)).unwrap();
    let _workers = stage.workers(1..=2);
    let _little = stage.worker(3, &little);
    let said = stage.said(stage.master("--duration 2s", 60));
    let because = "no request was due in the window";
    assert_eq!(said.status, Some(1), "{}", said.text);
    let all = said.result.as_ref().expect(&said.text);
    assert_eq!((number(all, "runs"), &all["valid"]), (3, &false.into()));
    let mut lines = said.text.lines();
    let told = lines.find(|line| line.starts_with("error: invalid: "));
    assert!(told.expect(&said.text).contains(because), "{}", said.text);
}

/// The whole is not valid, and holds what `runs` machines have measured.
fn is_invalid(said: &Said, runs: u64, because: &str) {
    assert_eq!(said.status, Some(1), "{}", said.text);
    let all = said.result.as_ref().expect(&said.text);
    assert_eq!((number(all, "runs"), &all["valid"]), (runs, &false.into()));
    let reasons: Vec<&str> = all["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        reasons.iter().any(|reason| reason.contains(because)),
        "{reasons:?}"
    );
    let findings = all["findings"].as_array().unwrap();
    assert!(
        findings
            .iter()
            .any(|finding| finding["code"] == "run_missing")
    );
}

fn a_killed_worker_is_named(stage: &Stage) {
    let mut workers = stage.workers(1..=MACHINES);
    let master = stage.master("--duration 6s", 60);
    stage.await_line("3 machines begin");
    workers.pop();
    let said = stage.said(master);
    let line = said.line("lost");
    is_invalid(&said, 2, line.trim_start_matches("INVALID: "));
}

fn a_machine_that_begins_late_is_named(stage: &Stage) {
    // Passes the word to begin on when the others have begun long ago.
    let late = stage.network.file("late");
    let script = format!(
        "#!/bin/sh\n(read -r go; sleep 2; echo; read -r end; echo) | exec {TURNSTILE} \"$@\"\n"
    );
    fs::write(&late, script).unwrap();
    fs::set_permissions(&late, fs::Permissions::from_mode(0o755)).unwrap();
    let _workers = stage.workers(1..=2);
    let _late = stage.worker(3, &late);
    let said = stage.said(stage.master("--duration 2s", 60));
    let line = said.line("late: it began");
    is_invalid(&said, 2, line.trim_start_matches("INVALID: "));
}

fn a_machine_that_does_not_come_is_missed(stage: &Stage) {
    let _workers = stage.workers(1..=2);
    let said = stage.said(stage.master("--duration 2s", 8));
    said.line("of 3 machines came within 8 s");
    assert_eq!((said.status, said.result), (Some(1), None), "{}", said.text);
}

fn a_refused_connection_is_named(stage: &Stage) {
    // The address of the server is that machine's own, where no server listens.
    let name = &stage.network.names[3];
    inside(name, &format!("addr add {SERVER}/32 dev lo")).unwrap();
    let _workers = stage.workers(1..=MACHINES);
    let said = stage.said(stage.master("--duration 2s", 60));
    inside(name, &format!("addr del {SERVER}/32 dev lo")).unwrap();
    said.line("refused");
    said.line("nothing was sent");
    assert_eq!((said.status, said.result), (Some(1), None), "{}", said.text);
}

fn what_cannot_be_divided_is_one_line(stage: &Stage) {
    let _workers = stage.workers(1..=MACHINES);
    let said = stage.said(stage.master("--duration 2s --idle 2", 60));
    let same = "2 idle connections cannot be divided among 3 machines";
    assert_eq!(said.text.matches(same).count(), MACHINES, "{}", said.text);
    assert_eq!((said.status, said.result), (Some(1), None), "{}", said.text);
}

#[test]
fn machines_with_locust() {
    let Some(stage) = Stage::new() else {
        return;
    };
    three_machines_are_one_generator(&stage);
    a_machine_whose_own_run_is_invalid_fails_the_whole(&stage);
    a_killed_worker_is_named(&stage);
    a_machine_that_begins_late_is_named(&stage);
    a_machine_that_does_not_come_is_missed(&stage);
    a_refused_connection_is_named(&stage);
    what_cannot_be_divided_is_one_line(&stage);
}
