//! `--variant inetd`, started as a super-server starts it: the connection is descriptor 0, 1 and 2.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

fn inetd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iterative"));
    command.args(["--variant", "inetd"]);
    command
}

/// A client, and the other end of its connection.
fn connection() -> (TcpStream, OwnedFd) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    (client, listener.accept().unwrap().0.into())
}

/// Started as inetd(8) does: what it prints would go to the client.
fn start(mut command: Command, socket: OwnedFd) -> Child {
    command
        .stdin(socket.try_clone().unwrap())
        .stdout(socket.try_clone().unwrap())
        .stderr(socket);
    command.spawn().unwrap()
}

#[test]
fn nothing_but_replies_comes_and_then_fin() {
    let (mut client, socket) = connection();
    let mut server = start(inetd(), socket);
    client
        .write_all(b"GET /plaintext HTTP/1.1\r\nHost: t\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut heard = String::new();
    client.read_to_string(&mut heard).unwrap();
    assert!(heard.starts_with("HTTP/1.1 200 OK\r\n"), "{heard}");
    assert_eq!(heard.matches("Hello, World!").count(), 2, "{heard}");
    assert!(heard.ends_with("\r\n\r\nHello, World!"), "{heard}");
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn deadlines_hold_on_a_socket_that_came_non_blocking() {
    let (mut client, socket) = connection();
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(true).unwrap();
    let mut command = inetd();
    command.args(["--protocol", "unp", "--head-ms", "300", "--idle-ms", "300"]);
    let mut server = start(command, stream.into());
    client.write_all(b"5\n").unwrap();
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"01234");
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

fn refused(mut command: Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    assert_eq!(status.code(), Some(2));
    assert!(stdout.is_empty());
    let line = String::from_utf8(stderr).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

#[test]
fn what_is_no_connection_is_refused_in_a_line() {
    let mut command = inetd();
    command.stdin(Stdio::null());
    assert!(refused(command).contains("not a socket"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = inetd();
    command.stdin(OwnedFd::from(listener));
    assert!(refused(command).contains("without a peer"));
    let mut command = inetd();
    command
        .args(["--listen", "127.0.0.1:0"])
        .stdin(Stdio::null());
    assert!(refused(command).contains("opens no listener"));
}
