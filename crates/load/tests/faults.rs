//! Every fault of a server is counted in its class, and nothing is lost from the count.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod common;

use std::net::TcpListener;
use std::os::fd::AsFd;
use std::time::Duration;

use common::{GOOD, Server, Then, always, only_class, plan, run, send};
use load::{Arrivals, Pace};
use schema::Code;

#[test]
fn a_correct_server_has_no_errors() {
    let server = Server::start(always(GOOD));
    let mut plan = server.plan();
    plan.connections = 4;
    plan.threads = 2;
    plan.warmup = Duration::from_millis(50);
    let result = run(&plan);
    assert!(
        result.errors.is_empty() && result.requests > 0,
        "{result:?}"
    );
    assert_eq!((result.connections_alive, result.connections_lost), (4, 0));
    assert_eq!(
        (result.silent_connections, result.connect_us.count),
        (Some(0), 4)
    );
    assert!(
        (2.0..4.2).contains(&result.mean_in_flight),
        "{}",
        result.mean_in_flight
    );
    assert_eq!(result.response_us, result.service_us);
    assert!(result.response_us.max.is_some());
}

#[test]
fn a_reset_is_a_reset() {
    let server = Server::start(|_, _| Then::Reset);
    let result = run(&server.plan());
    assert_eq!(only_class(&result), "reset");
    assert!(result.connections_lost > 0 && !result.valid);
    assert_eq!(result.response_us.p50, None);
    // There are pauses between attempts: a broken server is not retried in a busy loop.
    assert!(result.scheduled < 100, "{}", result.scheduled);
}

#[test]
fn an_early_close_is_an_early_end() {
    let server = Server::start(|stream, _| {
        send(stream, &GOOD[..GOOD.len() - 1]);
        Then::Close
    });
    assert_eq!(only_class(&run(&server.plan())), "early_end");
}

#[test]
fn pipelined_requests_behind_a_close_are_early_ends() {
    let server = Server::start(|stream, n| {
        send(stream, GOOD);
        if n % 10 == 9 {
            Then::Close
        } else {
            Then::Continue
        }
    });
    let mut plan = server.plan();
    plan.pipeline = 4;
    let result = run(&plan);
    assert!(result.requests > 0 && result.connections_lost > 0);
    // If a server closes with unread requests, the kernel sends a reset.
    let lost: u64 = ["early_end", "reset", "write_error"]
        .iter()
        .filter_map(|class| result.errors.get(*class))
        .sum();
    assert_eq!(lost, result.failures());
    assert!(lost > 0);
}

#[test]
fn an_announced_close_is_no_error_but_the_connection_is_not_kept() {
    let server = Server::start(|stream, _| {
        send(
            stream,
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        );
        Then::Close
    });
    let result = run(&server.plan());
    assert!(
        result.errors.is_empty() && result.requests > 2,
        "{result:?}"
    );
    assert_eq!(result.connections_lost, 0);
    // Each reply ended its connection; the last one may have arrived after the window.
    assert!(result.connections_closed + 1 >= result.requests);
    let reasons = &result.reasons;
    assert!(reasons.has(Code::ConnectionsClosed), "{reasons:?}");
}

#[test]
fn one_announced_close_among_many_replies_is_seen() {
    let server = Server::start(|stream, n| {
        if n != 50 {
            return send(stream, GOOD);
        }
        let last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
        send(stream, last);
        Then::Close
    });
    let result = run(&server.plan());
    assert_eq!((result.connections_closed, result.connections_lost), (1, 0));
    assert_eq!(result.connections_alive, 1, "at both ends of the window");
    assert!(!result.valid, "{result:?}");
}

#[test]
fn with_one_connection_per_request_the_server_closes() {
    let server = Server::start(|stream, _| {
        send(stream, GOOD);
        Then::Close
    });
    let mut plan = server.plan();
    plan.new_connection = true;
    let result = run(&plan);
    assert!(
        result.requests > 2 && result.connections_closed == 0,
        "{result:?}"
    );
}

#[test]
fn a_wrong_body_is_seen() {
    let server = Server::start(|stream, n| {
        let jello = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\njello";
        send(stream, if n % 3 == 2 { jello } else { GOOD })
    });
    let result = run(&server.plan());
    assert_eq!(only_class(&result), "wrong_body");
    assert!(
        (result.failures() * 3).abs_diff(result.scheduled) <= 6,
        "{result:?}"
    );
    assert!(result.reasons.has(Code::WrongBodies));
    assert_eq!(result.connections_lost, 0);
}

