//! `single-reactor` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main_with(&single_reactor::MODEL, services::open)
}
