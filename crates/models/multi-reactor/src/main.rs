//! `multi-reactor` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main(&multi_reactor::MODEL, services::Router::leak())
}
