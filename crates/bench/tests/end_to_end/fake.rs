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
    #[arg(long, required_unless_present = "profile")]
    duration: Option<String>,
    #[arg(long, value_delimiter = ',')]
    profile: Vec<String>,
    #[arg(long)]
    request: Vec<String>,
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
    let steps: Vec<(f64, u64)> = load.profile.iter().map(|step| parsed(step)).collect();
    let ms = match &load.duration {
        Some(duration) => milliseconds(duration),
        None => steps.iter().map(|(_, ms)| ms).sum(),
    };
    let idle = idle(load, address, &request);
    let mut requests = 0_u64;
    let mut stream = TcpStream::connect(address).expect("it listens");
    pause(load, "opened");
    let start = Instant::now();
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
    pause(load, "done");
    drop(idle);
    // The result obeys Little's law.
    let mean_us = (load.connections * load.pipeline) as f64 * seconds * 1e6 / requests as f64;
    let p99_us = load
        .rate
        .filter(|rate| *rate <= FAKE_CAPACITY)
        .map(|_| 900.0);
    let mut json = serde_json::json!({
        "requests": requests, "scheduled": requests, "duration_s": seconds,
        "rate_achieved": requests as f64 / seconds,
        "response_us": {"count": requests, "mean": mean_us, "p50": 250.0, "p99": p99_us, "max": null},
        "errors": {}, "valid": true, "reasons": [], "silent_connections": 0,
        "generator": {"cpu_us_per_request": 5.0, "late_p99_us": 1.0, "cpu_share": 0.1},
    });
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
    fs::write(&load.json, json.to_string()).expect("written");
    ExitCode::SUCCESS
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
