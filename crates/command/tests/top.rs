//! `turnstile top`: against real servers, through pipes and in a terminal.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

#[path = "harness/mod.rs"]
mod harness;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use harness::process::{Signal, signal};
use harness::{Exit, PATIENCE, Server, TURNSTILE, eventually, run};
use rustix::termios::{Winsize, tcsetwinsize};

fn socket_path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!(
        "turnstile-top-{}-{number}.sock",
        std::process::id()
    ))
}

fn server(flags: &[&str]) -> (Server, String) {
    let admin = format!("unix:{}", socket_path().display());
    let mut command = Command::new(TURNSTILE);
    command
        .args(["serve", "--model", "thread-pool", "--workers", "3"])
        .args(["--listen", "127.0.0.1:0", "--admin", &admin])
        .args(["--queue-delay-ms", "0"])
        .args(flags);
    (Server::start(command, 1).unwrap(), admin)
}

fn top(args: &[&str]) -> Command {
    let mut command = Command::new(TURNSTILE);
    command.arg("top").args(args);
    command
}

fn failed(exit: &Exit, code: i32, part: &str) {
    assert_eq!(exit.code, Some(code), "{exit:?}");
    assert_eq!(exit.stderr.lines().count(), 1, "{exit:?}");
    assert!(exit.stderr.contains(part), "{part:?}: {exit:?}");
    assert_eq!(exit.stdout, "", "{exit:?}");
}

#[test]
fn addresses_that_lead_to_no_server_are_named() {
    let unused = format!("unix:{}", socket_path().display());
    let exit = run(top(&[&unused, "--once"])).unwrap();
    failed(
        &exit,
        1,
        &format!("cannot reach {unused}: there is no such socket"),
    );
    let exit = run(top(&["fd:3"])).unwrap();
    failed(&exit, 2, "fd:3");
    let exit = run(top(&["nonsense"])).unwrap();
    failed(&exit, 2, "is not HOST:PORT");
    // A port on which no server listens: it was bound and is not any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = port.local_addr().unwrap().to_string();
    drop(port);
    let exit = run(top(&[&free, "--once"])).unwrap();
    failed(
        &exit,
        1,
        &format!("cannot reach {free}: no server listens there"),
    );
}

#[test]
fn somebody_else_is_told_from_an_admin_address() {
    let (server, _) = server(&[]);
    let exit = run(top(&[&server.addrs[0], "--once"])).unwrap();
    failed(&exit, 1, "is not the --admin address of a Turnstile server");
    for greeting in ["SSH-2.0-something\r\n", "HTTP/1.1 200 OK\r\n\r\nup 1\n"] {
        let path = socket_path();
        let listener = UnixListener::bind(&path).unwrap();
        let other = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.write_all(greeting.as_bytes()).unwrap();
            let mut asked = [0; 256];
            let _ = socket.read(&mut asked);
        });
        let exit = run(top(&[&format!("unix:{}", path.display()), "--once"])).unwrap();
        failed(&exit, 1, "is not the --admin address of a Turnstile server");
        other.join().unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_pipe_gets_plain_lines() {
    let (mut server, admin) = server(&[]);
    server.connect().unwrap().get("/json").unwrap();
    let exit = run(top(&[&admin, "--once", "--every-ms", "100"])).unwrap();
    assert_eq!(exit.code, Some(0), "{exit:?}");
    for part in [
        "thread-pool",
        "serving",
        "requests",
        "busy 0 of 3",
        "response",
    ] {
        assert!(exit.stdout.contains(part), "{part:?}: {exit:?}");
    }
    assert!(!exit.stdout.contains('\x1b'), "{exit:?}");
    let exit = run(top(&[&admin, "--count", "3", "--every-ms", "50"])).unwrap();
    let states = exit.stdout.lines().filter(|line| line.starts_with("state"));
    assert_eq!(states.count(), 3, "{exit:?}");
    server.drain(PATIENCE).unwrap();
}

