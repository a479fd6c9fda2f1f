//! The example with back ends that answer only when they are all asked at once.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

#[path = "../../every_model.rs"]
mod every_model;
#[path = "../../started.rs"]
mod started;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Barrier};

use started::Started;

/// Starts back ends that end with the test. Each request is answered once `together` are there.
fn backends(together: usize) -> Vec<String> {
    let barrier = Arc::new(Barrier::new(together));
    let start = |number: usize| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let barrier = Arc::clone(&barrier);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let barrier = Arc::clone(&barrier);
                std::thread::spawn(move || answer(stream.unwrap(), number, &barrier));
            }
        });
        addr
    };
    (0..3).map(start).collect()
}

fn answer(mut stream: TcpStream, number: usize, barrier: &Barrier) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    barrier.wait();
    let _ = write!(stream, "HTTP/1.0 200 OK\r\n\r\nback end {number}");
}

fn flags(label: &str, backends: &[String]) -> Vec<String> {
    let model = [
        "--model".to_owned(),
        label.to_owned(),
        "--backend-ms".to_owned(),
        "8000".to_owned(),
    ];
    let each = backends
        .iter()
        .flat_map(|addr| ["--backend".to_owned(), addr.clone()]);
    model.into_iter().chain(each).collect()
}

fn start(flags: &[String]) -> Started {
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    Started::new(env!("CARGO_BIN_EXE_fan_out"), &flags)
}

const ANSWER: &str = "\r\n\r\nback end 0\nback end 1\nback end 2\n";

#[test]
fn back_ends_are_asked_at_once_on_every_model_that_can_wait() {
    let backends = backends(3);
    for column in every_model::columns().filter(every_model::Column::may_wait) {
        let fan_out = start(&flags(&column.label(), &backends));
        let reply = fan_out.ask("GET /x", "");
        assert!(reply.ends_with(ANSWER), "{}: {reply}", column.label());
        fan_out.drain();
    }
}

/// Eight requests are under way in one worker, or none would ever be answered.
#[test]
fn one_worker_awaits_many_requests() {
    let backends = backends(8 * 3);
    for label in ["async-tasks", "async-tasks:local"] {
        let mut flags = flags(label, &backends);
        flags.extend(["--workers".to_owned(), "1".to_owned()]);
        let fan_out = start(&flags);
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| fan_out.ask("GET /x", "")))
                .collect();
            for reply in asked {
                let reply = reply.join().unwrap();
                assert!(reply.ends_with(ANSWER), "{label}: {reply}");
            }
        });
        fan_out.drain();
    }
}

#[test]
fn a_back_end_that_is_down_is_a_bad_gateway() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let fan_out = start(&flags("thread-pool", &[closed]));
    let reply = fan_out.ask("GET /x", "");
    assert!(reply.starts_with("HTTP/1.1 502 "), "{reply}");
    fan_out.drain();
}
