//! In front of PHP-FPM itself, with a pool of the test's own.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

use super::gateways::{Folder, serve};
use super::row;
use crate::design::PHP_BOTH_WAYS;
use crate::harness::process::{self, Signal};
use crate::harness::{Client, Column, PATIENCE, Server, ms};
use crate::runner::{Moot, Row};

pub const ROWS: &[Row] = &[
    row("gateway: PHP-FPM", forms_and_paths),
    row(PHP_BOTH_WAYS, large),
    row("gateway: PHP-FPM, scripts that go wrong", wrong_scripts),
    row("gateway: PHP-FPM, a pool without a free child", exhausted),
    row("gateway: an application that lies is 502 or cut", liars),
];

const SCRIPT: &str = r#"<?php
switch ($_GET['do'] ?? 'form') {
case 'form':
    header('X-Own: 1');
    http_response_code(201);
    setcookie('a', 'b');
    setcookie('c', 'd');
    echo $_SERVER['REQUEST_METHOD'], ' ', $_SERVER['PATH_INFO'], ' ', $_SERVER['SCRIPT_NAME'], ' ',
        $_POST['name'] ?? '', ' ', $_SERVER['REMOTE_ADDR'], ' ', $_SERVER['HTTP_X_A'] ?? '';
    break;
case 'upload':
    echo $_FILES['file']['size'] ?? 'none', ' ', md5_file($_FILES['file']['tmp_name']);
    break;
case 'raw':
    echo strlen(file_get_contents('php://input')), ' ', $_SERVER['CONTENT_LENGTH'];
    break;
case 'long':
    for ($n = (int)$_GET['n']; $n > 0; $n -= 65536) echo str_repeat('x', min($n, 65536));
    break;
case 'declared':
    header('Content-Length: 10');
    echo str_repeat('x', (int)$_GET['n']);
    break;
case 'status':
    header('HTTP/1.1 ' . $_GET['n'] . ' Odd');
    break;
case 'throws':
    throw new Exception('asked to');
case 'dies':
    exec("kill -9 " . getmypid());
    sleep(60);
case 'dies-late':
    echo str_repeat('x', 200000);
    flush();
    exec("kill -9 " . getmypid());
    sleep(60);
case 'sleeps':
    sleep(1);
    echo 'slept';
    break;
case 'unread':
    // It answers without a look at what was sent.
    echo 'unread';
    break;
}
"#;

/// A pool. Dropping it ends it with its children.
struct Fpm {
    child: Child,
    folder: Folder,
}

impl Fpm {
    fn start(children: usize) -> anyhow::Result<Fpm> {
        let folder = Folder::new()?;
        let program = program().ok_or(Moot("php-fpm is not installed"))?;
        let path = folder.path()?;
        std::fs::write(
            folder.0.join("pool"),
            format!(
                "[global]\nerror_log = {path}/log\ndaemonize = no\n[pool]\nlisten = {path}/socket\n\
                 listen.backlog = 64\npm = static\npm.max_children = {children}\n\
                 php_admin_value[post_max_size] = 64M\nphp_admin_value[upload_max_filesize] = 64M\n\
                 php_admin_value[memory_limit] = 256M\n{}",
                match is_root() {
                    true => "user = root\ngroup = root\n",
                    false => "",
                }
            ),
        )?;
        std::fs::write(folder.0.join("a.php"), SCRIPT)?;
        let mut command = Command::new(program);
        command.args(["-F", "-y"]).arg(folder.0.join("pool"));
        if is_root() {
            command.arg("-R");
        }
        let null = Stdio::null;
        let child = command
            .stdin(null())
            .stdout(null())
            .stderr(null())
            .spawn()?;
        let fpm = Fpm { child, folder };
        for _ in 0..1_000 {
            if fpm.folder.0.join("socket").exists() {
                return Ok(fpm);
            }
            std::thread::sleep(ms(10));
        }
        let log = std::fs::read_to_string(fpm.folder.0.join("log")).unwrap_or_default();
        anyhow::bail!("php-fpm does not start: {log}")
    }

    /// A server in front of it.
    fn behind(&self, column: &Column, flags: &[&str]) -> anyhow::Result<Server> {
        let path = self.folder.path()?;
        let addr = format!("unix:{path}/socket");
        column.serve(&[&["--fastcgi", &addr, "--root", path][..], flags].concat())
    }
}

