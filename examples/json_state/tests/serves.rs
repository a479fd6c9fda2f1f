//! The example as it runs, on every model of one process.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

#[path = "../../every_model.rs"]
mod every_model;
#[path = "../../started.rs"]
mod started;

use every_model::Column;
use started::Started;

#[test]
fn notes_are_kept() {
    for column in every_model::columns().filter(Column::is_one_process) {
        let label = column.label();
        let notes = Started::new(env!("CARGO_BIN_EXE_json_state"), &["--model", &label]);
        for (line, body, status, answer) in [
            ("GET /notes", "", 200, "[]"),
            ("POST /notes", r#"{"text": "buy milk"}"#, 201, "1"),
            ("GET /notes", "", 200, r#"[{"text":"buy milk"}]"#),
            ("POST /notes", "milk", 400, ""),
            ("DELETE /notes", "", 404, ""),
            ("GET /", "", 404, ""),
        ] {
            let reply = notes.ask(line, body);
            assert!(
                reply.starts_with(&format!("HTTP/1.1 {status} ")) && reply.ends_with(answer),
                "{label}: {line}: {reply}"
            );
        }
        notes.drain();
    }
}

#[test]
fn models_of_several_processes_refuse_it() {
    for column in every_model::columns().filter(|column| !column.is_one_process()) {
        let label = column.label();
        let (code, stderr) =
            started::refused(env!("CARGO_BIN_EXE_json_state"), &["--model", &label]);
        assert_eq!(code, Some(2), "{label}: {stderr}");
        assert!(stderr.contains("thread-pool"), "{label}: {stderr}");
    }
}
