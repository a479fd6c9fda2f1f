//! `iterative` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main(&iterative::MODEL, services::Router::leak())
}
