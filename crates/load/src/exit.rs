//! Exit statuses of the command, and the signals that end it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Arguments that cannot be used.
pub(crate) const USAGE: u8 = 2;

/// By convention that of a process that SIGINT ends.
const INTERRUPTED: i32 = 130;

/// The first signal ends the window early; one that comes while a value of `ends` is true ends the
/// process.
pub(crate) fn stop_on_signals(stop: &Arc<AtomicBool>, ends: &[&Arc<AtomicBool>]) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        for &end in ends {
            flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(end))?;
        }
        flag::register(signal, Arc::clone(stop))?;
    }
    Ok(())
}
