//! The example as it runs, on every model.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

#[path = "../../every_model.rs"]
mod every_model;
#[path = "../../started.rs"]
mod started;

use std::path::{Path, PathBuf};

use started::Started;

/// A file that is not there yet.
fn database(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder.join("store.db")
}

fn start(label: &str, db: &Path) -> Started {
    let flags = ["--model", label, "--db", db.to_str().unwrap()];
    Started::new(env!("CARGO_BIN_EXE_kv"), &flags)
}

#[test]
fn every_worker_of_every_model_sees_the_same_store() {
    for column in every_model::columns() {
        let label = column.label();
        let db = database(&format!("kv-{}", label.replace(':', "-")));
        let kv = start(&label, &db);
        for (line, body, status, answer) in [
            ("GET /milk", "", 404, ""),
            ("PUT /milk", "two bottles", 201, ""),
            ("GET /milk", "", 200, "two bottles"),
            ("HEAD /milk", "", 200, ""),
            ("PUT /milk", "three", 204, ""),
            ("PUT /tea", "", 201, ""),
            ("GET /milk", "", 200, "three"),
            ("GET /tea", "", 200, ""),
            ("DELETE /tea", "", 204, ""),
            ("DELETE /tea", "", 404, ""),
            ("POST /milk", "", 405, ""),
            ("GET /", "", 404, ""),
        ] {
            // A connection each, so that other workers answer.
            let reply = kv.ask(line, body);
            let (head, sent) = reply.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status} ")),
                "{label}: {line}: {reply}"
            );
            assert_eq!(sent, answer, "{label}: {line}: {reply}");
        }
        let writers = |number: usize| {
            let kv = &kv;
            move || kv.ask("PUT /contended", &format!("by {number}"))
        };
        let replies: Vec<String> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..4).map(|number| scope.spawn(writers(number))).collect();
            started.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let status = |wanted: &str| {
            let begin = format!("HTTP/1.1 {wanted} ");
            replies
                .iter()
                .filter(|reply| reply.starts_with(&begin))
                .count()
        };
        assert_eq!(
            (status("201"), status("204")),
            (1, 3),
            "{label}: {replies:?}"
        );
        kv.drain();
        let again = start(&label, &db);
        let reply = again.ask("GET /milk", "");
        assert!(reply.ends_with("\r\n\r\nthree"), "{label}: {reply}");
        again.drain();
    }
}

#[test]
fn a_file_that_is_no_store_is_one_line() {
    let db = database("kv-none");
    std::fs::write(
        &db,
        "This is no database, and long enough to be seen as none. ".repeat(20),
    )
    .unwrap();
    let flags = ["--model", "prefork", "--db", db.to_str().unwrap()];
    let (code, stderr) = started::refused(env!("CARGO_BIN_EXE_kv"), &flags);
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.contains("--db") && stderr.contains("not a database"),
        "{stderr}"
    );
}