#[test]
fn rates_and_percentiles_are_those_that_a_client_has_caused() {
    let (server, admin) = server(&[]);
    let mut looking = top(&[&admin, "--once", "--every-ms", "1500"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut client = server.connect().unwrap();
    // It has read once when its request is the only one that was there before ours.
    std::thread::sleep(harness::ms(500));
    for _ in 0..300 {
        client.get("/nothing").unwrap().expect(404).unwrap();
    }
    let mut text = String::new();
    looking
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(looking.wait().unwrap().success());
    let line = text
        .lines()
        .find(|line| line.starts_with("statuses"))
        .unwrap();
    assert!(
        line.contains("2xx 0/s") && !line.contains("4xx 0/s"),
        "{text}"
    );
    let line = text
        .lines()
        .find(|line| line.starts_with("response"))
        .unwrap();
    assert!(line.contains("p50 ") && !line.contains("p50 -"), "{text}");
    assert!(
        text.lines()
            .any(|line| line.contains("1 more without") || line.contains("2 more without")),
        "{text}"
    );
}

#[test]
fn the_end_of_the_server_is_said() {
    let (mut server, admin) = server(&[]);
    let mut looking = top(&[&admin, "--every-ms", "50"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut some = [0; 512];
    let mut stdout = looking.stdout.take().unwrap();
    assert!(stdout.read(&mut some).unwrap() > 0);
    server.drain(PATIENCE).unwrap();
    let (mut text, mut error) = (String::new(), String::new());
    stdout.read_to_string(&mut text).unwrap();
    looking
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut error)
        .unwrap();
    let code = looking.wait().unwrap().code();
    match code {
        // The drain was seen, or it was over too soon.
        Some(0) => assert!(text.ends_with("has drained and ended\n"), "{text}"),
        _ => assert!(error.contains("has ended") && code == Some(1), "{error}"),
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let (_server, admin) = server(&[]);
    let mut looking = top(&[&admin, "--every-ms", "50"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(looking.stdout.take());
    let mut error = String::new();
    looking
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut error)
        .unwrap();
    assert_eq!(
        (looking.wait().unwrap().code(), error.as_str()),
        (Some(0), "")
    );
}

/// `turnstile top` in a terminal of this size, and the other end of that.
fn in_terminal(admin: &str, columns: u16, lines: u16) -> (Child, File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let size = Winsize {
        ws_row: lines,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&ours, size).unwrap();
    let theirs = File::options()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    let end = || Stdio::from(OwnedFd::from(theirs.try_clone().unwrap()));
    let child = top(&[admin, "--every-ms", "100"])
        .env("LC_ALL", "C.UTF-8")
        .env_remove("NO_COLOR")
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .spawn()
        .unwrap();
    (child, File::from(ours))
}

/// Reads until `holds`; the end of a terminal that no process has open any more is an error to its reader.
fn read_until(terminal: &mut File, text: &mut String, holds: impl Fn(&str) -> bool) {
    let mut piece = [0; 4096];
    while !holds(text) {
        match terminal.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(bytes) => text.push_str(&String::from_utf8_lossy(&piece[..bytes])),
        }
    }
}

/// The frames of a terminal, each as its lines without codes.
fn frames(text: &str) -> Vec<Vec<String>> {
    let frames = text.split("\x1b[H").skip(1);
    let clean = |line: &str| {
        let mut parts = line.split('\x1b');
        let mut clean = parts.next().unwrap().to_owned();
        for part in parts {
            let end = part
                .find(|letter: char| letter.is_ascii_alphabetic())
                .unwrap_or(0);
            clean.push_str(part.get(end + 1..).unwrap_or_default());
        }
        clean
    };
    frames
        // The terminal adds a carriage return of its own.
        .map(|frame| {
            let lines = frame.split('\n').map(|line| line.trim_end_matches('\r'));
            lines.map(clean).collect()
        })
        .collect()
}

#[test]
fn a_terminal_is_drawn_and_left_as_it_was() {
    let (server, admin) = server(&[]);
    for (columns, lines, how) in [(100, 30, "q"), (24, 6, "SIGINT"), (1, 1, "SIGTERM")] {
        let (mut child, mut terminal) = in_terminal(&admin, columns, lines);
        server.connect().unwrap().get("/json").unwrap();
        let mut text = String::new();
        read_until(&mut terminal, &mut text, |text| frames(text).len() >= 4);
        match how {
            "q" => terminal.write_all(b"q").unwrap(),
            "SIGINT" => signal(child.id(), Signal::INT),
            _ => signal(child.id(), Signal::TERM),
        }
        read_until(&mut terminal, &mut text, |text| {
            text.ends_with("\x1b[?1049l")
        });
        assert!(child.wait().unwrap().success(), "{how}: {text}");
        assert!(text.starts_with("\x1b[?1049h\x1b[?25l"), "{text:?}");
        assert!(text.ends_with("\x1b[?25h\x1b[?1049l"), "{text:?}");
        for frame in frames(&text) {
            assert!(frame.len() <= usize::from(lines), "{frame:?}");
            let widest = frame.iter().map(|line| line.chars().count()).max();
            assert!(widest <= Some(usize::from(columns)), "{frame:#?}");
        }
        if columns == 100 {
            let whole = frames(&text).swap_remove(2).join("\n");
            for part in ["thread-pool", "serving", "busy", "response"] {
                assert!(whole.contains(part), "{part:?}: {whole}");
            }
        }
    }
}

#[test]
fn a_stopped_server_is_waited_for() {
    let (server, admin) = server(&[]);
    let (mut child, mut terminal) = in_terminal(&admin, 80, 24);
    let mut text = String::new();
    read_until(&mut terminal, &mut text, |text| frames(text).len() >= 2);
    // The helper process answers; it is the first child of the server.
    let helper = harness::process::children(server.pid())[0];
    signal(helper, Signal::STOP);
    read_until(&mut terminal, &mut text, |text| {
        text.contains("no answer for ")
    });
    assert!(text.contains("no answer for "), "{text:?}");
    signal(helper, Signal::CONT);
    let seen = frames(&text).len();
    read_until(&mut terminal, &mut text, |text| {
        frames(text).len() > seen + 1
    });
    terminal.write_all(b"q").unwrap();
    read_until(&mut terminal, &mut text, |text| {
        text.ends_with("\x1b[?1049l")
    });
    eventually("its end", PATIENCE, || {
        matches!(child.try_wait(), Ok(Some(_)))
    })
    .unwrap();
    assert!(child.wait().unwrap().success());
}
