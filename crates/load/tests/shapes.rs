//! The shapes of load: steps and ramps, mixes, and extra clients.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use common::{GOOD, Server, Then, always, plan, run, send};
use load::{Arrivals, Kind, LoadResult, Pace, Plan, Poison, Step};

fn profile(plan: &mut Plan, steps: &[&str], arrivals: Arrivals) {
    plan.profile = steps.iter().map(|step| step.parse().unwrap()).collect();
    let rate = plan.profile[0].rate_from;
    plan.pace = Pace::Open { rate, arrivals };
    plan.duration = plan.profile.iter().map(|step: &Step| step.duration).sum();
}

#[test]
fn steps_are_offered_and_told_apart() {
    let server = Server::start(always(GOOD));
    let mut plan = server.plan();
    plan.connections = 4;
    plan.threads = 2;
    plan.warmup = Duration::from_millis(50);
    let steps = ["200:250ms", "200-1000:500ms", "0:150ms", "100:200ms"];
    profile(&mut plan, &steps, Arrivals::Constant);
    let result = run(&plan);
    let scheduled: Vec<u64> = result.phases.iter().map(|phase| phase.scheduled).collect();
    for (found, expected) in scheduled.iter().zip([50u64, 300, 0, 20]) {
        assert!(found.abs_diff(expected) <= 2, "{scheduled:?}");
    }
    let ramp = &result.phases[1];
    assert_eq!((ramp.rate_from, ramp.rate_to), (200.0, 1000.0));
    assert_eq!((ramp.start_s, ramp.duration_s), (0.25, 0.5));
    assert_eq!(ramp.response_us.count, ramp.requests);
    assert_eq!(result.phases[2].response_us.count, 0);
    assert!((result.rate_offered.unwrap() - 370.0 / 1.1).abs() < 1.0);
    // Slices of 100 ms, which end where a step ends.
    let slices: Vec<f64> = result.timeline.iter().map(|slice| slice.start_s).collect();
    let expected = [
        0.0, 0.1, 0.2, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.9, 1.0,
    ];
    assert_eq!(slices.len(), expected.len());
    for (found, expected) in slices.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-9, "{slices:?}");
    }
}

