//! `signal-driven` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main_with(&signal_driven::MODEL, services::open)
}
