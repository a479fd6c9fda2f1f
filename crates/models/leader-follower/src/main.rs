//! `leader-follower` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main(&leader_follower::MODEL, services::Router::leak())
}
