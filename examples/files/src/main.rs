//! The files below a folder, which a flag of the program names.
//!
//! ```text
//! cargo run -p files -- --root .
//! curl localhost:8080/Cargo.toml
//! ```

use std::path::PathBuf;
use std::process::ExitCode;

use turnstile::Files;
use turnstile::models::thread_pool;

/// Flags beside those that every server has.
#[derive(clap::Args)]
struct Flags {
    /// Folder whose files are sent
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
}

fn main() -> ExitCode {
    // Reading a file may block, so a thread waits for it, not a loop.
    turnstile::main_with(&thread_pool::MODEL, |flags: &Flags| {
        Files::open(&flags.root)
    })
}
