//! `multi-reactor` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main_with(&multi_reactor::MODEL, services::open)
}