impl Drop for Fpm {
    fn drop(&mut self) {
        process::signal(self.child.id(), Signal::TERM);
        for _ in 0..200 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(ms(10));
        }
        for child in process::children(self.child.id()) {
            process::signal(child, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Debian calls it by its version.
fn program() -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"];
    folders.into_iter().find_map(|folder| {
        let mut found: Vec<_> = std::fs::read_dir(folder)
            .ok()?
            .flatten()
            .filter(|file| file.file_name().to_string_lossy().starts_with("php-fpm"))
            .map(|file| file.path())
            .collect();
        found.sort();
        found.pop()
    })
}

/// Where the model cannot be a gateway, what was refused is refused.
fn refused(column: &Column) -> anyhow::Result<bool> {
    if column.gateway {
        return Ok(false);
    }
    serve(column, &["--fastcgi", "127.0.0.1:9", "--root", "/"]).map(|_| true)
}

fn post(client: &mut Client, target: &str, kind: &str, body: &[u8]) -> anyhow::Result<()> {
    let length = body.len();
    client.send(format!(
        "POST {target} HTTP/1.1\r\nHost: t\r\nContent-Type: {kind}\r\nX-A: b\r\nContent-Length: {length}\r\n\r\n"
    ))?;
    client.send(body)
}

fn forms_and_paths(column: &Column) -> anyhow::Result<()> {
    if refused(column)? {
        return Ok(());
    }
    let fpm = Fpm::start(2)?;
    let server = fpm.behind(column, &[])?;
    let mut client = server.connect()?;
    for _ in 0..3 {
        let form = b"name=some+text%21&more=1";
        post(
            &mut client,
            "/a.php/p/q?x=1",
            "application/x-www-form-urlencoded",
            form,
        )?;
        let reply = client.reply()?.expect(201)?;
        let told = "POST /p/q /a.php some text! 127.0.0.1 b";
        ensure!(reply.body == told.as_bytes(), "{reply}");
        ensure!(reply.field("x-own") == Some("1"), "{reply}");
        let cookies = reply.fields.iter().filter(|(name, _)| name == "Set-Cookie");
        ensure!(cookies.count() == 2, "{reply}");
        client.get("/none.php")?.expect(404)?;
        client.get("/%2e%2e/a.php")?.expect(404)?;
        client.get("/a.php%00.txt")?.expect(404)?;
    }
    client.send("HEAD /a.php/p?do=long&n=70000 HTTP/1.1\r\nHost: t\r\n\r\n")?;
    client.reply_to_head()?;
    client.get("/a.php?do=long&n=1")?.expect(200)?;
    Ok(())
}

fn large(column: &Column) -> anyhow::Result<()> {
    if refused(column)? {
        return Ok(());
    }
    let fpm = Fpm::start(2)?;
    let server = fpm.behind(column, &["--body-bytes-max", "65536"])?;
    let mut client = server.connect()?;
    let file: Vec<u8> = (0..5_000_003_u32).map(|at| (at % 249) as u8).collect();
    let mut form =
        b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n".to_vec();
    form.extend(&file);
    form.extend(b"\r\n--b--\r\n");
    post(
        &mut client,
        "/a.php?do=upload",
        "multipart/form-data; boundary=b",
        &form,
    )?;
    let reply = client.reply()?.expect(200)?;
    ensure!(reply.body.starts_with(b"5000003 "), "{reply}");
    // In memory as a whole, it says the same.
    let roomy = fpm.behind(column, &["--body-bytes-max", "8000000"])?;
    let mut other = roomy.connect()?;
    post(
        &mut other,
        "/a.php?do=upload",
        "multipart/form-data; boundary=b",
        &form,
    )?;
    ensure!(other.reply()?.body == reply.body, "another sum");
    drop(other);
    // Of unknown length: PHP is told one.
    client.send("POST /a.php?do=raw HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    for _ in 0..20 {
        client.send("c350\r\n")?;
        client.send([b'x'; 50_000])?;
        client.send("\r\n")?;
    }
    client.send("0\r\n\r\n")?;
    ensure!(client.reply()?.body == b"1000000 1000000", "chunks");
    let long = client.get("/a.php?do=long&n=20000000")?.expect(200)?;
    ensure!(long.body.len() == 20_000_000, "{}", long.body.len());
    // A script that reads nothing of what it is sent.
    post(&mut client, "/a.php?do=unread", "a/b", &file)?;
    ensure!(client.reply()?.expect(200)?.body == b"unread", "unread");
    Ok(())
}

fn wrong_scripts(column: &Column) -> anyhow::Result<()> {
    if refused(column)? {
        return Ok(());
    }
    let fpm = Fpm::start(1)?;
    let server = fpm.behind(column, &[])?;
    for (what, status) in [
        ("do=throws", 500),
        ("do=status&n=404", 404),
        ("do=status&n=099", 502),
        ("do=dies", 502),
        ("do=declared&n=10", 200),
        ("do=declared&n=4", 0),
        ("do=declared&n=14", 0),
        ("do=dies-late", 0),
        ("do=long&n=5", 200),
    ] {
        let mut client = server.connect()?;
        let got = client.get(&format!("/a.php?{what}"));
        match (status, got) {
            (0, Err(_)) => {}
            (0, Ok(reply)) => anyhow::bail!("{what} passes as {reply}"),
            (_, got) => drop(got.context(what)?.expect(status).context(what)?),
        }
    }
    Ok(())
}

fn exhausted(column: &Column) -> anyhow::Result<()> {
    if refused(column)? {
        return Ok(());
    }
    let mut fpm = Fpm::start(1)?;
    let server = fpm.behind(column, &["--gateway-ms", "300"])?;
    for _ in 0..2 {
        server.connect()?.get("/a.php?do=sleeps")?.expect(504)?;
    }
    // The child is free again some time.
    let mut served = false;
    for _ in 0..40 {
        served = server.connect()?.get("/a.php?do=long&n=1")?.status == 200;
        if served {
            break;
        }
        std::thread::sleep(ms(100));
    }
    ensure!(served, "the pool stays away");
    let orphans = process::children(fpm.child.id());
    process::signal(fpm.child.id(), Signal::KILL);
    fpm.child.wait()?;
    // A child stays without its parent, and nothing else would end it.
    for orphan in orphans {
        process::signal(orphan, Signal::KILL);
    }
    // No pool listens, or none answers.
    let status = server.connect()?.get("/a.php?do=sleeps")?.status;
    ensure!([502, 504].contains(&status), "{status}");
    Ok(())
}

/// What a FastCGI application may send, and what becomes of it.
fn liars(column: &Column) -> anyhow::Result<()> {
    const HEAD: &[u8] = b"Content-Type: a/b\r\n\r\n";
    let stdout = |content: &[u8]| {
        let mut record = vec![1, 6, 0, 1, 0, content.len() as u8, 0, 0];
        record.extend(content);
        record
    };
    let end = |status: u8| vec![1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, status, 0, 0, 0];
    let empty = vec![1, 6, 0, 1, 0, 0, 0, 0];
    for (sent, status) in [
        (vec![], 502),
        (b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), 502),
        (stdout(HEAD)[..12].to_vec(), 502),
        ([stdout(b"nonsense\r\n\r\n"), end(0)].concat(), 502),
        (end(0), 502),
        (end(2), 502),
        (
            [stdout(HEAD), vec![1, 6, 0, 2, 0, 1, 0, 0, b'x'], end(0)].concat(),
            0,
        ),
        ([stdout(HEAD), stdout(b"half")].concat(), 0),
        ([stdout(HEAD), stdout(b"half"), end(2)].concat(), 0),
        (
            [
                stdout(b"Content-Type: a/b\r\nContent-Length: 3\r\n\r\nhalf"),
                end(0),
            ]
            .concat(),
            0,
        ),
        (
            [
                stdout(b"Content-Type: a/b\r\nContent-Length: 5\r\n\r\nhalf"),
                end(0),
            ]
            .concat(),
            0,
        ),
        (
            [
                stdout(b"Content-Type: a/b\r\nContent-Length: 4\r\n\r\nhalf"),
                end(2),
            ]
            .concat(),
            0,
        ),
        (
            [
                stdout(b"Content-Type: a/b\r\nContent-Length: 4\r\n\r\nhalf"),
                empty,
                end(0),
            ]
            .concat(),
            200,
        ),
        ([stdout(HEAD), stdout(b"whole"), end(0)].concat(), 200),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?.to_string();
        let bytes = sent.clone();
        let folder = Folder::new()?;
        let flags = ["--fastcgi", &addr, "--root", folder.path()?];
        let Some(server) = serve(column, &flags)? else {
            return Ok(());
        };
        let told = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept()?;
            stream.set_read_timeout(Some(PATIENCE))?;
            // The whole request, whose last record is an empty one of standard input.
            let mut request = Vec::new();
            let mut piece = [0; 4_096];
            while !request.ends_with(&[1, 5, 0, 1, 0, 0, 0, 0]) {
                match stream.read(&mut piece)? {
                    0 => break,
                    read => request.extend_from_slice(&piece[..read]),
                }
            }
            stream.write_all(&bytes)
        });
        let got = server.connect()?.get("/a.php");
        told.join().ok().context("the application panicked")??;
        match (status, got) {
            (0, Err(_)) => {}
            (0, Ok(reply)) => anyhow::bail!("{sent:?} passes as {reply}"),
            (_, got) => drop(got?.expect(status).with_context(|| format!("{sent:?}"))?),
        }
    }
    Ok(())
}