#[test]
fn a_fault_shows_in_its_slice_and_in_no_other() {
    let server = Server::start(|stream, n| {
        // Request 120 of 500 per second is due after 240 ms.
        if n == 120 {
            thread::sleep(Duration::from_millis(80));
        }
        if (200..210).contains(&n) {
            return send(stream, b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
        }
        send(stream, GOOD)
    });
    let mut plan = server.plan();
    profile(&mut plan, &["500:500ms"], Arrivals::Constant);
    let result = run(&plan);
    let slices = &result.timeline;
    assert_eq!(slices.len(), 5);
    assert!(slices[2].max_us.unwrap() >= 70e3, "{slices:?}");
    let errors: Vec<u64> = slices.iter().map(|slice| slice.errors_total).collect();
    assert_eq!(errors, [0, 0, 0, 0, 10]);
    assert_eq!(slices[4].max_us, None);
    assert!(slices[4].p50_us.is_some());
}

#[test]
fn replies_in_time_are_counted_exactly() {
    let server = Server::start(|stream, n| {
        if n % 4 == 3 {
            thread::sleep(Duration::from_millis(120));
        }
        send(stream, GOOD)
    });
    let mut plan = server.plan();
    plan.objective = Some(Duration::from_millis(60));
    let steps = ["20:500ms", "20:500ms"];
    profile(&mut plan, &steps, Arrivals::Constant);
    // There is one connection per request, so that none waits for a slow one.
    plan.connections = 8;
    let result = run(&plan);
    let slices: u64 = result
        .timeline
        .iter()
        .filter_map(|s| s.within_objective)
        .sum();
    let phases: u64 = result
        .phases
        .iter()
        .filter_map(|p| p.within_objective)
        .sum();
    assert_eq!(slices, phases);
    assert_eq!(result.requests, 20);
    // The percentiles of a slice of two requests are not that exact.
    assert_eq!(slices, 15, "{:?}", result.timeline);
    plan.objective = None;
    let result = run(&plan);
    assert!(result.timeline.iter().all(|s| s.within_objective.is_none()));
}

#[test]
fn a_closed_loop_has_a_timeline_too() {
    let server = Server::start(always(GOOD));
    let result = run(&server.plan());
    assert_eq!(result.timeline.len(), 3);
    assert!(
        result.timeline.iter().all(|slice| slice.requests > 0),
        "{result:?}"
    );
    assert!(result.phases.is_empty() && result.kinds.is_empty());
}

/// Answers each kind of request differently, and refuses a request that is not of the mix.
fn kinds_server() -> Server {
    Server::reading(|stream, _, request| {
        let line = request
            .lines()
            .find(|line| line.ends_with("HTTP/1.1"))
            .unwrap_or("");
        // The body of the previous request precedes the line.
        let at = ["GET ", "PUT "].iter().find_map(|method| line.find(method));
        let mut words = line[at.unwrap_or(0)..].split(' ');
        match (words.next().unwrap(), words.next().unwrap_or("")) {
            ("GET", "/a") => send(stream, GOOD),
            ("GET", path) if path.starts_with("/kv/") => {
                let key: u32 = path[4..].parse().unwrap();
                let body = "v".repeat(key as usize);
                let reply = match key {
                    0 => "HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnone".to_owned(),
                    _ => format!("HTTP/1.1 200 OK\r\nContent-Length: {key}\r\n\r\n{body}"),
                };
                send(stream, reply.as_bytes())
            }
            ("PUT", "/p") if request.contains("Content-Length: 7\r\n") => {
                send(stream, b"HTTP/1.1 204 Done\r\n\r\n")
            }
            _ => send(stream, b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"),
        }
    })
}

fn mix(kinds: &[&str]) -> Vec<Kind> {
    kinds.iter().map(|kind| kind.parse().unwrap()).collect()
}

#[test]
fn a_mix_keeps_its_weights_and_checks_each_kind_by_itself() {
    let server = kinds_server();
    for (pace, pipeline, new_connection) in [
        (Pace::Closed, 1, false),
        (Pace::Closed, 8, false),
        (
            Pace::Open {
                rate: 2000.0,
                arrivals: Arrivals::Poisson,
            },
            4,
            false,
        ),
    ] {
        let mut plan = server.plan();
        plan.connections = 3;
        plan.pace = pace;
        plan.pipeline = pipeline;
        plan.new_connection = new_connection;
        plan.body_bytes = 7;
        plan.expect_status = vec![200, 204, 404];
        plan.requests = mix(&["6:GET:/a", "3:GET:/kv/{n:40}", "1:PUT:/p"]);
        let result = run(&plan);
        assert!(result.errors.is_empty(), "{result:?}");
        assert!(result.requests > 16, "{result:?}");
        let total = result.scheduled as f64;
        for (kind, share) in result.kinds.iter().zip([0.6, 0.3, 0.1]) {
            let spread = 5.0 * (share * (1.0 - share) / total).sqrt();
            assert!(
                (kind.scheduled as f64 / total - share).abs() < spread,
                "{result:?}"
            );
            assert_eq!(kind.response_us.count, kind.requests);
        }
        assert_eq!(result.kinds[1].path, "/kv/{n:40}");
    }
}

#[test]
fn a_percentile_may_be_asked_of_some_kinds() {
    // Of two kinds one is slow, and a third fails.
    let server = Server::reading(|stream, _, head| {
        if head.starts_with("GET /slow") {
            std::thread::sleep(Duration::from_millis(20));
        }
        match head.starts_with("GET /bad") {
            true => send(stream, b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
            false => send(stream, GOOD),
        }
    });
    let mut plan = server.plan();
    plan.connections = 4;
    plan.requests = mix(&["6:GET:/a", "3:GET:/slow", "1:GET:/bad"]);
    let mut of = |asked: &str| {
        plan.percentile = Some(asked.parse().unwrap());
        let result = run(&plan);
        let found = result.percentile.clone().unwrap();
        assert_eq!(found.asked, asked);
        (found.scheduled, found.response_us, result)
    };
    let (n, all, result) = of("50");
    assert_eq!((n, all), (result.scheduled, result.response_us.p50));
    let (n, slow, result) = of("1@1..2");
    assert_eq!(n, result.kinds[1].scheduled);
    assert!(slow.unwrap() >= 20_000.0, "{slow:?}");
    let (n, both, result) = of("0.1@0..2");
    assert_eq!(n, result.kinds[0].scheduled + result.kinds[1].scheduled);
    assert!(both.unwrap() < slow.unwrap());
    // What fails ranks as infinite.
    assert_eq!(of("50@2..3").1, None);
    plan.percentile = Some("50@2..4".parse().unwrap());
    let error = load::run(&plan).unwrap_err().to_string();
    assert!(error.contains("kinds up to 4; the mix has 3"), "{error}");
}

#[test]
fn a_wrong_kind_is_told_from_the_right_ones() {
    let server = kinds_server();
    let mut plan = server.plan();
    plan.requests = mix(&["1:GET:/a", "1:GET:/nowhere", "1:GET:/kv/{n:9}"]);
    let result = run(&plan);
    let errors: Vec<_> = result
        .kinds
        .iter()
        .map(|kind| kind.errors.get("status"))
        .collect();
    assert_eq!(errors[0], None);
    assert_eq!(errors[1], Some(&result.kinds[1].scheduled));
    // Only key 0 does not exist.
    assert!(errors[2].is_some_and(|&n| n < result.kinds[2].scheduled / 2));
    // If asked for, the bodies of drawn paths are compared, and they differ.
    plan.body_check = Some(load::BodyCheck::Length);
    plan.expect_status = vec![200, 404, 400];
    let result = run(&plan);
    assert!(
        result.kinds[2].errors.contains_key("wrong_body"),
        "{result:?}"
    );
    assert!(result.kinds[0].errors.is_empty() && result.kinds[1].errors.is_empty());
}

#[test]
fn the_same_seed_asks_the_same() {
    let asked = |seed| {
        let (tell, told) = std::sync::mpsc::channel();
        let server = Server::reading(move |stream, _, request| {
            let _ = tell.send(request.lines().next().unwrap().to_owned());
            send(stream, GOOD)
        });
        let mut plan = server.plan();
        plan.seed = seed;
        plan.pace = Pace::Open {
            rate: 1000.0,
            arrivals: Arrivals::Constant,
        };
        plan.body_check = Some(load::BodyCheck::None);
        plan.requests = mix(&["1:GET:/a{n:1000}", "2:GET:/b"]);
        run(&plan);
        told.try_iter().collect::<Vec<_>>()
    };
    assert_eq!(asked(3), asked(3));
    assert_ne!(asked(3), asked(4));
}

#[test]
fn idle_connections_carry_one_request_and_are_held() {
    let server = Server::start(always(GOOD));
    let mut plan = server.plan();
    plan.idle = 150;
    plan.new_connection = false;
    let result = run(&plan);
    let idle = result.idle.unwrap();
    assert_eq!(
        (
            idle.asked,
            idle.opened,
            idle.open_at_end,
            idle.closed_by_server
        ),
        (150, 150, 150, 0)
    );
    assert!(!has_reason(&result, "idle"), "{result:?}");
    assert_eq!(result.connections_alive, 1);
    let served = server.requests.load(std::sync::atomic::Ordering::SeqCst) as u64;
    assert!(
        served >= result.requests + 150,
        "each idle connection asked once"
    );
}

fn has_reason(result: &LoadResult, part: &str) -> bool {
    assert_eq!(result.valid, result.reasons.is_empty());
    result
        .reasons
        .iter()
        .any(|reason| reason.text.contains(part))
}

#[test]
fn idle_connections_that_are_closed_make_the_run_invalid() {
    let server = Server::start(|stream, n| {
        send(stream, GOOD);
        if n < 3 { Then::Close } else { Then::Continue }
    });
    let mut plan = server.plan();
    plan.idle = 8;
    let result = run(&plan);
    let idle = result.idle.unwrap();
    assert_eq!(
        (idle.opened, idle.open_at_end, idle.closed_by_server),
        (8, 5, 3)
    );
    assert!(has_reason(
        &result,
        "3 of 8 idle connections were closed by the server"
    ));

    // One gets a wrong reply and one gets none in time: they do not count as opened.
    let server = Server::start(|stream, n| match n {
        0 => send(stream, b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
        1 => Then::Continue,
        _ => send(stream, GOOD),
    });
    let mut plan = server.plan();
    plan.idle = 8;
    plan.timeout = Duration::from_millis(300);
    let result = run(&plan);
    assert_eq!(result.idle.unwrap().opened, 6);
    assert!(has_reason(&result, "6 of 8 idle connections were opened"));
}

/// A server that allows 200 ms for a request, and for the reading of its reply.
fn impatient(reply_bytes: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || while serve_in_time(&stream, reply_bytes).is_some() {});
        }
    });
    address
}

