//! The example as it runs.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

#[path = "../../started.rs"]
mod started;

use started::Started;

#[test]
fn the_files_below_the_root_are_sent_and_no_others() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let files = Started::new(env!("CARGO_BIN_EXE_files"), &["--root", root]);
    let reply = files.ask("GET /main.rs", "");
    assert!(reply.ends_with(include_str!("../src/main.rs")), "{reply}");
    for outside in ["GET /../Cargo.toml", "GET /..%2fCargo.toml", "GET /nothing"] {
        let reply = files.ask(outside, "");
        assert!(reply.starts_with("HTTP/1.1 404 "), "{reply}");
    }
    files.drain();
}
