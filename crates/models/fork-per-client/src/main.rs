//! `fork-per-client` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main_with(&fork_per_client::MODEL, services::open)
}
