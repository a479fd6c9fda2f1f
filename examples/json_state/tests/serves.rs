//! The example as it runs.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

#[path = "../../started.rs"]
mod started;

use started::Started;

#[test]
fn notes_are_kept() {
    let notes = Started::new(env!("CARGO_BIN_EXE_json_state"), &[]);
    assert!(notes.ask("GET /notes", "").ends_with("\r\n\r\n[]"));
    let reply = notes.ask("POST /notes", r#"{"text": "buy milk"}"#);
    assert!(reply.starts_with("HTTP/1.1 201 "), "{reply}");
    let reply = notes.ask("GET /notes", "");
    assert!(reply.ends_with(r#"[{"text":"buy milk"}]"#), "{reply}");
    for (line, body, status) in [
        ("POST /notes", "milk", "400"),
        ("DELETE /notes", "", "404"),
        ("GET /", "", "404"),
    ] {
        let reply = notes.ask(line, body);
        assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{reply}");
    }
    notes.drain();
}
