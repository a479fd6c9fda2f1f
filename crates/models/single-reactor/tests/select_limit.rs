//! When `select` has no more descriptor numbers, it stops accepting, says why once, and goes on
//! serving.

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// More clients than descriptor numbers below 1024.
const CLIENTS: usize = 1100;
/// Far longer than a reply takes.
const PATIENCE: Duration = Duration::from_secs(4);

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ask(mut client: &TcpStream) -> Result<()> {
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
}

fn is_answered(mut client: &TcpStream, patience: Duration) -> bool {
    client.set_read_timeout(Some(patience)).is_ok()
        && client.read(&mut [0; 1024]).is_ok_and(|bytes| bytes > 0)
}

#[test]
fn select_stops_at_its_last_number_and_says_why_once() -> Result<()> {
    os::process::raise_descriptor_limit();
    let mut process = Command::new(env!("CARGO_BIN_EXE_single-reactor"))
        .args(["--listen=127.0.0.1:0", "--variant=select"])
        .arg("--queue-delay-ms=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let piped = || Error::other("piped");
    let mut stdout = BufReader::new(process.stdout.take().ok_or_else(piped)?);
    let mut stderr = BufReader::new(process.stderr.take().ok_or_else(piped)?);
    let mut running = Running(process);
    let mut line = String::new();
    stdout.read_line(&mut line)?;
    let addr = line.trim().trim_start_matches("listening on ");

    let mut clients = (0..CLIENTS)
        .map(|_| TcpStream::connect(addr))
        .collect::<Result<Vec<_>>>()?;
    let mut said = String::new();
    // The line before, if any, is about requests that hold the loop.
    while !said.contains("FD_SETSIZE") && stderr.read_line(&mut said)? > 0 {}
    let held = said
        .split_once("with ")
        .and_then(|(_, after)| after.split(' ').next());
    let held: usize = held
        .and_then(|held| held.parse().ok())
        .ok_or(Error::other(said.clone()))?;
    assert!(said.contains("below 1024 (FD_SETSIZE)"), "{said}");
    assert!((900..1024).contains(&held), "{said}");

    clients.iter().try_for_each(ask)?;
    assert!(
        clients[..held]
            .iter()
            .all(|client| is_answered(client, PATIENCE))
    );
    assert!(
        !is_answered(&clients[held], Duration::from_millis(200)),
        "beyond the limit"
    );
    // As many close as wait: all that waited are served, and the others still are.
    clients.drain(..CLIENTS - held);
    let (stayed, waited) = clients.split_at(held - (CLIENTS - held));
    assert!(waited.iter().all(|client| is_answered(client, PATIENCE)));
    stayed.iter().try_for_each(ask)?;
    assert!(stayed.iter().all(|client| is_answered(client, PATIENCE)));

    running.0.kill()?;
    let mut rest = String::new();
    stderr.read_to_string(&mut rest)?;
    assert_eq!(rest, "", "it is said once");
    Ok(())
}
