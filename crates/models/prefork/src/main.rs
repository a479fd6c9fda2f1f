//! `prefork` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main(&prefork::MODEL, services::Router::leak())
}
