//! axum, a single-threaded runtime a worker.

fn main() -> std::process::ExitCode {
    peers::runtime::current_thread(peers::axum_app::serve)
}
