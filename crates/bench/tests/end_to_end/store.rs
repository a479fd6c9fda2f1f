//! A server with a store of one value: the one that was put last, under whatever key.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Serves with one thread per connection until SIGTERM.
pub fn serve(listen: &str, db: &Path) -> ExitCode {
    let always = Arc::new(AtomicBool::new(true));
    let term = signal_hook::consts::SIGTERM;
    signal_hook::flag::register_conditional_shutdown(term, 0, always).expect("a handler");
    if fs::write(db, "").is_err() {
        eprintln!("no folder for {}", db.display());
        return ExitCode::FAILURE;
    }
    let listener = TcpListener::bind(listen).expect("a port");
    println!("listening on {}", listener.local_addr().expect("bound"));
    for stream in listener.incoming().flatten() {
        let db = db.to_owned();
        std::thread::spawn(move || while answer(&stream, &db).is_ok() {});
    }
    ExitCode::SUCCESS
}

fn answer(mut stream: &TcpStream, db: &Path) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(bytes) = head[start..].strip_prefix("Content-Length: ") {
            length = bytes.trim().parse().expect("a number");
        }
    }
    if head.starts_with("PUT") {
        let mut value = vec![0; length];
        reader.read_exact(&mut value)?;
        fs::write(db, value)?;
        return stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
    }
    let value = fs::read(db)?;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", value.len());
    stream.write_all(&[head.as_bytes(), &value].concat())
}
