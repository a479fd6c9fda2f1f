//! axum's router on async-tasks, to be held against axum's own server. It has the flags of `turnstile serve`.

fn main() -> std::process::ExitCode {
    let service = turnstile::tower_service(peers::axum_app::router());
    turnstile::main_owned(&turnstile::models::async_tasks::MODEL, service)
}
