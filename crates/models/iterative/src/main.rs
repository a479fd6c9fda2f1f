//! `iterative` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main_with(&iterative::MODEL, services::open)
}
