//! In front of a back end: what it says is passed on, and what it says wrong never is.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, bail, ensure};

use super::row;
use crate::harness::{Column, PATIENCE, Server, TURNSTILE, ms, run};
use crate::runner::{Moot, Row};

pub const ROWS: &[Row] = &[
    row("gateway: --exec", exec),
    row(
        "gateway: a program that fails is 502, a slow one 504",
        bad_programs,
    ),
    row("gateway: --proxy", proxy),
    row("gateway: a proxied server that lies is 502 or cut", liars),
    row("gateway: --fastcgi to PHP", fastcgi),
];

/// A server with these flags; where the model cannot be a gateway, it must say so.
pub fn serve(column: &Column, flags: &[&str]) -> anyhow::Result<Option<Server>> {
    if column.gateway {
        return Ok(Some(column.serve(flags)?));
    }
    let exit = run(column.command(&["127.0.0.1:0"], flags))?;
    ensure!(exit.code == Some(2) && exit.stdout.is_empty(), "{exit:?}");
    ensure!(exit.stderr.lines().count() == 1, "{exit:?}");
    Ok(None)
}

/// A folder of one cell's own, removed in the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> anyhow::Result<Folder> {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("gateways-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }

    pub fn path(&self) -> anyhow::Result<&str> {
        self.0.to_str().context("a path")
    }

    pub fn script(&self, text: &str) -> anyhow::Result<String> {
        let path = self.0.join("script");
        // Another cell's fork may hold the file open for writing, which would make it busy: a rename of a
        // file that a shell has written is not held by anybody here.
        let written = Command::new("sh")
            .args([
                "-c",
                "cat > \"$1.new\" && chmod 755 \"$1.new\" && mv \"$1.new\" \"$1\"",
                "sh",
            ])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn();
        let mut written = written?;
        written
            .stdin
            .take()
            .context("stdin")?
            .write_all(text.as_bytes())?;
        ensure!(written.wait()?.success(), "the script is not written");
        ensure!(path.metadata()?.permissions().mode() & 0o111 != 0, "mode");
        Ok(path.to_str().context("a path")?.to_owned())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn exec(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let script = folder.script(
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\nStatus: 201 Made\\nX-Own: 1\\n\\n'\n\
         printf '%s %s %s %s ' \"$REQUEST_METHOD\" \"$PATH_INFO\" \"$QUERY_STRING\" \"$HTTP_X_A\"\ncat\n",
    )?;
    let Some(server) = serve(column, &["--exec", &script])? else {
        return Ok(());
    };
    let mut client = server.connect()?;
    for _ in 0..2 {
        let fields = "Host: t\r\nX-A: b\r\nContent-Length: 4\r\n";
        client.send(format!("POST /p/q?r=s HTTP/1.1\r\n{fields}\r\nbody"))?;
        let reply = client.reply()?.expect(201)?;
        ensure!(reply.body == b"POST /p/q r=s b body", "{reply}");
        ensure!(reply.field("x-own") == Some("1"), "{reply}");
    }
    Ok(())
}

fn bad_programs(column: &Column) -> anyhow::Result<()> {
    for (script, status) in [
        ("#!/bin/sh\necho nonsense\n", 502),
        ("#!/bin/sh\nexit 1\n", 502),
        ("#!/bin/sh\nprintf 'Content-Type: text/plain\\n'\n", 502),
        (
            "#!/bin/sh\nprintf 'Status: 99\\nContent-Type: text/plain\\n\\n'\n",
            502,
        ),
        (
            "#!/bin/sh\nprintf 'X: \\001\\nContent-Type: text/plain\\n\\n'\n",
            502,
        ),
        (
            "#!/bin/sh\nprintf 'Content-Length: 1x\\nContent-Type: a/b\\n\\n'\n",
            502,
        ),
        ("#!/nothing/here\n", 502),
        ("#!/bin/sh\nexec sleep 60\n", 504),
    ] {
        let folder = Folder::new()?;
        let path = folder.script(script)?;
        let Some(server) = serve(column, &["--exec", &path, "--gateway-ms", "400"])? else {
            return Ok(());
        };
        let reply = server
            .connect()?
            .get("/")
            .with_context(|| script.to_owned())?;
        ensure!(reply.status == status, "{script}: {reply}");
    }
    // Those that go wrong after their head: the reply has no end.
    for script in [
        "printf 'Content-Type: text/plain\\n\\nhalf'; exit 3",
        "printf 'Content-Type: text/plain\\n\\nhalf'; kill -9 $$",
        "printf 'Content-Type: text/plain\\n\\nhalf'; exec sleep 60",
        "printf 'Content-Type: text/plain\\n\\nhalf'; exec >&-; exec sleep 60",
        "printf 'Content-Type: text/plain\\n\\nhalf'; sleep 60",
        "printf 'Content-Type: text/plain\\nContent-Length: 5\\n\\nhalf'",
        "printf 'Content-Type: text/plain\\nContent-Length: 3\\n\\nhalf'",
        "printf 'Content-Type: text/plain\\nContent-Length: 4\\n\\nhalf'; exit 3",
    ] {
        let folder = Folder::new()?;
        let path = folder.script(&format!("#!/bin/sh\n{script}\n"))?;
        let server = column.serve(&["--exec", &path, "--gateway-ms", "400"])?;
        ensure!(
            server.connect()?.get("/").is_err(),
            "half a reply passes for a whole one: {script}"
        );
    }
    Ok(())
}

fn proxy(column: &Column) -> anyhow::Result<()> {
    let mut behind = Command::new(TURNSTILE);
    behind.args(["serve", "--model", "thread-pool", "--listen", "127.0.0.1:0"]);
    behind.args(["--queue-delay-ms", "0"]);
    let behind = Server::start(behind, 1)?;
    let url = format!("http://{}", behind.addrs[0]);
    let Some(server) = serve(column, &["--proxy", &url])? else {
        return Ok(());
    };
    let mut client = server.connect()?;
    for _ in 0..3 {
        client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello")?;
        ensure!(client.reply()?.expect(200)?.body == b"hello", "echo");
        ensure!(
            client.get("/bytes/300000")?.expect(200)?.body.len() == 300_000,
            "bytes"
        );
        let lines = client.get("/stream/3/1000")?.expect(200)?;
        ensure!(lines.body == b"line 1\nline 2\nline 3\n", "{lines}");
        client.send("HEAD /bytes/70000 HTTP/1.1\r\nHost: t\r\n\r\n")?;
        ensure!(client.reply_to_head()?.1 == 70_000, "HEAD");
        client.get("/nothing")?.expect(404)?;
    }
    drop(client); // One worker serves one connection after another.
    drop(behind);
    let mut client = server.connect()?;
    client.get("/")?.expect(502)?;
    Ok(())
}

/// A back end that reads a head and answers every connection with these bytes, then closes.
fn liar(reply: &'static str) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().take(2).flatten() {
            let mut stream = stream;
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let _ = stream.read(&mut [0; 4_096]);
            if reply == "silence" {
                std::thread::sleep(ms(1_500));
                continue;
            }
            let _ = stream.write_all(reply.as_bytes());
        }
    });
    Ok(format!("http://{addr}"))
}

