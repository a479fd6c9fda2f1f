//! One small JSON reply by the native face, to be held against the same by the others. It has the flags of `turnstile serve`.

use turnstile::{Request, Response};

fn reply(_: &Request<'_>, response: &mut Response<'_>) {
    response
        .content_type("application/json")
        .body(br#"{"message":"Hello, World!"}"#);
}

fn main() -> std::process::ExitCode {
    turnstile::main_on_any(|_: &()| Ok::<_, String>(reply))
}
