//! `async-tasks` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main_with(&async_tasks::MODEL, services::open)
}
