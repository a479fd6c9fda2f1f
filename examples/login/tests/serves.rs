//! The example as it runs, on every model.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

#[path = "../../every_model.rs"]
mod every_model;
#[path = "../../started.rs"]
mod started;

use started::Started;

#[test]
fn passwords_are_checked_on_every_model() {
    // A check is slow by design, so that the default variant stands for its model here.
    let is_default = |column: &every_model::Column| {
        std::ptr::eq(column.variant, &raw const column.model.variants[0])
    };
    for column in every_model::columns().filter(is_default) {
        let label = column.label();
        let flags = [
            "--model",
            &label,
            "--account",
            "ada=countess",
            "--workers",
            "1",
        ];
        let login = Started::new(env!("CARGO_BIN_EXE_login"), &flags);
        for (line, body, status) in [
            ("POST /login", "ada=countess", 200),
            ("POST /login", "ada=count", 403),
            ("POST /login", "ada", 400),
            ("GET /", "", 200),
            ("GET /login", "", 404),
        ] {
            let reply = login.ask(line, body);
            assert!(
                reply.starts_with(&format!("HTTP/1.1 {status} ")),
                "{label}: {line}: {reply}"
            );
        }
        login.drain();
    }
}
