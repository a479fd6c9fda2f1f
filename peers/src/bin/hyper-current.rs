//! hyper, a single-threaded runtime a worker.

fn main() -> std::process::ExitCode {
    peers::runtime::current_thread(peers::hyper_app::serve)
}
