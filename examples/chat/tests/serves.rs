//! The example as it runs.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

#[path = "../../started.rs"]
mod started;

use std::io::{Read, Write};
use std::net::TcpStream;

use started::Started;

#[test]
fn what_is_said_is_heard_until_the_drain() {
    let chat = Started::new(env!("CARGO_BIN_EXE_chat"), &[]);
    assert!(chat.ask("POST /say", "hello").starts_with("HTTP/1.1 204 "));
    assert!(chat.ask("GET /", "").starts_with("HTTP/1.1 404 "));
    let mut listener = TcpStream::connect(chat.addr()).unwrap();
    let request = "GET /events HTTP/1.0\r\nLast-Event-ID: 0\r\n\r\n";
    listener.write_all(request.as_bytes()).unwrap();
    let mut heard = String::new();
    while !heard.contains("id: 1\ndata: hello\n\n") {
        let mut piece = [0; 1_024];
        let bytes = listener.read(&mut piece).unwrap();
        assert_ne!(bytes, 0, "{heard}");
        heard += str::from_utf8(&piece[..bytes]).unwrap();
    }
    chat.drain();
    let mut rest = String::new();
    assert_eq!(listener.read_to_string(&mut rest).unwrap(), 0);
}
