//! Under a service manager: listeners by `LISTEN_FDS`, news by `NOTIFY_SOCKET`.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use anyhow::{Context, ensure};

use super::listeners::socket_path;
use super::row;
use crate::design::ACTIVATED;
use crate::harness::process::{self, Signal};
use crate::harness::{Client, Column, PATIENCE, Server, TURNSTILE, eventually, run};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row(ACTIVATED, activated),
    row("LISTEN_FDS beside --listen, or wrong", refused),
    row("NOTIFY_SOCKET through a restart", notified),
];

/// `turnstile serve` behind a shell that makes its variables, as a manager would.
fn behind(script: &str, serve: &Command) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh", TURNSTILE])
        .args(serve.get_args());
    command
}

fn activated(column: &Column) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?.to_string();
    let script = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\" 3<&0 </dev/null";
    for _ in 0..2 {
        let mut command = behind(script, &column.command(&[], &[]));
        command.stdin(OwnedFd::from(listener.try_clone()?));
        let mut server = Server::start(command, 1)?;
        ensure!(server.addrs[0] == addr, "{} is not {addr}", server.addrs[0]);
        Client::connect(&addr)?.get("/")?.expect(200)?;
        server.drain(PATIENCE)?;
    }
    let waiting = Client::connect(&addr)?;
    ensure!(
        listener.accept().is_ok(),
        "nobody can accept there any more"
    );
    drop(waiting);
    Ok(())
}

fn refused(column: &Column) -> anyhow::Result<()> {
    for (script, listen) in [
        (
            "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\" 3<&0",
            Some("127.0.0.1:0"),
        ),
        ("LISTEN_FDS=x LISTEN_PID=$$ exec \"$@\"", None),
        ("LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\" 3<&-", None),
    ] {
        let listen: Vec<_> = listen.into_iter().collect();
        let exit = run(behind(script, &column.command(&listen, &[])))?;
        ensure!(
            exit.code == Some(2) && exit.stdout.is_empty(),
            "{script}: {exit:?}"
        );
        let lines = exit.stderr.lines().count();
        ensure!(
            lines == 1 && exit.stderr.contains("LISTEN_FDS"),
            "{script}: {exit:?}"
        );
    }
    // For another process: they mean nothing.
    let script = "LISTEN_FDS=1 LISTEN_PID=1 exec \"$@\"";
    let command = behind(script, &column.command(&["127.0.0.1:0"], &[]));
    let mut server = Server::start(command, 1)?;
    server.drain(PATIENCE)?;
    Ok(())
}

fn notified(column: &Column) -> anyhow::Result<()> {
    let (path, file) = (socket_path(), socket_path().with_extension("pid"));
    let manager = UnixDatagram::bind(&path)?;
    manager.set_read_timeout(Some(PATIENCE))?;
    let hear = |what: &str| -> anyhow::Result<String> {
        let mut buffer = [0; 512];
        let bytes = manager.recv(&mut buffer).with_context(|| what.to_owned())?;
        let text = String::from_utf8_lossy(&buffer[..bytes]).into_owned();
        ensure!(text.contains(what), "{what} expected, not {text:?}");
        Ok(text)
    };
    let name = file.to_str().context("a path of text")?;
    let mut command = column.command(&["127.0.0.1:0"], &["--pid-file", name]);
    command.env("NOTIFY_SOCKET", &path);
    let mut server = Server::start(command, 1)?;
    hear(&format!("READY=1\nMAINPID={}", server.pid()))?;
    server.signal(Signal::USR2);
    hear("RELOADING=1\nMONOTONIC_USEC=")?;
    let text = hear("READY=1")?;
    let new = text.lines().find_map(|line| line.strip_prefix("MAINPID="));
    let new: u32 = new.context("MAINPID")?.parse()?;
    eventually("the end of the old one", PATIENCE, || {
        !process::is_alive(server.pid())
    })?;
    process::signal(new, Signal::TERM);
    hear("STOPPING=1")?;
    server.ends_well(PATIENCE)?;
    std::fs::remove_file(&path)?;
    Ok(())
}
