//! The example as it runs, and what it is made of.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

#[path = "../../started.rs"]
mod started;

use std::process::Command;

use started::Started;

#[test]
fn it_answers_with_the_path() {
    let hello = Started::new(env!("CARGO_BIN_EXE_hello"), &[]);
    let reply = hello.ask("GET /anything", "");
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    assert!(reply.ends_with("\r\n\r\n/anything"), "{reply}");
    hello.drain();
}

/// A service pays for one model and what it needs. The workspace's database, tools and macros must not
/// come along.
#[test]
fn it_takes_twenty_crates() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--package",
            "hello",
            "--edges",
            "normal,build",
        ])
        .args(["--prefix", "none", "--no-dedupe", "--format", "{p}"])
        .output()
        .unwrap();
    let text = String::from_utf8(tree.stdout).unwrap();
    let mut crates: Vec<_> = text.lines().collect();
    crates.sort_unstable();
    crates.dedup();
    assert!((10..=20).contains(&crates.len()), "{crates:?}");
}
