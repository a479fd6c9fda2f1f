//! The example as it runs.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

#[path = "../../started.rs"]
mod started;

use started::Started;

#[test]
fn what_is_said_is_heard_until_the_drain() {
    let chat = Started::new(env!("CARGO_BIN_EXE_chat"), &[]);
    assert!(chat.ask("POST /say", "hello").starts_with("HTTP/1.1 204 "));
    assert!(chat.ask("GET /", "").starts_with("HTTP/1.1 404 "));
    chat.drain();
}
