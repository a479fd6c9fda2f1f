//! A worker that panics outside a service ends its process: a server short of a loop would limp on.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

use std::process::Command;

use server::{
    Model, Needs, Request, Response, Roles, ServeArgs, Server, Threads, Variant, Workers,
};

const MODEL: &Model = &Model {
    name: "panicking",
    variants: &[Variant {
        name: "-",
        roles: Roles::accepted_by("nobody", "a thread"),
        summary: "Its only worker panics.",
        pick_when: "never",
        breaks_when: "at once",
        workers: Workers::ONE_LOOP,
        needs: Needs::USUAL,
        run,
    }],
};

fn run(server: &'static Server) -> server::Result {
    let threads = Threads::new(server)?;
    threads.spawn(0, |_| panic!("asked to"))?;
    threads.finish();
    Ok(())
}

fn nothing(_: &Request<'_>, _: &mut Response<'_>) {}

/// Set in the process that is to panic: this test, once more.
const INSIDE: &str = "TURNSTILE_TEST_PANICS";

#[test]
fn a_worker_that_panics_ends_the_server() {
    if std::env::var_os(INSIDE).is_some() {
        let args = ServeArgs {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            ..ServeArgs::default()
        };
        server::serve(MODEL, &args, &nothing);
        return;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args([
        "--exact",
        "a_worker_that_panics_ends_the_server",
        "--nocapture",
    ]);
    let ended = again.env(INSIDE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains("worker 0 panicked, so the server ends"),
        "{said}"
    );
}
