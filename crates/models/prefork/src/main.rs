//! `prefork` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main_with(&prefork::MODEL, services::open)
}
