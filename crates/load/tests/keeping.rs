//! The ways in which servers keep connections and end them, and what they say about it.
#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

mod common;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use common::{Server, Then, run, send};
use load::{LoadResult, Plan};

/// What a server does behind a reply.
#[derive(Debug, Clone, Copy)]
enum End {
    /// It keeps the connection, and answers what comes on it.
    Keeps,
    Closes,
    /// It sends its FIN and goes on reading.
    HalfCloses,
}

/// Serves every request with this reply, and then ends the connection like this.
fn server(reply: String, end: End) -> Server {
    let reply: &'static [u8] = reply.leak().as_bytes();
    Server::start(move |stream: &mut TcpStream, _| match end {
        End::Keeps => send(stream, reply),
        End::Closes => {
            send(stream, reply);
            Then::Close
        }
        End::HalfCloses => {
            let _sent = stream.write_all(reply);
            let _gone = stream.shutdown(Shutdown::Write);
            Then::Continue
        }
    })
}

fn loaded(reply: &str, end: End, new_connection: bool) -> LoadResult {
    let server = server(reply.to_owned(), end);
    let mut plan: Plan = server.plan();
    plan.new_connection = new_connection;
    plan.duration = Duration::from_millis(300);
    run(&plan)
}

/// Every reply is the last one of its connection, or none is: no request is lost either way.
#[test]
fn what_a_server_says_of_its_connection_is_believed() {
    let fields = |line: &str, fields: &str| {
        format!("HTTP/1.{line} 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok")
    };
    for (reply, last) in [
        (fields("1", ""), false),
        (fields("1", "Connection: keep-alive\r\n"), false),
        (fields("1", "Connection: close\r\n"), true),
        (fields("1", "connection:CLOSE\r\n"), true),
        (fields("1", "Connection: keep-alive, close\r\n"), true),
        (
            fields("1", "Connection: close\r\nConnection: keep-alive\r\n"),
            true,
        ),
        (
            fields("1", "Connection: keep-alive\r\nConnection: close\r\n"),
            true,
        ),
        (fields("1", "Connection:\r\n close\r\n"), true),
        (fields("1", "X-Folded: a\r\n  b\r\n\tc\r\n"), false),
        (fields("0", ""), true),
        (fields("0", "Connection: keep-alive\r\n"), false),
        (fields("0", "Connection: close\r\n"), true),
    ] {
        let ends: &[End] = match last {
            true => &[End::Closes, End::Keeps, End::HalfCloses],
            false => &[End::Keeps],
        };
        for &end in ends {
            let result = loaded(&reply, end, false);
            assert!(
                result.errors.is_empty() && result.requests > 3,
                "{reply:?} {end:?}: {result:?}"
            );
            assert_eq!(result.connections_lost, 0, "{reply:?} {end:?}");
            assert_eq!(result.connections_closed > 0, last, "{reply:?} {end:?}");
        }
    }
}

#[test]
fn the_end_of_a_connection_is_the_end_of_a_reply_without_a_length() {
    for (version, end) in [
        ("0", End::Closes),
        ("1", End::Closes),
        ("0", End::HalfCloses),
    ] {
        for new_connection in [false, true] {
            let reply = format!("HTTP/1.{version} 200 OK\r\nServer: x\r\n\r\nwhatever it says");
            let result = loaded(&reply, end, new_connection);
            assert!(
                result.errors.is_empty() && result.requests > 3,
                "{version} {end:?}: {result:?}"
            );
        }
    }
}

/// One that says close and does not is given a moment to keep its word.
#[test]
fn with_a_connection_per_request_it_is_all_the_same() {
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        for field in ["", "Connection: close\r\n", "Connection: keep-alive\r\n"] {
            for end in [End::Keeps, End::Closes, End::HalfCloses] {
                let reply = format!("{version} 200 OK\r\n{field}Content-Length: 2\r\n\r\nok");
                let result = loaded(&reply, end, true);
                assert!(
                    result.errors.is_empty() && result.requests >= 2,
                    "{version} {field:?} {end:?}: {result:?}"
                );
                assert_eq!(result.connections_lost + result.connections_closed, 0);
            }
        }
    }
}
