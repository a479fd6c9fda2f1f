//! The load generator as a command of its own; `turnstile load` takes the same flags.

#![forbid(unsafe_code)]

use clap::Parser;

fn main() -> std::process::ExitCode {
    load::main(load::Args::parse())
}
