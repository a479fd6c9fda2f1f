//! A generator of the test's own: it sends real requests, and its result is made up.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What the bench asks of a generator.
#[derive(clap::Parser)]
pub struct Load {
    url: String,
    #[arg(long)]
    connections: usize,
    #[arg(long, required_unless_present_any = ["profile", "slices"])]
    duration: Option<String>,
    #[arg(long, value_delimiter = ',')]
    profile: Vec<String>,
    #[arg(long)]
    request: Vec<String>,
    #[arg(long)]
    header: Vec<String>,
    #[arg(long, default_value_t = 0)]
    body_bytes: usize,
    #[arg(long)]
    expect_status: Option<String>,
    #[arg(long, default_value_t = 0)]
    idle: u32,
    #[arg(long, default_value_t = 0)]
    slow_senders: u32,
    #[arg(long, default_value_t = 0)]
    slow_readers: u32,
    #[arg(long)]
    poison: Option<String>,
    #[arg(long, required_unless_present = "slices")]
    json: Option<PathBuf>,
    #[arg(long)]
    slices: bool,
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long)]
    new_connection: bool,
    #[arg(long)]
    quiet: bool,
    #[arg(long, default_value_t = 1)]
    pipeline: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, required_unless_present = "slices")]
    warmup: Option<String>,
    #[arg(long)]
    drain: String,
    #[arg(long)]
    timeout: String,
    #[arg(long)]
    arrivals: Option<String>,
    #[arg(long)]
    objective_us: Option<f64>,
    #[arg(long)]
    body_check: Option<String>,
    #[arg(long)]
    edges: bool,
}

/// Pauses, as the real one does.
fn pause(load: &Load, moment: &str) {
    assert!(load.edges, "the bench reads its counters in the pauses");
    println!("{moment}");
    std::io::stdin()
        .read_line(&mut String::new())
        .expect("told to go on");
}

/// Opens the idle connections, and has each of them served.
fn idle(load: &Load, address: &str, request: &str) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(request.as_bytes()).expect("sent");
        assert!(stream.read(&mut [0; 512]).expect("received") > 0);
        stream
    };
    (0..load.idle).map(open).collect()
}

/// Above this offered rate the fake generator reports a 99th percentile that no objective allows.
pub const FAKE_CAPACITY: f64 = 2_000.0;

/// A generator with one request at a time, whose result is that of all the connections asked for.
pub fn generate(load: &Load) -> ExitCode {
    let (address, path) = load.url["http://".len()..].split_once('/').expect("a path");
    let path = match load
        .request
        .first()
        .and_then(|kind| kind.splitn(3, ':').nth(2))
    {
        Some(kind) => kind.trim_start_matches('/').replace("{n:1000}", "1"),
        None => path.to_owned(),
    };
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    if load.slices {
        return slices(load, address, &request, path.is_empty());
    }
    let steps: Vec<(f64, u64)> = load.profile.iter().map(|step| parsed(step)).collect();
    let ms = match &load.duration {
        Some(duration) => milliseconds(duration),
        None => steps.iter().map(|(_, ms)| ms).sum(),
    };
    let idle = idle(load, address, &request);
    let mut stream = TcpStream::connect(address).expect("it listens");
    pause(load, "opened");
    let window = Duration::from_millis(ms);
    let (requests, seconds) = send(load, &mut stream, &request, path.is_empty(), window);
    pause(load, "done");
    drop(idle);
    let mut json = result(load, requests, seconds, load.rate);
    if !steps.is_empty() {
        let (phases, timeline) = stepped(&steps);
        json["phases"] = phases;
        json["timeline"] = timeline;
    }
    if load.idle > 0 {
        json["idle"] = serde_json::json!({"asked": load.idle, "opened": load.idle});
    }
    if load.poison.is_some() {
        json["poison"] = serde_json::json!({"sent": 1, "answered": 1, "lost": 0});
    }
    let file = load.json.as_ref().expect("a file");
    fs::write(file, json.to_string()).expect("written");
    ExitCode::SUCCESS
}

