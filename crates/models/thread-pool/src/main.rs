//! `thread-pool` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main_with(&thread_pool::MODEL, services::open)
}
