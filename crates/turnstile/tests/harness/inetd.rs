//! A super-server as inetd is one, for the variant that needs one: it accepts, and for each
//! connection starts a program whose standard input and output are that connection.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use os::net::{self, Addr, PollFd, PollFlags};
use os::signal;

use super::process::{self, Signal};

/// First argument of a test binary that is to be the super-server: `--listen ADDR`s follow, then
/// `--`, then the program and its arguments.
pub const SUPER_SERVER: &str = "--super-server";

/// Becomes the super-server if the command line says so.
pub fn if_asked() -> Option<ExitCode> {
    let mut args = std::env::args().skip(1);
    (args.next()? == SUPER_SERVER).then(|| match serve(args.collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("super-server: {error:#}");
            ExitCode::FAILURE
        }
    })
}

static TERMINATED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_terminate(_: i32) {
    TERMINATED.store(true, Ordering::SeqCst);
}

/// How long a wait may last before it looks around: a signal may come just before it begins.
const LOOK_EVERY: std::time::Duration = super::ms(50);

fn serve(args: Vec<String>) -> anyhow::Result<()> {
    let (ours, program) = args.split_at(args.iter().position(|arg| arg == "--").context("no --")?);
    signal::handle(&[Signal::TERM, Signal::INT], on_terminate);
    let listeners = ours
        .iter()
        .filter(|arg| *arg != "--listen")
        .map(|addr| {
            let addr: Addr = addr.parse().map_err(anyhow::Error::msg)?;
            let listener = net::listen(&addr, 128)?;
            net::set_nonblocking(listener.as_fd())?;
            println!("listening on {}", net::local_addr(listener.as_fd(), &addr));
            Ok(listener)
        })
        .collect::<anyhow::Result<Vec<OwnedFd>>>()?;
    std::io::stdout().flush()?;
    let mut children: Vec<Child> = Vec::new();
    while !TERMINATED.load(Ordering::SeqCst) {
        let mut fds: Vec<_> = listeners
            .iter()
            .map(|listener| PollFd::new(listener, PollFlags::IN))
            .collect();
        let _ = net::poll(&mut fds, Some(LOOK_EVERY));
        for listener in &listeners {
            while let Ok(socket) = net::accept(listener.as_fd(), false) {
                children.push(start(&program[1..], socket)?);
            }
        }
        children.retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
    }
    for child in &mut children {
        process::signal(child.id(), Signal::TERM);
    }
    for mut child in children {
        child.wait()?;
    }
    Ok(())
}

fn start(program: &[String], socket: OwnedFd) -> anyhow::Result<Child> {
    let (name, args) = program.split_first().context("no program")?;
    let output = Stdio::from(socket.try_clone()?);
    Ok(Command::new(name)
        .args(args)
        .stdin(socket)
        .stdout(output)
        .spawn()?)
}
