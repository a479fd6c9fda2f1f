//! `reactor-pool` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main_with(&reactor_pool::MODEL, services::open)
}
