//! `single-reactor` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main(&single_reactor::MODEL, services::Router::leak())
}
