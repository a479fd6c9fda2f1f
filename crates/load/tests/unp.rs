//! The line protocol of UNP chapter 30, over TCP and Unix sockets.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Duration;

use common::{assert_adds_up, only_class};
use load::{Arrivals, Pace, Plan};

/// Answers a line with as many bytes as it asks for, until the client closes the connection.
fn serve(read: impl Read, mut write: impl Write, fault: Fault) {
    let mut lines = BufReader::new(read).lines();
    let mut served = 0;
    while let Some(Ok(line)) = lines.next() {
        let Ok(asked) = line.parse::<usize>() else {
            return;
        };
        served += 1;
        let mut reply = vec![b'x'; asked];
        match fault {
            Fault::Short if served == 5 => {
                reply.pop();
                let _ = write.write_all(&reply);
                return;
            }
            Fault::Long if served == 5 => reply.push(b'x'),
            Fault::Other if served % 5 == 0 => reply[asked - 1] = b'y',
            _ => {}
        }
        if write.write_all(&reply).is_err() {
            return;
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    Short,
    Long,
    Other,
}

fn tcp(fault: Fault) -> Plan {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("unp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || serve(stream.try_clone().unwrap(), stream, fault));
        }
    });
    plan(&url)
}

fn plan(url: &str) -> Plan {
    let mut plan = Plan::new(url.parse().unwrap());
    plan.unp_bytes = Some(4000);
    plan.duration = Duration::from_millis(250);
    plan.drain = Duration::from_millis(200);
    plan
}

#[test]
fn every_shape_is_spoken() {
    let open = Pace::Open {
        rate: 400.0,
        arrivals: Arrivals::Poisson,
    };
    for (pace, pipeline, new_connection, bytes) in [
        (Pace::Closed, 1, false, 4000),
        (Pace::Closed, 8, false, 1),
        (open, 1, false, 16_384),
        (Pace::Closed, 1, true, 4000),
        (open, 1, true, 4000),
    ] {
        let mut plan = tcp(Fault::None);
        plan.connections = 3;
        plan.pace = pace;
        plan.pipeline = pipeline;
        plan.new_connection = new_connection;
        plan.unp_bytes = Some(bytes);
        plan.idle = 4;
        let result = load::run(&plan).unwrap();
        assert_adds_up(&result);
        assert!(
            result.errors.is_empty() && result.requests > 2,
            "{result:?}"
        );
        assert!(result.bytes_received >= result.requests * u64::from(bytes) * 9 / 10);
        assert_eq!(result.idle.unwrap().open_at_end, 4);
        assert_eq!(result.connections_lost, 0);
    }
}

#[test]
fn length_and_constancy_are_checked() {
    for (fault, class) in [(Fault::Short, "early_end"), (Fault::Other, "wrong_body")] {
        let result = load::run(&tcp(fault)).unwrap();
        assert_adds_up(&result);
        assert_eq!(only_class(&result), class);
        assert!(result.requests > 0 && !result.valid);
    }
    // One byte too many belongs to no request.
    let result = load::run(&tcp(Fault::Long)).unwrap();
    assert_adds_up(&result);
    assert!(result.connections_lost > 0, "{result:?}");
}

#[test]
fn unix_sockets_speak_the_line_protocol() {
    let path = std::env::temp_dir().join(format!("load-unp-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || serve(stream.try_clone().unwrap(), stream, Fault::None));
        }
    });
    let result = load::run(&plan(&format!("unix:{}", path.display()))).unwrap();
    assert_adds_up(&result);
    assert!(
        result.errors.is_empty() && result.requests > 2,
        "{result:?}"
    );
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn what_belongs_to_http_is_refused() {
    let good = plan("unp://127.0.0.1:9");
    assert!(good.check().is_ok());
    type Damage = fn(&mut Plan);
    let damages: [Damage; 9] = [
        |p| p.unp_bytes = Some(0),
        |p| p.unp_bytes = Some(16_385),
        |p| p.unp_bytes = None,
        |p| p.headers = vec!["A: b".to_owned()],
        |p| p.method = "POST".to_owned(),
        |p| p.expect_status = vec![200],
        |p| p.slow.senders = 1,
        |p| p.target = "http://127.0.0.1:9/".parse().unwrap(),
        |p| p.target = "unp://127.0.0.1:9/path".parse().unwrap(),
    ];
    for (index, damage) in damages.into_iter().enumerate() {
        let mut plan = good.clone();
        damage(&mut plan);
        let line = plan.check().unwrap_err().to_string();
        assert!(!line.contains('\n'), "{index}: {line}");
    }
}
