//! `thread-pool` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main(&thread_pool::MODEL, services::Router::leak())
}
