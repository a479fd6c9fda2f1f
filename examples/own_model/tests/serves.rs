//! The example as it runs.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

#[path = "../../started.rs"]
mod started;

use std::collections::HashSet;

use started::Started;

#[test]
fn its_threads_share_the_connections() {
    let own = Started::new(env!("CARGO_BIN_EXE_own_model"), &["--workers", "2"]);
    let mut threads = HashSet::new();
    for _ in 0..100 {
        let reply = own.ask("GET /anything", "");
        let (_, body) = reply.split_once("\r\n\r\n").unwrap();
        threads.insert(body.to_owned());
    }
    let both = ["/anything from thread 0\n", "/anything from thread 1\n"];
    assert_eq!(threads, both.map(String::from).into());
    own.drain();
}
