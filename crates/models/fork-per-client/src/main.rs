//! `fork-per-client` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main(&fork_per_client::MODEL, services::Router::leak())
}
