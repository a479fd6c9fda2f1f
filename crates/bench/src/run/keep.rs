//! `turnstile keep`: the parent of a server that was started by a command, so that no process of it is lost.
//!
//! It is the child subreaper (prctl(2)) of whatever the command starts: a process whose parent has
//! ended becomes its child, also one that has left its group and session. So the tree below it is the
//! whole server, and it ends when the last process of that tree has ended.
//!
//! On standard output it says `started`, `cannot REASON` or `ended STATUS`. The command's own output
//! goes to standard error. SIGTERM is passed on to the command, or, where that has ended, to what it
//! has left. When the bench is gone, everything is killed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process, set_child_subreaper,
    set_parent_process_death_signal, wait,
};
use signal_hook::consts::{SIGCHLD, SIGTERM};
use signal_hook::iterator::Signals;

use crate::observe::tree;

/// The arguments of `turnstile keep`.
#[derive(Debug, Clone, clap::Args)]
pub struct KeepArgs {
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Runs the command until nothing of it is left: 0 then, 127 when it cannot be started.
pub fn keep_main(args: &KeepArgs) -> ExitCode {
    match keep(args) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("cannot {error}"));
            ExitCode::from(127)
        }
    }
}

fn keep(args: &KeepArgs) -> io::Result<ExitCode> {
    let parent = getppid();
    let mut signals = Signals::new([SIGTERM, SIGCHLD])?;
    set_child_subreaper(Some(getpid()))?;
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let output = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]);
    let child = command.stdin(Stdio::null()).stdout(output).spawn()?;
    let mut first = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    say("started");
    for signal in signals.forever() {
        if getppid() != parent {
            kill_all();
        }
        if signal == SIGTERM {
            for pid in first.map_or_else(children, |first| vec![first]) {
                let _ended = kill_process(pid, Signal::TERM);
            }
            continue;
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if Some(pid) == first => {
                    first = None;
                    let status = match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => format!("exit status {code}"),
                        (None, signal) => format!("signal {}", signal.unwrap_or(0)),
                    };
                    say(&format!("ended {status}"));
                }
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => break,
                // No child is left.
                Err(_) => return Ok(ExitCode::SUCCESS),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The bench may have ended: then there is no reader, and nothing is lost.
fn say(line: &str) {
    let _nobody_listens = writeln!(io::stdout(), "{line}");
}

fn own() -> u32 {
    std::process::id()
}

fn children() -> Vec<Pid> {
    let below = tree::children(own()).into_iter();
    below
        .filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
        .collect()
}

/// Kills what is below, and what that has forked meanwhile.
fn kill_all() {
    tree::kill_below(own());
}
