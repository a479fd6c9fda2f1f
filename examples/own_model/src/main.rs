//! A concurrency model of one's own: a thread for each listener of a port.
//!
//! `thread-pool:accept` has all its threads at one listener, `prefork:reuseport` has a listener for
//! each child. This is what lies between them: each thread accepts at a listener of its own, among
//! which the kernel spreads the connections by their hash (`SO_REUSEPORT`, `socket(7)`).
//!
//! ```text
//! cargo run -p own_model -- --workers 4
//! curl localhost:8080/anything
//! ```
//!
//! What all models share comes from the library: command line, limits, deadlines, drain, errors of
//! accept. A model is a value that says what it is, and a `run` that owns its loop.

use std::process::ExitCode;

use turnstile::{
    Backoff, Count, Model, Needs, Request, Response, Result, Roles, Server, Threads, Variant,
    Worker, Workers,
};

const MODEL: Model = Model {
    name: "thread-per-listener",
    variants: &[Variant {
        name: "-",
        roles: Roles::accepted_by("a thread", "a thread"),
        summary: "Threads created in advance, each blocked in accept on a listener of its own.",
        pick_when: "the service blocks and shares memory, and connections are short and alike",
        breaks_when: "one thread is slow: what hashes to it waits while others are free",
        workers: Workers::threads(Count::Pool(64)),
        needs: Needs::OWN_LISTENERS,
        run,
    }],
};

fn run(server: &'static Server) -> Result {
    let threads = Threads::new(server)?;
    for number in 0..server.workers {
        threads.spawn(number, move |number| {
            let mut worker = Worker::blocking(server, number);
            let mut backoff = Backoff::new(server.limits.accept_pause_ms_max);
            // Accepts at the listeners of its number, until the drain has emptied them.
            while let Some(connection) = worker.accept(&mut backoff) {
                worker.serve(connection);
            }
        })?;
    }
    threads.finish();
    Ok(())
}

fn hello(request: &Request<'_>, response: &mut Response<'_>) {
    let text = format!("{} from thread {}\n", request.path, request.place.worker);
    response.content_type("text/plain").body(text.as_bytes());
}

fn main() -> ExitCode {
    turnstile::main(&MODEL, &hello)
}
