//! axum, one work-stealing runtime.

fn main() -> std::process::ExitCode {
    peers::runtime::multi_thread(peers::axum_app::serve)
}
