//! The command: exit statuses, errors of one line, files that are whole or absent.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{GOOD, Server, always};
use rustix::process::{Pid, Signal, kill_process};

/// A folder of its own, removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("load-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn load(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_load"))
        .args(args)
        .output()
        .unwrap()
}

fn spawn(args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    command
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

const SHORT: [&str; 6] = [
    "--duration",
    "100ms",
    "--warmup",
    "0s",
    "--connections",
    "2",
];

#[test]
fn json_goes_to_standard_output_with_the_agreed_fields() {
    let server = Server::start(always(GOOD));
    let url = server.url();
    let output = load(&[&[url.as_str(), "--json", "-"][..], &SHORT].concat());
    assert!(output.status.success());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for field in [
        "requests",
        "scheduled",
        "duration_s",
        "rate_offered",
        "rate_achieved",
        "errors",
    ]
    .into_iter()
    .chain([
        "valid",
        "reasons",
        "mode",
        "arrivals",
        "seed",
        "connections",
        "pipeline",
        "url",
    ])
    .chain([
        "silent_connections",
        "connections_lost",
        "wakeups",
        "bytes_received",
    ])
    .chain(["no_connection_p99_us", "mean_in_flight", "runs"])
    .chain(["phases", "timeline", "kinds", "idle", "slow", "poison"])
    {
        assert!(json.get(field).is_some(), "{field}");
    }
    for spread in ["response_us", "service_us", "slip_us", "connect_us"] {
        for field in ["count", "mean", "p50", "p90", "p99", "p999", "max"] {
            assert!(json[spread][field].is_number(), "{spread}.{field}");
        }
    }
    // No request is due in a closed loop, so none is late.
    for spread in ["late_us", "no_connection_us"] {
        assert_eq!(json[spread]["count"], 0, "{spread}");
    }
    for field in [
        "start_s",
        "duration_s",
        "scheduled",
        "requests",
        "errors_total",
        "p50_us",
    ]
    .into_iter()
    .chain(["p99_us", "max_us"])
    {
        assert!(json["timeline"][0][field].is_number(), "{field}");
    }
    for field in [
        "cpu_us_per_request",
        "late_p99_us",
        "max_late_us",
        "threads",
        "cpu_share",
    ] {
        assert!(json["generator"][field].is_number(), "{field}");
    }
    // The table does not mix with the JSON.
    assert!(String::from_utf8_lossy(&output.stderr).contains("response"));
}

#[test]
fn the_file_is_whole_and_alone() {
    let server = Server::start(always(GOOD));
    let folder = Folder::new("file");
    let path = folder.0.join("result.json");
    let url = server.url();
    let output = load(
        &[
            &[url.as_str(), "--json", path.to_str().unwrap()][..],
            &SHORT,
        ]
        .concat(),
    );
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("requests/s"));
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(json["requests"].as_u64().unwrap() > 0);
    assert_eq!(folder.names(), ["result.json"]);
}

