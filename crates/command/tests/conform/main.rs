//! Conformance: behaviours are rows, models are columns, over real sockets against the real binary.
//!
//! The columns are what `turnstile models --json` lists, so a new model adds no test code. What a
//! model cannot do by design follows from what it says of its workers, and stands in one table, `DESIGN`.
//!
//! `cargo test -p turnstile-command --test conform [FILTER]...` runs the cells whose `row / column` contains
//! a filter. In a whole run, and with `--again`, the few cells that failed beside eleven others run again
//! alone, and the output says which; they must pass twice. `--page` writes
//! `docs/reliability.md`; that the committed page is about these rows and reasons is a test of
//! whole runs, and alone by the filter `docs/reliability.md`.

#[path = "../harness/mod.rs"]
mod harness;

mod awaiting;
mod design;
mod faults;
mod handlers;
mod matrix;
mod page;
mod rows;
mod runner;

fn main() -> std::process::ExitCode {
    if let Some(code) = harness::inetd::if_asked() {
        return code;
    }
    if let Some(code) = handlers::if_asked().or_else(awaiting::if_asked) {
        return code;
    }
    match runner::run(&rows::all()) {
        Ok(true) => std::process::ExitCode::SUCCESS,
        Ok(false) => std::process::ExitCode::from(101),
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::from(101)
        }
    }
}