fn liars(column: &Column) -> anyhow::Result<()> {
    for (reply, status) in [
        ("", 502),
        ("nonsense\r\n\r\n", 502),
        ("HTTP/1.1 200 OK\r\nContent-Le", 502),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            502,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            502,
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 502),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", 502),
        ("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", 502),
        ("silence", 504),
        // The head was good: what cannot be completed is cut.
        (
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 9\r\n\r\nshort",
            0,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshor",
            0,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n",
            0,
        ),
    ] {
        let url = liar(reply)?;
        let Some(server) = serve(column, &["--proxy", &url, "--gateway-ms", "500"])? else {
            return Ok(());
        };
        match (status, server.connect()?.get("/")) {
            (0, Err(_)) => {}
            (0, Ok(passed)) => bail!("{reply:?} passes as {passed}"),
            (status, Ok(passed)) => ensure!(passed.status == status, "{reply:?}: {passed}"),
            (_, Err(error)) => return Err(error.context(reply)),
        }
    }
    Ok(())
}

/// PHP as a FastCGI application. Dropping it kills it.
struct Php(Child);

impl Drop for Php {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn fastcgi(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let root = folder.0.to_str().context("a path")?;
    let socket = folder.0.join("php");
    let addr = format!("unix:{}", socket.display());
    let flags = ["--fastcgi", &addr, "--root", root];
    if !column.gateway {
        return serve(column, &flags).map(drop);
    }
    let php = Command::new("php-cgi")
        .arg("-b")
        .arg(&socket)
        .env("PHP_FCGI_CHILDREN", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(php) = php else {
        return Err(Moot("php-cgi is not installed").into());
    };
    let _php = Php(php);
    for _ in 0..400 {
        if socket.exists() {
            break;
        }
        std::thread::sleep(ms(10));
    }
    std::fs::write(
        folder.0.join("a.php"),
        "<?php http_response_code(201); header('X-Own: 1'); error_log('to the log');\n\
         echo $_SERVER['REQUEST_METHOD'], $_SERVER['PATH_INFO'] ?? '', $_GET['q'] ?? '';\n\
         echo file_get_contents('php://input'); echo str_repeat('x', (int)($_GET['n'] ?? 0));",
    )?;
    let server = column.serve(&flags)?;
    for _ in 0..2 {
        let mut client = server.connect()?;
        client.send("POST /a.php/p?q=s HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nbody")?;
        let reply = client.reply()?.expect(201)?;
        ensure!(reply.body == b"POST/psbody", "{reply}");
        ensure!(reply.field("x-own") == Some("1"), "{reply}");
        let long = client.get("/a.php?n=200000")?.expect(201)?;
        ensure!(long.body.len() == 200_003, "{long}");
        client.get("/none.php")?.expect(404)?;
        client.get("/%2e%2e/a.php")?.expect(404)?;
    }
    Ok(())
}
