//! `leader-follower` as a server of its own.

fn main() -> std::process::ExitCode {
    server::main_with(&leader_follower::MODEL, services::open)
}