const PATIENCE: Duration = Duration::from_millis(200);

fn serve_in_time(mut stream: &TcpStream, reply_bytes: usize) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    let mut deadline = None;
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
        // The time of a request starts with its first byte.
        if Instant::now() > *deadline.get_or_insert_with(|| Instant::now() + PATIENCE) {
            return None;
        }
    }
    let long = head.starts_with(b"GET /long");
    let body = "x".repeat(if long { reply_bytes } else { 5 });
    let reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    if stream.write_all(reply.as_bytes()).is_err() {
        let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        return None;
    }
    Some(())
}

fn slow_plan(address: &str, bytes_per_s: u32) -> Plan {
    let mut plan = plan(address);
    plan.duration = Duration::from_millis(1500);
    plan.slow.senders = 3;
    plan.slow.readers = 2;
    plan.slow.path = "/long".to_owned();
    plan.slow.bytes_per_s = bytes_per_s;
    plan
}

#[test]
fn slow_clients_that_the_server_closes_are_replaced() {
    // The reply is too long for the socket buffers, which take some megabytes.
    let result = run(&slow_plan(&impatient(16 << 20), 100));
    let slow = result.slow.as_ref().unwrap();
    for (side, asked) in [(&slow.senders, 3), (&slow.readers, 2)] {
        assert_eq!((side.asked, side.finished), (asked, 0));
        assert!(side.closed_by_server >= asked, "{slow:?}");
        assert_eq!(
            side.opened,
            side.closed_by_server + side.open_at_end,
            "{slow:?}"
        );
        assert_eq!(side.life_us.count, side.closed_by_server);
        assert!(side.life_us.p50.unwrap() >= 190e3, "{slow:?}");
    }
    // They are not part of the load.
    assert!(
        result.errors.is_empty() && result.requests > 16,
        "{result:?}"
    );
    assert_eq!((result.connections, result.connections_alive), (1, 1));
}

