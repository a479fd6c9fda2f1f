//! `thread-per-client` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main_with(&thread_per_client::MODEL, services::open)
}
