//! The same router answers byte for byte alike, `Date` aside, on every model that can wait.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

#[path = "../../every_model.rs"]
mod every_model;
#[path = "../../started.rs"]
mod started;

use started::Started;

/// A request: its line and fields, and its body.
const REQUESTS: &[(&str, &str)] = &[
    ("GET / HTTP/1.1", ""),
    ("HEAD / HTTP/1.1", ""),
    ("GET / HTTP/1.0", ""),
    ("GET /hello/J%C3%BCrgen HTTP/1.1", ""),
    ("GET /old HTTP/1.1", ""),
    ("GET /search?q=a+b%26c HTTP/1.1", ""),
    ("GET /search HTTP/1.1", ""),
    (
        "POST /sum HTTP/1.1\r\nContent-Type: application/json",
        "[1, 2, 39]",
    ),
    (
        "POST /sum HTTP/1.1\r\nContent-Type: application/json",
        "[1, \"2\"]",
    ),
    ("POST /sum HTTP/1.1", "[1]"),
    ("POST /echo HTTP/1.1", "echo"),
    ("DELETE /echo HTTP/1.1", ""),
    ("BREW /echo HTTP/1.1", ""),
    ("GET /large HTTP/1.1", ""),
    ("HEAD /large HTTP/1.1", ""),
    ("GET /lines HTTP/1.1", ""),
    ("GET /lines HTTP/1.0", ""),
    ("GET /nothing HTTP/1.1", ""),
    ("GET /missing HTTP/1.1", ""),
    ("OPTIONS * HTTP/1.1", ""),
];

fn without_date(reply: &str) -> String {
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    let lines = head
        .split("\r\n")
        .filter(|line| !line.starts_with("Date: "));
    lines.collect::<Vec<_>>().join("\r\n") + "\r\n\r\n" + body
}

#[test]
fn every_model_answers_alike() {
    let mut first: Option<Vec<String>> = None;
    for column in every_model::columns().filter(every_model::Column::may_wait) {
        let label = column.label();
        let app = Started::new(env!("CARGO_BIN_EXE_axum_app"), &["--model", &label]);
        let replies: Vec<_> = REQUESTS
            .iter()
            .map(|(head, body)| without_date(&app.ask_with(head, body)))
            .collect();
        app.drain();
        match &first {
            Some(first) => {
                for ((reply, expected), (head, _)) in replies.iter().zip(first).zip(REQUESTS) {
                    assert_eq!(reply, expected, "{label}: {head}");
                }
            }
            None => first = Some(replies),
        }
    }
    let replies = first.unwrap();
    for (at, status, end) in [
        (0, 200, "Content-Length: 6\r\n\r\nhello\n"),
        (1, 200, "Content-Length: 6\r\n\r\n"),
        (3, 200, "hello, Jürgen\n"),
        (4, 308, "\r\n\r\n"),
        (5, 200, "nothing was found for a b&c\n"),
        (6, 400, ""),
        (7, 200, r#"{"sum":42}"#),
        (8, 422, ""),
        (9, 415, ""),
        (10, 200, "\r\n\r\necho"),
        (11, 405, ""),
        (14, 200, "Content-Length: 300000\r\n\r\n"),
        (
            15,
            200,
            "7\r\nline 1\n\r\n7\r\nline 2\n\r\n7\r\nline 3\n\r\n0\r\n\r\n",
        ),
        (16, 200, "\r\n\r\nline 1\nline 2\nline 3\n"),
        (17, 204, "\r\n\r\n"),
        (18, 404, ""),
    ] {
        let reply = &replies[at];
        let is = reply.starts_with(&format!("HTTP/1.1 {status} ")) && reply.ends_with(end);
        assert!(is, "{:?}: {reply}", REQUESTS[at]);
    }
}

#[test]
fn a_loop_that_must_not_wait_refuses_it() {
    for column in every_model::columns().filter(|column| !column.may_wait()) {
        let label = column.label();
        let (code, stderr) = started::refused(env!("CARGO_BIN_EXE_axum_app"), &["--model", &label]);
        assert_eq!(code, Some(2), "{label}: {stderr}");
        assert!(stderr.contains("async-tasks"), "{label}: {stderr}");
    }
}
