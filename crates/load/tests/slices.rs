//! Load in slices: the lines in and out, connections that stay, and what is opened again.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use common::{GOOD, Server, Then, assert_adds_up, send};
use load::LoadResult;

/// A generator that loads in slices.
struct Slices {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Slices {
    fn start(url: &str, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_load"))
            .args([url, "--slices", "--quiet"])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let input = child.stdin.take();
        Self {
            child,
            input,
            output,
        }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn slice(&mut self, asked: &str) -> LoadResult {
        self.say(asked);
        let line = self.line();
        let result: LoadResult = serde_json::from_str(&line).unwrap();
        assert_adds_up(&result);
        assert!(
            result
                .response_hdr
                .as_ref()
                .is_some_and(|hdr| !hdr.is_empty())
        );
        result
    }

    /// Ends the input, and gives the exit code and what was said on standard error.
    fn end(mut self) -> (Option<i32>, String) {
        drop(self.input.take());
        let status = self.child.wait().unwrap();
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        (status.code(), said)
    }
}

#[test]
fn connections_stay_open_from_one_slice_to_the_next() {
    let peers: Arc<Mutex<BTreeSet<SocketAddr>>> = Arc::default();
    let seen = Arc::clone(&peers);
    let server = Server::start(move |stream, _| {
        seen.lock().unwrap().insert(stream.peer_addr().unwrap());
        send(stream, GOOD)
    });
    let mut load = Slices::start(&server.url(), &["--connections=4", "--threads=2"]);
    let closed = load.slice(r#"{"seconds": 0.1}"#);
    assert!(
        closed.requests > 4 && closed.rate_offered.is_none(),
        "{closed:?}"
    );
    let open = load.slice(r#"{"seconds": 0.2, "rate": 500, "seed": 3}"#);
    assert_eq!((open.rate_offered, open.seed), (Some(500.0), 3));
    assert!(open.requests > 0 && open.duration_s == 0.2, "{open:?}");
    let again = load.slice(r#"{"seconds": 0.1}"#);
    for result in [&closed, &open, &again] {
        assert_eq!(
            (result.connections_alive, result.connections_reopened),
            (4, 0)
        );
    }
    assert_eq!(peers.lock().unwrap().len(), 4, "each was opened once");
    assert_eq!(load.end(), (Some(0), String::new()));
}

#[test]
fn both_edges_of_a_slice_wait_for_a_line() {
    let server = Server::start(|stream, _| send(stream, GOOD));
    let mut load = Slices::start(&server.url(), &["--connections=1", "--edges"]);
    for _ in 0..2 {
        load.say(r#"{"seconds": 0.05}"#);
        assert_eq!(load.line(), "opened");
        load.say("");
        assert_eq!(load.line(), "done");
        load.say("");
        let result: LoadResult = serde_json::from_str(&load.line()).unwrap();
        assert!(result.requests > 0);
    }
    assert_eq!(load.end().0, Some(0));
}

#[test]
fn what_the_server_closed_in_between_is_opened_again_and_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let accepted = Arc::clone(&streams);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            accepted.lock().unwrap().push(stream.try_clone().unwrap());
            thread::spawn(move || answer(stream));
        }
    });
    let mut load = Slices::start(&url, &["--connections=3"]);
    let first = load.slice(r#"{"seconds": 0.05}"#);
    assert_eq!(first.connections_reopened, 0);
    let closing: Vec<TcpStream> = streams.lock().unwrap().drain(..).take(2).collect();
    for stream in closing {
        stream.shutdown(Shutdown::Both).unwrap();
    }
    let second = load.slice(r#"{"seconds": 0.05}"#);
    assert_eq!(second.connections_reopened, 2, "{second:?}");
    assert_eq!(second.connections_alive, 3);
    assert!(second.errors.is_empty(), "{second:?}");
    assert_eq!(load.end().0, Some(0));
}

/// Answers requests until the connection ends.
fn answer(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(1..) = stream.read(&mut buffer) {
        if stream.write_all(GOOD).is_err() {
            return;
        }
    }
}

#[test]
fn a_connection_with_an_unanswered_request_is_replaced() {
    // The first request is never answered.
    let server = Server::start(|stream, n| match n {
        0 => Then::Continue,
        _ => send(stream, GOOD),
    });
    let mut load = Slices::start(&server.url(), &["--connections=2", "--drain=10ms"]);
    let first = load.slice(r#"{"seconds": 0.05}"#);
    assert_eq!(first.errors.get("censored"), Some(&1), "{first:?}");
    let second = load.slice(r#"{"seconds": 0.05}"#);
    assert_eq!((second.connections_reopened, second.failures()), (1, 0));
    assert_eq!(load.end().0, Some(0));
}

#[test]
fn what_is_no_slice_and_a_server_that_is_gone_are_one_line() {
    let server = Server::start(|stream, _| send(stream, GOOD));
    let mut load = Slices::start(&server.url(), &["--connections=1"]);
    load.say("now");
    let (code, said) = load.end();
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("is not a slice"), "{said}");
    let mut load = Slices::start("http://127.0.0.1:1/", &["--connections=1"]);
    load.say(r#"{"seconds": 0.05}"#);
    let (code, said) = load.end();
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("connection refused"), "{said}");
}
