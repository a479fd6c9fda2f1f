//! The passes that are not compared by speed, and servers that the bench has not started.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use report::data::{Figures, Pass, Role, Trial, Validity};
use schema::Code;
use serde_json::Value;

use crate::harness::{Folder, env, lines, run, trials};

/// A server that the test starts and ends, as a user would.
struct Running(std::process::Child, String);

impl Running {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("itself"))
            .args(["serve", "--model", "x", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stdout = child.stdout.take().expect("piped");
        let line = BufReader::new(stdout)
            .lines()
            .next()
            .expect("a line")
            .expect("text");
        let address = line.strip_prefix("listening on ").expect("its address");
        Self(child, address.to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

pub fn a_target_is_measured_where_it_answers(folder: &Folder) {
    let server = Running::start();
    let (address, pid) = (&server.1, server.0.id());
    let args = format!(
        "--size smoke --scenarios latency,cooperative --out target --seed 3 \
         --target known=http://{address},pid={pid},beside=prefork --target plain=http://{address} \
         --target http://{address}/of/its/own?a=b"
    );
    let output = run(folder, &args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let trials = trials(&folder.0.join("target"));
    let models = trials.iter().filter(|t| t.role == Role::Model).count();
    assert_eq!(
        models, 0,
        "with a target and no --models only targets are measured"
    );
    let of = |label: &str, scenario: &str| {
        trials
            .iter()
            .find(|t| t.label == label && t.scenario == scenario)
            .unwrap_or_else(|| panic!("no trial of {label} in {scenario}"))
    };
    let known = of("known", "latency");
    assert_eq!(known.role, Role::Target);
    assert_eq!(known.beside.as_deref(), Some("prefork"));
    assert_eq!(known.target.as_deref(), Some(&*format!("http://{address}")));
    let figures = known.figures.as_ref().expect("measured");
    assert!(figures.server_cpu_us_per_request.is_some_and(|us| us > 0.0));
    assert!(figures.pss_kib > Some(100) && figures.drain_ms.is_none());
    let plain = of("plain", "latency").figures.as_ref().expect("measured");
    assert!(plain.throughput_rps > 0.0);
    assert_eq!(
        (plain.server_cpu_us_per_request, plain.pss_kib),
        (None, None)
    );
    // Without `pid=` it cannot be told what the target uses from what others use, so no other process is blamed.
    let blamed = |t: &&Trial| t.reasons.iter().any(|r| r.code == Code::ServerCpusShared);
    let plain = trials.iter().filter(|t| t.label == "plain").find(blamed);
    assert!(plain.is_none(), "{plain:?}");
    // A server that answers everything at once does not take the time that the path names.
    let blocked = of("known", "cooperative");
    assert_eq!(blocked.validity, Validity::Blocks);
    let reason = &blocked.reasons[0];
    assert_eq!(reason.code, Code::NotOffered, "{reason:?}");
    assert!(reason.text.starts_with("route not offered: GET /wait/1000"));
    let lines = lines(&folder.0.join("target"));
    let not_offered = |line: &&Value| line["not_offered"] == true;
    let known: Vec<&Value> = lines.iter().filter(not_offered).collect();
    assert!(!known.is_empty());
    for line in known {
        assert_eq!(line["scenario"], "cooperative");
        assert!(line["target"].is_string(), "{line}");
    }
    assert!(
        error.contains("with a route that is not offered"),
        "{error}"
    );
    // A URL is enough, and its path is asked for in place of /plaintext.
    let own = of(address, "latency");
    assert_eq!(own.shape.path, "/of/its/own?a=b");
    assert!(own.load_command.contains(":PORT/of/its/own?a=b"));
    assert!(own.figures.as_ref().is_some_and(|f| f.requests > 0));
    assert!(
        of("known", "memory")
            .memory_steps
            .iter()
            .all(|step| step.held)
    );
    assert!(
        trials
            .iter()
            .any(|t| t.role == Role::Placebo && t.target.is_some())
    );
    // It was not stopped.
    assert!(TcpStream::connect(address).is_ok());
}

/// A user's own requests, fields, connections, rates and lengths take the place of the table's.
pub fn what_the_user_asks_is_what_is_sent(folder: &Folder) {
    let server = Running::start();
    let args = format!(
        "--size smoke --passes measure --out own --seed 3 --target t=http://{} \
         --request 9:GET:/items/{{n:50}} --request 1:GET:/cart -H X-User:7 --connections 3 \
         --duration 90ms --rates 40",
        server.1
    );
    let output = run(folder, &args);
    let error = String::from_utf8_lossy(&output.stderr);
    // A busy machine leaves no window VALID (1).
    assert!(matches!(output.status.code(), Some(0 | 1)), "{error}");
    let trials = trials(&folder.0.join("own"));
    let own = |t: &&Trial| t.label == "t" && t.pass == Pass::Measure;
    let scenarios: BTreeSet<&str> = trials.iter().map(|t| t.scenario.as_str()).collect();
    assert_eq!(scenarios, ["churn", "tiny-keepalive"].into());
    for trial in trials.iter().filter(own) {
        let shape = &trial.shape;
        assert_eq!(shape.mix, ["9:GET:/items/{n:50}", "1:GET:/cart"]);
        assert_eq!((shape.connections, shape.headers.len()), (3, 1));
        assert_eq!(shape.duration_s, 0.09);
        assert!(shape.rate.is_none_or(|rate| rate == 40.0));
        let command = &trial.load_command;
        assert!(command.contains("--header=X-User:7"), "{command}");
        assert!(command.contains("--request=1:GET:/cart"), "{command}");
    }
    assert!(trials.iter().filter(own).count() > 4);
    for (flags, says) in [
        ("--request 1:GET:x", "--request '1:GET:x'"),
        ("--request 1:GET:/x --scenarios bimodal", "bimodal asks"),
        ("--header broken", "--header 'broken'"),
        ("--connections 0", "--connections '0'"),
        ("--duration 1ms", "--duration '0.001s'"),
        ("--rates 0", "--rates: 0 is no rate"),
    ] {
        let target = format!("--size smoke --target t=http://{} --out bad", server.1);
        let output = run(folder, &format!("{target} {flags}"));
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(
            error.contains(says) && error.lines().count() == 1,
            "{error}"
        );
    }
}

/// Serves on a port of its own, a thread for each connection: `reply` makes the bytes of the n-th reply, and
/// says whether the connection ends with it.
fn answering(reply: fn(usize) -> (String, bool)) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let count = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let count = Arc::clone(&count);
            std::thread::spawn(move || {
                while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {
                    let (text, ends) = reply(count.fetch_add(1, Ordering::SeqCst));
                    if stream.write_all(text.as_bytes()).is_err() || ends {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A target that closes after each reply gets a connection for each request, one whose replies change is
/// checked by less, and the rows say so.
pub fn what_a_target_does_otherwise_is_noted(folder: &Folder) {
    let servers = [
        answering(|_| {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n";
            (format!("{head}\r\nHello, World!"), true)
        }),
        answering(|n| {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n";
            (format!("{head}\r\n{n:013}"), false)
        }),
        answering(|n| {
            let body = "x".repeat(n % 7 + 1);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", body.len());
            (format!("{head}\r\n{body}"), false)
        }),
    ];
    let names = ["closes", "changes", "grows"];
    let targets = names.iter().zip(&servers);
    let targets: Vec<String> = targets
        .map(|(name, at)| format!("--target {name}=http://{at}/page"))
        .collect();
    let args = format!(
        "--size smoke --passes measure --scenarios tiny-keepalive --rates 40 --seed 3 --out odd {}",
        targets.join(" ")
    );
    let output = run(folder, &args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{error}");
    let trials = trials(&folder.0.join("odd"));
    for (name, keeps, code, says) in [
        (
            "closes",
            false,
            Code::ConnectionsClosed,
            "it closes the connection after each reply",
        ),
        ("changes", true, Code::ReplyChanges, "only the length of"),
        ("grows", true, Code::ReplyChanges, "only the status of"),
    ] {
        let own = |t: &&Trial| t.label == name && t.pass == Pass::Measure;
        let own = trials.iter().filter(own);
        let measured = own.filter(|t| t.figures.as_ref().is_some_and(|f| f.requests > 0));
        let measured: Vec<&Trial> = measured.collect();
        assert!(measured.len() > 2, "{name}: {error}");
        for trial in measured {
            assert_eq!(trial.shape.keep_alive, keeps, "{trial:?}");
            let anew = trial.load_command.contains("--new-connection");
            assert_eq!(anew, !keeps, "{}", trial.load_command);
            let noted = trial.reasons.iter().filter(|r| r.code == code);
            let noted: Vec<&str> = noted.map(|r| r.text.as_str()).collect();
            assert!(noted.len() == 1 && noted[0].starts_with(says), "{trial:?}");
        }
    }
}

pub fn a_target_that_is_not_there_is_one_line(folder: &Folder) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let output = run(
        folder,
        &format!("--size smoke --target gone=http://{address} --out gone"),
    );
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("--target gone") && error.trim_end().lines().count() == 1,
        "{error}"
    );
    assert!(!folder.0.join("gone").exists());
}

pub fn overload_idle_and_poison_leave_their_figures(folder: &Folder) {
    let args = "--size smoke --models single-reactor,prefork --passes measure --out others --seed 5 \
                --scenarios overload,idle-many,poison,sqlite,slow-clients";
    let output = run(folder, args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let trials = trials(&folder.0.join("others"));
    let of = |label: &str, scenario: &str| {
        let measured = |t: &&Trial| t.pass == Pass::Measure;
        let own = |t: &&Trial| measured(t) && t.label == label && t.scenario == scenario;
        trials.iter().rfind(own).expect("a trial")
    };
    let reactor = |scenario| {
        of("single-reactor", scenario)
            .figures
            .as_ref()
            .expect("measured")
    };

    overload_has_its_steps(&trials, reactor("overload"));

    let idle = of("single-reactor", "idle-many");
    for scenario in ["idle-many", "poison"] {
        let cpu_us = reactor(scenario).server_cpu_us_per_request;
        assert!(cpu_us.is_some_and(|us| us > 0.0), "{scenario}: {cpu_us:?}");
    }
    let lines = lines(&folder.0.join("others"));
    let drained = |scenario: &str| {
        let own = |l: &&Value| l["label"] == "single-reactor" && l["scenario"] == scenario;
        let line = lines.iter().rfind(own).expect("a line");
        line["drain_connections"].as_u64()
    };
    // As many as could be opened within the time for it.
    for (scenario, most) in [("poison", 65), ("idle-many", 1_064)] {
        let held = drained(scenario);
        assert!(held.is_some_and(|n| (1..=most).contains(&n)), "{held:?}");
    }
    assert_eq!(
        idle.figures.as_ref().and_then(|f| f.idle).map(|i| i.asked),
        Some(1_000)
    );
    assert!(
        idle.server_command.contains("--idle-ms"),
        "{}",
        idle.server_command
    );
    let process_each = of("prefork", "idle-many");
    assert_eq!(process_each.validity, Validity::Blocks);
    let reason = &process_each.reasons[0];
    assert_eq!(reason.code, Code::BlocksByDesign);
    assert_eq!(reason.figures["connections"], 1_064.0);

    assert_eq!(reactor("poison").poison.map(|p| p.sent), Some(1));
    assert_eq!(of("prefork", "poison").workers, Some(65));
    let slow = of("prefork", "slow-clients");
    assert!(
        slow.load_command
            .contains("--slow-senders=32 --slow-readers=32")
    );
    let kv = of("single-reactor", "sqlite");
    assert!(
        kv.server_command.contains("--db SCRATCH"),
        "{}",
        kv.server_command
    );
    assert!(
        kv.load_command
            .contains("--request=10:PUT:/kv/{n:1000} --body-bytes=100")
            && kv.load_command.contains("--body-check=exact")
    );
    assert!(
        !folder.0.join("others/.store").exists(),
        "the store goes with its server"
    );
}

fn overload_has_its_steps(trials: &[Trial], overload: &Figures) {
    let names: Vec<&str> = overload.phases.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["half", "twice", "recovery"]);
    assert!(
        overload.phases[0].goodput_rps > 0.9 * overload.phases[0].rate,
        "{overload:?}"
    );
    assert_eq!(overload.phases[1].goodput_rps, 0.0, "all of them late");
    assert!(
        overload
            .recovery_ms
            .is_some_and(|ms| (ms - 200.0).abs() < 1.0),
        "{overload:?}"
    );
    assert!(overload.timeline.len() > 10);
    let rates: BTreeSet<String> = trials
        .iter()
        .filter(|t| t.scenario == "overload")
        .map(|t| format!("{:?} {:?}", t.shape.rate, t.shape.profile))
        .collect();
    assert_eq!(rates.len(), 1, "the same for every server: {rates:?}");
}

pub fn system_calls_are_counted_apart(folder: &Folder) {
    let args = "--size smoke --models single-reactor --scenarios tiny-keepalive \
                --passes measure,system-calls --out calls --seed 6";
    let output = run(folder, args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let trials = trials(&folder.0.join("calls"));
    let model = |t: &&Trial| t.pass == Pass::Drain && t.role == Role::Model;
    let ended = trials.iter().find(model).and_then(|t| t.figures.as_ref());
    let trickle_us = ended.and_then(|figures| figures.trickle_cpu_us_per_s);
    assert!(trickle_us.is_some_and(|us| us > 0.0), "{ended:?}");
    let counted = trials.iter().find(|t| t.pass == Pass::SystemCalls);
    let Some(counted) = counted else {
        let remarks = env(&folder.0.join("calls")).remarks.join(" ");
        assert!(remarks.contains("there is no strace"), "{remarks}");
        return;
    };
    if counted.validity == Validity::Invalid {
        assert!(counted.reasons.has(Code::NotCounted), "{counted:?}");
        return;
    }
    let figures = counted.figures.as_ref().expect("counted");
    // One receive and one send per request, and a share of a wait.
    for name in ["recvfrom", "sendto"] {
        let calls = figures.system_calls[name];
        assert!((0.98..1.1).contains(&calls), "{name}: {calls}");
    }
    assert!(
        figures
            .system_calls_per_request
            .is_some_and(|all| all < 3.5),
        "{figures:?}"
    );
    // One client that waits for each answer wakes a loop up once per request, or finds it running.
    let wakeups = figures.wakeups_per_request;
    assert!(wakeups.is_some_and(|n| n > 0.0 && n < 1.1), "{figures:?}");
    assert_eq!(figures.throughput_rps, 0.0, "a traced window has no speed");
}
