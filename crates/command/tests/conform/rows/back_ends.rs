//! Back ends that do as a row says, and large bodies for them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;

use anyhow::Context;

use crate::harness::{Client, PATIENCE};

/// Bodies beyond this are not kept in memory.
pub const SMALL: [&str; 2] = ["--body-bytes-max", "65536"];

/// A back end of one's own, each of whose connections is a call of `act`.
pub struct BackEnd {
    pub url: String,
    pub connections: Arc<AtomicUsize>,
}

impl BackEnd {
    pub fn new(act: impl Fn(TcpStream) + Send + Sync + 'static) -> anyhow::Result<BackEnd> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let connections = Arc::new(AtomicUsize::new(0));
        let (act, counted) = (Arc::new(act), Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming().take(64).flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let act = Arc::clone(&act);
                let _ = stream.set_read_timeout(Some(PATIENCE));
                let _ = stream.set_write_timeout(Some(PATIENCE));
                std::thread::spawn(move || act(stream));
            }
        });
        Ok(BackEnd { url, connections })
    }

    /// One that answers every head that it reads with these bytes.
    pub fn saying(reply: &'static str) -> anyhow::Result<BackEnd> {
        BackEnd::new(move |mut stream| {
            while head(&mut stream).is_some() {
                if stream.write_all(reply.as_bytes()).is_err() {
                    return;
                }
            }
        })
    }
}

/// A head, to the last byte of it.
pub fn head(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

pub fn say(stream: &mut TcpStream, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
}

pub fn lines_of<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let of = |line: &'a str| {
        let (field, value) = line.split_once(": ")?;
        field.eq_ignore_ascii_case(name).then_some(value)
    };
    head.lines().filter_map(of).collect()
}

/// Sends a body of `bytes` bytes in two halves, the second once `half` has said that the first has arrived.
pub fn send_halves(
    client: &mut Client,
    is_chunked: bool,
    bytes: usize,
    half: &Receiver<usize>,
) -> anyhow::Result<()> {
    let length = match is_chunked {
        true => "Transfer-Encoding: chunked".to_owned(),
        false => format!("Content-Length: {bytes}"),
    };
    client.send(format!("POST /p HTTP/1.1\r\nHost: h\r\n{length}\r\n\r\n"))?;
    for part in 0..2 {
        for _ in 0..bytes / 2 / 50_000 {
            if is_chunked {
                client.send("c350\r\n")?;
            }
            client.send([b'x'; 50_000])?;
            if is_chunked {
                client.send("\r\n")?;
            }
        }
        if part == 0 {
            half.recv_timeout(PATIENCE).context("no half has arrived")?;
        }
    }
    if is_chunked {
        client.send("0\r\n\r\n")?;
    }
    Ok(())
}
