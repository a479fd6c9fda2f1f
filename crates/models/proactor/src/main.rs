//! `proactor` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main_with(&proactor::MODEL, services::open)
}
