//! hyper, one work-stealing runtime.

fn main() -> std::process::ExitCode {
    peers::runtime::multi_thread(peers::hyper_app::serve)
}