#[test]
fn a_failed_run_leaves_the_old_file_and_no_other() {
    let folder = Folder::new("failed");
    let path = folder.0.join("result.json");
    fs::write(&path, "old").unwrap();
    let output = load(&["unix:/nowhere/at/all", "--json", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(folder.names(), ["result.json"]);
}

#[test]
fn errors_are_one_line_and_a_status() {
    let server = Server::start(always(GOOD));
    let url = server.url();
    for (args, status) in [
        (vec!["ftp://x/"], 2),
        (vec![url.as_str(), "--rate", "0"], 2),
        (vec![url.as_str(), "--new-connection", "--pipeline", "4"], 2),
        (vec![url.as_str(), "--protocol", "unp"], 2),
        (vec![url.as_str(), "--unp-bytes", "7"], 2),
        (vec![url.as_str(), "--profile", "0:1s"], 2),
        (vec![url.as_str(), "--poison", "nowhere"], 2),
        (vec![url.as_str(), "--json", "-", "--emit-hdr", "-"], 2),
        (vec![url.as_str(), "--emit-hdr", "/nowhere/at/all"], 1),
        (vec![url.as_str(), "--json", "/nowhere/at/all.json"], 1),
        (vec!["unix:/nowhere/at/all"], 1),
    ] {
        let output = load(&args);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{args:?}: {text}");
        assert!(
            text.starts_with("error: ") && text.lines().count() == 1,
            "{args:?}: {text}"
        );
        assert!(output.stdout.is_empty());
    }
    // This is found before the run, not after it.
    assert_eq!(server.requests.load(Ordering::SeqCst), 0);
}

#[test]
fn too_few_descriptors_are_reported_before_the_run() {
    let server = Server::start(always(GOOD));
    let script = format!(
        "ulimit -n 40; exec {} {}",
        env!("CARGO_BIN_EXE_load"),
        server.url()
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("the limit is 40") && text.lines().count() == 1,
        "{text}"
    );
}

#[test]
fn an_interrupt_keeps_what_was_measured() {
    let server = Server::start(always(GOOD));
    let url = server.url();
    let mut child = spawn(&[
        &url,
        "--duration",
        "60s",
        "--warmup",
        "0s",
        "--json",
        "-",
        "-q",
    ]);
    while server.requests.load(Ordering::SeqCst) < 500 {
        thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(child.wait().unwrap().success());
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["valid"], false);
    assert_eq!(json["reasons"][0], "interrupted");
    assert!(json["requests"].as_u64().unwrap() > 0);
    assert!(json["duration_s"].as_f64().unwrap() < 30.0);
    assert_eq!(json["errors"], serde_json::json!({}));
}

#[test]
fn unix_sockets_are_served() {
    let folder = Folder::new("unix");
    let path = folder.0.join("s");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut buffer = [0; 1024];
                while stream.read(&mut buffer).is_ok_and(|n| n > 0) {
                    use std::io::Write;
                    stream.write_all(GOOD).unwrap();
                }
            });
        }
    });
    let url = format!("unix:{}:/x", path.display());
    let output = load(&[&[url.as_str(), "--json", "-", "-q"][..], &SHORT].concat());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["requests"].as_u64().unwrap() > 0);
    assert_eq!(json["errors"], serde_json::json!({}));
}

/// A socket that is not there, and one whose server has gone.
#[test]
fn a_unix_socket_without_a_server_is_one_line() {
    let folder = Folder::new("stale");
    let (stale, missing) = (folder.0.join("stale"), folder.0.join("missing"));
    drop(UnixListener::bind(&stale).unwrap());
    assert!(stale.exists());
    for (socket, says) in [
        (stale, "connection refused"),
        (missing, "no such file or directory"),
    ] {
        let url = format!("unix:{}:/x", socket.display());
        let output = load(&[&[url.as_str(), "--json", "-", "-q"][..], &SHORT].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.starts_with("error: ") && text.contains(says) && text.lines().count() == 1,
            "{text}"
        );
        assert!(output.stdout.is_empty());
    }
}