#[test]
fn slow_clients_that_the_server_tolerates_finish() {
    let server = Server::reading(|stream, _, request| {
        let body = if request.contains("/long") { 30_000 } else { 5 };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n");
        send(stream, (head + &"x".repeat(body)).as_bytes())
    });
    let address = server.url().replace("http://", "").replace('/', "");
    // A request of a thousand bytes takes 20 ms, a reply of thirty thousand bytes 600 ms.
    let result = run(&slow_plan(&address, 50_000));
    let slow = result.slow.as_ref().unwrap();
    assert!(
        slow.senders.finished >= 6 && slow.readers.finished >= 2,
        "{slow:?}"
    );
    assert_eq!((slow.senders.open_at_end, slow.readers.open_at_end), (3, 2));
    assert_eq!((slow.senders.opened, slow.readers.opened), (3, 2));
    assert_eq!(slow.readers.life_us.count, 0);
}

#[test]
fn poisoned_requests_are_not_part_of_the_load() {
    let server = Server::reading(|stream, _, request| {
        let path = request.split(' ').nth(1).unwrap().to_owned();
        match path.as_str() {
            "/deadly" => Then::Reset,
            "/harmless" => send(stream, b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n"),
            "/endless" => Then::Continue,
            _ => send(stream, GOOD),
        }
    });
    for (path, every_ms, sent, answered) in [
        ("/deadly", Some(50), 5, 0),
        ("/harmless", Some(50), 5, 5),
        ("/harmless", None, 1, 1),
        ("/endless", None, 1, 0),
    ] {
        let mut plan = server.plan();
        plan.poison = Some(Poison {
            path: path.to_owned(),
            every: every_ms.map(Duration::from_millis),
        });
        let result = run(&plan);
        let poison = result.poison.as_ref().unwrap();
        assert_eq!(
            (poison.sent, poison.answered, poison.lost),
            (sent, answered, sent - answered)
        );
        assert_eq!(poison.response_us.count, answered);
        assert!(
            result.errors.is_empty() && result.connections_lost == 0,
            "{result:?}"
        );
    }
}
