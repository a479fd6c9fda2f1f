//! The smallest service: it answers every request with its own path.
//!
//! `cargo run -p hello`, then `curl localhost:8080/anything`.

use std::process::ExitCode;

use turnstile::models::prefork;
use turnstile::{Request, Response};

fn hello(request: &Request<'_>, response: &mut Response<'_>) {
    response
        .content_type("text/plain")
        .body(request.path.as_bytes());
}

fn main() -> ExitCode {
    turnstile::main(&prefork::MODEL, &hello)
}