/// Of a name with several addresses, one of which has a server, that one is loaded.
#[test]
fn a_name_is_loaded_at_the_address_that_has_a_server() {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
    let loopbacks = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    let found = ("localhost", 0).to_socket_addrs();
    let found: Vec<IpAddr> = found.map_or(Vec::new(), |all| all.map(|a| a.ip()).collect());
    for own in loopbacks {
        let listener = match TcpListener::bind((own, 0)) {
            Ok(listener) if loopbacks.iter().all(|ip| found.contains(ip)) => listener,
            _ => {
                let line = format!("SKIPPED localhost at {own}: localhost is {found:?} here\n");
                let _ = std::io::stderr().write_all(line.as_bytes());
                continue;
            }
        };
        let port = listener.local_addr().unwrap().port();
        let served = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&served);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                thread::spawn(move || {
                    while stream.read(&mut [0; 1024]).is_ok_and(|n| n > 0) {
                        seen.store(true, Ordering::SeqCst);
                        if stream.write_all(GOOD).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        let url = format!("http://localhost:{port}/");
        let output = load(&[&[url.as_str(), "--json", "-", "-q"][..], &SHORT].concat());
        assert!(output.status.success(), "{own}: {output:?}");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(json["requests"].as_u64().unwrap() > 0, "{own}: {json}");
        assert_eq!(json["errors"], serde_json::json!({}), "{own}");
        assert_eq!(json["url"], url);
        assert!(served.load(Ordering::SeqCst));
    }
}

#[test]
fn the_edges_are_announced_and_waited_at() {
    let folder = Folder::new("edges");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let json = folder.0.join("out.json");
    let args = [
        "--edges",
        "--quiet",
        "--duration",
        "100ms",
        "--warmup",
        "0s",
    ];
    let mut child = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(
            [
                &[&url, "--connections", "1", "--json", json.to_str().unwrap()],
                &args[..],
            ]
            .concat(),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stdin = child.stdin.take().unwrap();

    assert_eq!(lines.next().unwrap().unwrap(), "opened");
    stream.set_nonblocking(true).unwrap();
    let nothing = stream.peek(&mut [0]).unwrap_err();
    assert_eq!(
        nothing.kind(),
        ErrorKind::WouldBlock,
        "no request before the word"
    );
    stream.set_nonblocking(false).unwrap();

    stdin.write_all(b"\n").unwrap();
    let closed = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&closed);
    let server = thread::spawn(move || {
        while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {
            stream.write_all(GOOD).unwrap();
        }
        seen.store(true, Ordering::SeqCst);
    });
    assert_eq!(lines.next().unwrap().unwrap(), "done");
    assert!(!closed.load(Ordering::SeqCst), "no close before the word");
    stdin.write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());
    server.join().unwrap();
    assert!(json.exists() && lines.next().is_none());
}

#[test]
fn edges_need_a_standard_output_of_their_own() {
    for further in [&["--edges"][..], &["--edges", "--quiet", "--json", "-"]] {
        let output = load(&[&["http://127.0.0.1:1/"], further].concat());
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn clients_that_think_are_on_the_screen_and_in_the_result() {
    let server = Server::start(always(GOOD));
    let url = server.url();
    let flags = [url.as_str(), "--think-ms", "2.5"];
    let output = load(&[&flags[..], &SHORT, &["--quiet", "--json", "-"]].concat());
    assert!(output.status.success(), "{output:?}");
    let result: load::LoadResult = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (result.think_ms, result.mode),
        (2.5, schema::load::Mode::Closed)
    );
    let output = load(&[&flags[..], &SHORT].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("2.5 ms of thinking"), "{text}");
    let output = load(&[url.as_str(), "--think-ms", "2", "--pipeline", "2"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("do not pipeline") && error.lines().count() == 1,
        "{error}"
    );
}

#[test]
fn a_run_of_wrong_replies_begins_with_what_came_and_can_fail() {
    let server = Server::start(always(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"));
    let url = server.url();
    let output = load(&[&[url.as_str(), "--fail-on", "errors>0.1%"][..], &SHORT].concat());
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let first = text.lines().next().unwrap();
    assert!(
        first.contains("404") && first.contains("--expect-status 404"),
        "{first}"
    );
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("error: errors>0.1%: ") && error.lines().count() == 1);
    let accepted = [
        "--expect-status",
        "404",
        "--fail-on",
        "errors>0",
        "--fail-on",
        "rate<1",
    ];
    let output = load(&[&[url.as_str()][..], &accepted, &SHORT].concat());
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn csv_and_a_body_from_a_file() {
    let echoed = |stream: &mut std::net::TcpStream, _: usize, head: &str| {
        let whole = head.contains("Content-Length: 11\r\n") && head.contains("POST /");
        let reply: &[u8] = if whole {
            GOOD
        } else {
            b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n"
        };
        common::send(stream, reply)
    };
    let server = Server::reading(echoed);
    let folder = Folder::new("csv");
    let (body, csv) = (folder.0.join("body"), folder.0.join("out.csv"));
    fs::write(&body, "hello world").unwrap();
    let url = server.url();
    let body = format!("@{}", body.display());
    let flags = [
        url.as_str(),
        "--body",
        &body,
        "--csv",
        csv.to_str().unwrap(),
    ];
    let output = load(&[&flags[..], &SHORT, &["--fail-on", "errors>0"]].concat());
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(&csv).unwrap();
    assert!(
        text.starts_with("part,name,") && text.lines().count() >= 3,
        "{text}"
    );
    let output = load(&[url.as_str(), "--body", "@/nowhere/at/all"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/at/all"));
}