#[test]
fn statuses_are_checked() {
    for (head, class) in [
        ("500 Oops", "status"),
        ("301 Gone", "status"),
        ("503 Busy", "shed"),
    ] {
        let reply = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n")
            .leak()
            .as_bytes();
        let server = Server::start(always(reply));
        assert_eq!(only_class(&run(&server.plan())), class);
    }
    let server = Server::start(always(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"));
    let mut plan = server.plan();
    plan.expect_status = vec![404];
    let result = run(&plan);
    assert!(result.errors.is_empty() && result.requests > 0);
}

#[test]
fn what_is_not_http_is_malformed() {
    let server = Server::start(always(b"220 smtp.example ESMTP\r\n\r\n"));
    assert_eq!(only_class(&run(&server.plan())), "malformed");
}

#[test]
fn bytes_behind_the_body_are_not_overlooked() {
    let server = Server::start(always(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhello"));
    let result = run(&server.plan());
    assert!(result.connections_lost > 0 && !result.valid, "{result:?}");
}

#[test]
fn bytes_behind_the_last_body_are_not_overlooked() {
    const LONG: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhello";
    const LAST: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nhello";
    for (reply, new_connection) in [(LONG, true), (LAST, true), (LAST, false)] {
        let server = Server::start(move |stream, _| {
            send(stream, reply);
            Then::Close
        });
        let mut plan = server.plan();
        plan.new_connection = new_connection;
        let result = run(&plan);
        assert_eq!(only_class(&result), "malformed");
        assert_eq!(result.requests, 0, "{result:?}");
    }
}

#[test]
fn replies_that_arrive_byte_by_byte_are_read_whole() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let server = Server::start(move |stream, n| {
        let reply: &[u8] = if n % 2 == 0 { GOOD } else { chunked };
        for byte in reply {
            send(stream, &[*byte]);
        }
        Then::Continue
    });
    let result = run(&server.plan());
    assert!(
        result.errors.is_empty() && result.requests > 2,
        "{result:?}"
    );
}

#[test]
fn silence_is_a_timeout_then_censored() {
    let server = Server::start(|_, _| Then::Continue);
    let mut plan = server.plan();
    plan.connections = 3;
    plan.timeout = Duration::from_millis(100);
    let result = run(&plan);
    assert!(result.errors["timeout"] >= 6, "{:?}", result.errors);
    assert_eq!(result.silent_connections, Some(3));
    plan.timeout = Duration::from_secs(5);
    plan.warmup = Duration::from_millis(50);
    // They were sent in the warm-up and never answered: they count in the window all the same.
    let result = run(&plan);
    assert_eq!(only_class(&result), "censored");
    assert_eq!(result.scheduled, 3);
}

#[test]
fn a_listener_that_never_accepts_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut plan = plan(&listener.local_addr().unwrap().to_string());
    plan.timeout = Duration::from_millis(100);
    assert_eq!(only_class(&run(&plan)), "timeout");
}

#[test]
fn a_server_that_closes_at_once_is_an_early_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    for (new_connection, pace) in [
        (false, Pace::Closed),
        (true, Pace::Closed),
        (false, OPEN),
        (true, OPEN),
    ] {
        let mut plan = plan(&address);
        plan.new_connection = new_connection;
        plan.pace = pace;
        plan.timeout = Duration::from_millis(100);
        let result = run(&plan);
        assert_eq!(result.requests, 0);
        // A request sent after the close is answered by a reset; one that finds the close before it
        // is written waits for the next connection until its time-out.
        for class in result.errors.keys() {
            let known = ["early_end", "reset", "write_error", "timeout", "censored"];
            assert!(known.contains(&class.as_str()), "{:?}", result.errors);
        }
        assert!(result.failures() > 0 && !result.valid);
    }
}

const OPEN: Pace = Pace::Open {
    rate: 300.0,
    arrivals: Arrivals::Poisson,
};

/// Every fault in an open loop, with and without replies: the schedule does not slow down, and
/// every request that is due is counted.
#[test]
fn an_open_loop_counts_every_request_of_every_fault() {
    type Answer = fn(&mut std::net::TcpStream, usize) -> Then;
    let faults: [(&str, Answer); 8] = [
        ("reset", |_, _| Then::Reset),
        ("early_end", |stream, _| {
            send(stream, &GOOD[..GOOD.len() - 2]);
            Then::Close
        }),
        ("early_end", |_, _| Then::Close),
        ("malformed", |stream, _| send(stream, b"HELO\r\n\r\n")),
        ("status", |stream, _| {
            send(stream, b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
        }),
        ("shed", |stream, _| {
            send(stream, b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        }),
        ("wrong_body", |stream, n| match n {
            0 => send(stream, GOOD),
            _ => send(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\njello"),
        }),
        ("timeout", |_, _| Then::Continue),
    ];
    for (class, answer) in faults {
        let server = Server::start(answer);
        let mut plan = server.plan();
        plan.pace = Pace::Open {
            rate: 200.0,
            arrivals: Arrivals::Constant,
        };
        plan.connections = 4;
        plan.timeout = Duration::from_millis(100);
        plan.drain = Duration::from_millis(400);
        let result = run(&plan);
        assert_eq!(result.scheduled, 50, "{class}");
        assert!(result.requests <= 1, "{class}");
        // While connections are lost one after the other, some requests wait until their time-out.
        let others = result.failures() - result.errors[class];
        let waiting = result.errors.get("timeout").copied().unwrap_or(0);
        assert!(
            others == 0 || (class != "timeout" && others == waiting),
            "{result:?}"
        );
        assert!(result.errors[class] > 0, "{result:?}");
        assert_eq!(result.response_us.p99, None);
    }
}

#[test]
fn a_reply_that_takes_longer_than_the_time_out_is_a_timeout() {
    let server = Server::start(|stream, _| {
        for byte in GOOD {
            if let Then::Close = send(stream, &[*byte]) {
                return Then::Close;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Then::Continue
    });
    let mut plan = server.plan();
    plan.connections = 3;
    // Forty-four bytes take about 220 ms.
    plan.timeout = Duration::from_millis(80);
    assert_eq!(only_class(&run(&plan)), "timeout");
    plan.timeout = Duration::from_secs(5);
    plan.drain = Duration::from_secs(2);
    let result = run(&plan);
    assert!(
        result.errors.is_empty() && result.requests >= 3,
        "{result:?}"
    );
    assert!(result.service_us.p50.unwrap() > 200e3);
}

#[test]
fn a_full_backlog_is_a_connect_timeout() {
    use rustix::net::{AddressFamily, SocketType, bind, connect, getsockname, listen, socket};
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(
        &listener,
        &std::net::SocketAddrV4::new([127, 0, 0, 1].into(), 0),
    )
    .unwrap();
    listen(&listener, 0).unwrap();
    let address = std::net::SocketAddr::try_from(getsockname(listener.as_fd()).unwrap()).unwrap();
    // A backlog of 0 takes one connection.
    let filler = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    connect(&filler, &address).unwrap();
    let mut plan = plan(&address.to_string());
    plan.new_connection = true;
    plan.timeout = Duration::from_millis(100);
    assert_eq!(only_class(&run(&plan)), "connect_timeout");
}

#[test]
fn a_closed_port_is_an_error_and_no_measurement() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for new_connection in [false, true] {
        let mut plan = plan(&address.to_string());
        plan.duration = Duration::from_secs(30);
        plan.new_connection = new_connection;
        let error = load::run(&plan).unwrap_err().to_string();
        assert!(error.ends_with("connection refused"), "{error}");
    }
}

#[test]
fn a_server_that_stops_refuses() {
    for pace in [
        Pace::Closed,
        Pace::Open {
            rate: 500.0,
            arrivals: Arrivals::Constant,
        },
    ] {
        let server = Server::start(|stream, n| {
            send(stream, GOOD);
            if n == 20 { Then::Die } else { Then::Continue }
        });
        let mut plan = server.plan();
        plan.pace = pace;
        let result = run(&plan);
        assert!(
            result.requests >= 20 && result.errors["refused"] > 0,
            "{result:?}"
        );
        assert!(result.scheduled < 1000, "a dead server must cost no spin");
    }
}

#[test]
fn one_connection_per_request_counts_its_connect() {
    let server = Server::start(|stream, _| {
        send(
            stream,
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        );
        Then::Close
    });
    for pace in [
        Pace::Closed,
        Pace::Open {
            rate: 400.0,
            arrivals: Arrivals::Poisson,
        },
    ] {
        let mut plan = server.plan();
        plan.pace = pace;
        plan.connections = 2;
        plan.new_connection = true;
        let result = run(&plan);
        assert!(
            result.errors.is_empty() && result.requests > 2,
            "{result:?}"
        );
        assert_eq!(result.connect_us.count, result.requests);
        let mean = |latency: schema::load::Latency| latency.mean.unwrap();
        let parts = mean(result.slip_us) + mean(result.service_us);
        assert!(
            (mean(result.response_us) / parts - 1.0).abs() < 0.01,
            "{result:?}"
        );
        assert!(mean(result.slip_us) >= mean(result.connect_us) * 0.99);
    }
}

#[test]
fn a_whole_pipeline_is_sent_in_one_write() {
    let server = Server::start(always(GOOD));
    let mut plan = server.plan();
    plan.pipeline = 16;
    let result = run(&plan);
    assert!(
        result.errors.is_empty() && result.requests >= 16,
        "{result:?}"
    );
    assert!(
        (8.0..16.5).contains(&result.mean_in_flight),
        "{}",
        result.mean_in_flight
    );
    assert!(server.requests.load(std::sync::atomic::Ordering::SeqCst) as u64 >= result.requests);
}

#[test]
fn large_requests_survive_short_writes() {
    // The server reads slowly enough for the socket to fill up; the body contains no empty line.
    let server = Server::start(always(GOOD));
    let mut plan = server.plan();
    plan.method = "POST".to_owned();
    plan.body_bytes = 4 << 20;
    plan.pipeline = 3;
    plan.drain = Duration::from_secs(3);
    let result = run(&plan);
    assert!(
        result.errors.is_empty() && result.requests >= 3,
        "{result:?}"
    );
}

#[test]
fn malformed_replies_say_why_and_statuses_are_counted() {
    let extra = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhello";
    for (reply, why) in [
        (&b"220 smtp.example ESMTP\r\n\r\n"[..], "not_http"),
        (extra, "extra_bytes"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "content_length",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "chunk",
        ),
    ] {
        let server = Server::start(always(reply));
        let result = run(&server.plan());
        assert_eq!(only_class(&result), "malformed");
        assert_eq!(result.malformed.keys().collect::<Vec<_>>(), [why]);
        assert!(result.requests == 0 && result.reasons.has(Code::NothingAnswered));
    }
    let server = Server::start(|stream, n| match n % 2 {
        0 => send(stream, GOOD),
        _ => send(stream, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"),
    });
    let result = run(&server.plan());
    assert_eq!(result.statuses["200"], result.requests);
    assert_eq!(result.statuses["404"], result.errors["status"]);
}

#[test]
fn the_client_that_asked_for_close_closes() {
    for announced in ["", "Connection: close\r\n"] {
        let reply = format!("HTTP/1.1 200 OK\r\n{announced}Content-Length: 2\r\n\r\nok")
            .leak()
            .as_bytes();
        let server = Server::start(always(reply));
        let mut plan = server.plan();
        plan.new_connection = true;
        plan.duration = Duration::from_millis(500);
        let result = run(&plan);
        assert!(
            result.errors.is_empty() && result.requests >= 3,
            "{result:?}"
        );
        assert_eq!((result.connections_lost, result.connections_closed), (0, 0));
    }
}

#[test]
fn idle_connections_that_the_server_closes_are_named_as_such() {
    let server = Server::start(|stream, _| {
        let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
        send(stream, GOOD)
    });
    let mut plan = server.plan();
    plan.connections = 20;
    plan.duration = Duration::from_secs(1);
    plan.pace = Pace::Open {
        rate: 60.0,
        arrivals: Arrivals::Constant,
    };
    let result = run(&plan);
    assert!(result.connections_closed_idle > 0, "{result:?}");
    assert_eq!(result.connections_closed, result.connections_closed_idle);
    let closed = |reason: &&schema::Reason| reason.code == Code::ConnectionsClosed;
    let reason = result.reasons.iter().find(closed).unwrap();
    assert!(reason.text.contains("idle"), "{reason}");
}

#[test]
fn a_request_that_was_never_sent_is_part_of_the_failure_before_it() {
    let server = Server::start(|_, _| Then::Reset);
    let mut plan = server.plan();
    plan.pace = OPEN;
    plan.timeout = Duration::from_millis(200);
    plan.duration = Duration::from_millis(1000);
    let result = run(&plan);
    // The queue's head is always close to its time-out, so that one that is sent last of all can
    // meet it on a busy machine. Those that were not sent are far more, and are resets.
    assert!(2 * result.sent < result.scheduled, "{result:?}");
    assert!(result.errors["reset"] > result.sent, "{result:?}");
}
