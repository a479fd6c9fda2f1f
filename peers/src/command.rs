//! The command line that all peers have, and what they say.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;

/// A server to be measured beside the models
#[derive(Debug, Clone, Copy, Parser)]
pub struct Options {
    /// Address to listen on; port 0 is resolved and printed
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Threads that serve
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: u16,
}

/// The options of this process; wrong ones end it.
pub fn options() -> Options {
    Options::parse()
}

/// Says that connections to `addr` are accepted.
///
/// # Errors
///
/// Those of standard output.
pub fn announce(addr: SocketAddr) -> io::Result<()> {
    crate::burn(0); // Calibrate before the first request.
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {addr}")?;
    out.flush()
}

/// What `main` returns; an error is printed.
pub fn report(ran: io::Result<()>) -> ExitCode {
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
