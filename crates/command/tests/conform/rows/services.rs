//! Files and the store, over real sockets and real processes.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, ensure};

use super::row;
use crate::harness::process::{self, Signal};
use crate::harness::{Client, Column, PATIENCE, Server};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("files", files),
    row("files that are large", large_files),
    row("a file that shrinks while it is sent", shrinking_file),
    row("nothing outside the root", outside),
    row("kv", kv),
    row("kv from many connections", kv_side_by_side),
    row("kv survives kill -9", kv_killed),
    row("no files and no store without their flags", without_flags),
];

/// A folder of one cell's own, removed in the end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> anyhow::Result<Folder> {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("services-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(path.join("root"))?;
        Ok(Folder(path))
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A server with both.
    pub fn serve(&self, column: &Column) -> anyhow::Result<Server> {
        let (root, db) = (self.at("root"), self.at("store"));
        let (root, db) = (root.to_str().context("root")?, db.to_str().context("db")?);
        column.serve_with_workers(4, &["--root", root, "--db", db])
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A request with a body, and its status.
pub fn ask(client: &mut Client, line: &str, body: &[u8]) -> anyhow::Result<u16> {
    let length = body.len();
    client.send(format!(
        "{line} HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n"
    ))?;
    client.send(body)?;
    Ok(client.reply().with_context(|| line.to_owned())?.status)
}

fn files(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    std::fs::write(folder.at("root/a.css"), "a {}")?;
    std::fs::write(folder.at("root/index.html"), "<p>")?;
    let server = folder.serve(column)?;
    let mut client = server.connect()?;
    let reply = client.get("/files/a.css")?.expect(200)?;
    ensure!(reply.body == b"a {}", "{reply}");
    let media = reply.field("content-type");
    ensure!(media == Some("text/css; charset=utf-8"), "{reply}");
    let modified = reply.field("last-modified").context("Last-Modified")?;
    client.send(format!(
        "GET /files/a.css HTTP/1.1\r\nHost: t\r\nIf-Modified-Since: {modified}\r\n\r\n"
    ))?;
    let again = client.reply()?.expect(304)?;
    ensure!(again.body.is_empty(), "{again}");
    ensure!(client.get("/files/")?.expect(200)?.body == b"<p>", "index");
    client.get("/files/b.css")?.expect(404)?;
    client.get("/")?.expect(200)?;
    Ok(())
}

fn large_files(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let bytes: Vec<u8> = (0..1_000_001_u32).map(|at| (at % 251) as u8).collect();
    std::fs::write(folder.at("root/large"), &bytes)?;
    let server = folder.serve(column)?;
    let mut client = server.connect()?;
    client.buffer_little()?;
    for _ in 0..2 {
        let reply = client.get("/files/large")?.expect(200)?;
        ensure!(reply.body == bytes, "{} bytes differ", reply.body.len());
    }
    client.send("HEAD /files/large HTTP/1.1\r\nHost: t\r\n\r\n")?;
    let (_, told) = client.reply_to_head()?;
    ensure!(told == bytes.len(), "{told} bytes told");
    client.get("/")?.expect(200)?;
    Ok(())
}

/// The length was announced, so the client must see that the reply is not whole.
fn shrinking_file(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let path = folder.at("root/large");
    std::fs::File::create(&path)?.set_len(64 << 20)?;
    let server = folder.serve(column)?;
    let mut client = server.connect()?;
    client.buffer_little()?;
    client.ask("/files/large")?;
    ensure!(!client.hears_nothing(PATIENCE)?, "the reply has begun");
    std::fs::File::options()
        .write(true)
        .open(&path)?
        .set_len(1)?;
    ensure!(client.reply().is_err(), "a whole reply of half a file");
    server.connect()?.get("/")?.expect(200)?;
    Ok(())
}

fn outside(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    std::fs::write(folder.at("secret"), "SECRET")?;
    std::os::unix::fs::symlink("../secret", folder.at("root/link"))?;
    std::os::unix::fs::symlink("..", folder.at("root/up"))?;
    let server = folder.serve(column)?;
    let mut client = server.connect()?;
    let absolute = format!("/files/{}", folder.at("secret").display());
    for path in [
        "/files/../secret",
        "/files/%2e%2e/secret",
        "/files/..%2fsecret",
        "/files/%252e%252e/secret",
        "/files//etc/passwd",
        "/files/link",
        "/files/up/secret",
        "/files/..",
        "/files/%00",
        &absolute,
    ] {
        let reply = client.get(path)?;
        let reply = reply.expect(404).with_context(|| path.to_owned())?;
        ensure!(!reply.body.starts_with(b"SECRET"), "{path}: {reply}");
    }
    Ok(())
}

fn kv(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let mut server = folder.serve(column)?;
    let mut client = server.connect()?;
    let value: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for (line, body, status) in [
        ("GET /kv/a", &b""[..], 404),
        ("DELETE /kv/a", b"", 404),
        ("PUT /kv/a", b"one", 201),
        ("PUT /kv/a", &value, 204),
        ("PUT /kv/", b"", 400),
        ("PUT /kv/%zz", b"", 400),
        ("POST /kv/a", b"", 405),
    ] {
        let got = ask(&mut client, line, body)?;
        ensure!(got == status, "{line}: {got}, not {status}");
    }
    let reply = client.get("/kv/%61")?.expect(200)?;
    ensure!(reply.body == value, "the value differs");
    let media = reply.field("content-type");
    ensure!(media == Some("application/octet-stream"), "{reply}");
    ensure!(ask(&mut client, "DELETE /kv/a", b"")? == 204, "delete");
    client.get("/kv/a")?.expect(404)?;
    ask(&mut client, "PUT /kv/kept", b"kept")?;
    drop(client);
    server.drain(PATIENCE)?;
    let next = folder.serve(column)?;
    let reply = next.connect()?.get("/kv/kept")?.expect(200)?;
    ensure!(reply.body == b"kept", "{reply}");
    Ok(())
}

/// Each connection writes a key of its own and one that all share, by turns, so that whatever
/// serves them is several at once where the model has several.
fn kv_side_by_side(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let server = folder.serve(column)?;
    let threads: Vec<_> = (0..4_u8)
        .map(|number| {
            let addr = server.addrs[0].clone();
            std::thread::spawn(move || write_by_turns(&addr, number))
        })
        .collect();
    let mut created = 0;
    for thread in threads {
        created += thread.join().ok().context("a client panicked")??;
    }
    ensure!(created == 1, "{created} creations of one key");
    Ok(())
}

fn write_by_turns(addr: &str, number: u8) -> anyhow::Result<usize> {
    let mut client = Client::connect(addr)?;
    let own = format!("/kv/own-{number}");
    let mut created = 0;
    for round in 0..20_u8 {
        let value = vec![number; 1 + usize::from(round) * 300];
        created += usize::from(ask(&mut client, "PUT /kv/shared", &value)? == 201);
        let shared = client.get("/kv/shared")?.expect(200)?.body;
        ensure!(shared.iter().all(|byte| *byte == shared[0]), "torn");
        let status = ask(&mut client, &format!("PUT {own}"), &value)?;
        ensure!(status == if round == 0 { 201 } else { 204 }, "{status}");
        let reply = client.get(&own)?.expect(200)?;
        ensure!(reply.body == value, "not what was put: {reply}");
    }
    Ok(created)
}

/// What was acknowledged is there for the next server, though nobody closed the store.
fn kv_killed(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let mut server = folder.serve(column)?;
    let mut client = server.connect()?;
    for number in 0..20 {
        let status = ask(&mut client, &format!("PUT /kv/{number}"), b"value")?;
        ensure!(status == 201, "{status}");
    }
    // Workers die with their parent.
    process::signal(server.pid(), Signal::KILL);
    server.exit(PATIENCE)?;
    let next = folder.serve(column)?;
    let mut client = next.connect()?;
    for number in 0..20 {
        let reply = client.get(&format!("/kv/{number}"))?.expect(200)?;
        ensure!(reply.body == b"value", "{number}: {reply}");
    }
    ensure!(ask(&mut client, "PUT /kv/0", b"more")? == 204, "it goes on");
    Ok(())
}

fn without_flags(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    for (path, flag) in [("/files/a", "--root"), ("/kv/a", "--db")] {
        let reply = client.get(path)?.expect(404)?;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        ensure!(text.contains(flag), "{path}: {reply}");
    }
    Ok(())
}