/// Sends requests for so long; gives their number and the seconds it took.
fn send(
    load: &Load,
    stream: &mut TcpStream,
    request: &str,
    fast: bool,
    window: Duration,
) -> (u64, f64) {
    let (start, mut requests) = (Instant::now(), 0);
    while start.elapsed() < window {
        if load.new_connection {
            let address = stream.peer_addr().expect("connected");
            *stream = TcpStream::connect(address).expect("it listens");
        }
        stream.write_all(request.as_bytes()).expect("sent");
        let mut reply = [0; 512];
        assert!(stream.read(&mut reply).expect("received") > 0);
        requests += 1;
        std::thread::sleep(Duration::from_micros(if fast { 0 } else { 200 }));
    }
    (requests, start.elapsed().as_secs_f64())
}

/// A result that obeys Little's law.
fn result(load: &Load, requests: u64, seconds: f64, rate: Option<f64>) -> serde_json::Value {
    let in_flight = (load.connections * load.pipeline) as f64;
    let mean_us = in_flight * seconds * 1e6 / requests as f64;
    let p99_us = rate.filter(|rate| *rate <= FAKE_CAPACITY).map(|_| 900.0);
    serde_json::json!({
        "requests": requests, "scheduled": requests, "duration_s": seconds,
        "rate_achieved": requests as f64 / seconds, "mean_in_flight": in_flight,
        "response_us": {"count": requests, "mean": mean_us, "p50": 250.0, "p99": p99_us, "max": null},
        "errors": {}, "valid": true, "reasons": [], "silent_connections": 0,
        "generator": {"cpu_us_per_request": 5.0, "late_p99_us": 1.0, "cpu_share": 0.1},
    })
}

/// Loads in slices, as it is told on standard input.
fn slices(load: &Load, address: &str, request: &str, fast: bool) -> ExitCode {
    let mut stream = TcpStream::connect(address).expect("it listens");
    loop {
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line).expect("a line") == 0 {
            return ExitCode::SUCCESS;
        }
        let asked: serde_json::Value = serde_json::from_str(&line).expect("a slice");
        let seconds = asked["seconds"].as_f64().expect("a length");
        pause(load, "opened");
        let window = Duration::from_secs_f64(seconds);
        let (requests, seconds) = send(load, &mut stream, request, fast, window);
        pause(load, "done");
        let mut json = result(load, requests, seconds, asked["rate"].as_f64());
        json["response_hdr"] = "made up".into();
        println!("{json}");
    }
}

fn milliseconds(text: &str) -> u64 {
    text.trim_end_matches("ms").parse().expect("milliseconds")
}

fn parsed(step: &str) -> (f64, u64) {
    let (rate, ms) = step.split_once(':').expect("RATE:DURATION");
    (rate.parse().expect("a rate"), milliseconds(ms))
}

/// Steps in which every request was answered: late in the step of the highest rate and up to 0.2 s
/// after it.
fn stepped(steps: &[(f64, u64)]) -> (serde_json::Value, serde_json::Value) {
    let highest = steps.iter().map(|step| step.0).fold(0.0, f64::max);
    let (mut phases, mut timeline) = (Vec::new(), Vec::new());
    let (mut start_ms, mut late_until_ms) = (0_u64, 0_u64);
    for &(rate, ms) in steps {
        let scheduled = (rate * ms as f64 / 1e3) as u64;
        let late_ms = if rate >= highest {
            ms
        } else {
            late_until_ms.saturating_sub(start_ms).min(ms)
        };
        phases.push(serde_json::json!({
            "within_objective": (rate * (ms - late_ms) as f64 / 1e3) as u64,
            "rate_from": rate, "start_s": start_ms as f64 / 1e3, "duration_s": ms as f64 / 1e3,
            "scheduled": scheduled, "requests": scheduled, "errors": {"reset": 0},
            "response_us": {"count": scheduled, "p50": null},
        }));
        if rate >= highest {
            late_until_ms = start_ms + ms + 200;
        }
        for at_ms in (start_ms..start_ms + ms).step_by(100) {
            let p99_us = if at_ms < late_until_ms && at_ms >= steps[0].1 {
                90_000.0
            } else {
                500.0
            };
            timeline.push(serde_json::json!({
                "start_s": at_ms as f64 / 1e3, "duration_s": 0.1, "scheduled": rate / 10.0,
                "requests": rate / 10.0, "errors_total": 0, "p50_us": p99_us, "p99_us": p99_us,
            }));
        }
        start_ms += ms;
    }
    // Whole numbers, as counts are.
    for slice in &mut timeline {
        for count in ["scheduled", "requests"] {
            slice[count] = (slice[count].as_f64().expect("a number") as u64).into();
        }
    }
    (phases.into(), timeline.into())
}
