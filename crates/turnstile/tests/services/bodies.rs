//! Request bodies that come in pieces, and who sends them.

use std::io::{Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame};
use turnstile::http::{Adapter, Body, BoxError};
use turnstile::{Calls, Holds, Peer, Service};

use crate::every_model::Column;
use crate::program::{Program, rest};

/// More than the limit of memory, and more than may wait for the handler.
const BYTES: usize = 3_000_000;

/// What a handler of large bodies does with them.
pub fn large() -> impl Service + Send + 'static {
    Adapter::new()
        .with_large_bodies(64 << 20)
        .async_service(handle)
}

async fn handle(request: http::Request<Body>) -> http::Response<Answer> {
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    http::Response::new(match path.as_str() {
        "/none" => Answer::Told("none".into()),
        "/first" => {
            let first = next(&mut body).await;
            assert!(matches!(first, Some(Ok(piece)) if !piece.is_empty()));
            Answer::Told("first".into())
        }
        "/panic" => panic!("asked to"),
        "/echo" => Answer::Body(body),
        path => {
            let (mut bytes, told) = (0, body.size_hint().exact());
            while let Some(piece) = next(&mut body).await {
                bytes += piece.unwrap().len();
                if path == "/slow" {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            Answer::Told(format!("{bytes} {told:?}").into())
        }
    })
}

async fn next(body: &mut Body) -> Option<Result<Bytes, BoxError>> {
    let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap()))
}

enum Answer {
    Told(Bytes),
    Body(Body),
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Answer::Told(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Answer::Body(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Answer::Told(bytes) => http_body::SizeHint::with_exact(bytes.len() as u64),
            Answer::Body(body) => body.size_hint(),
        }
    }
}

/// What `Peer` is to a handler of `http`.
pub fn who() -> impl Service + Send + 'static {
    Adapter::new()
        .with_peer()
        .http_service(|request: http::Request<Body>| {
            let peer = request.extensions().get::<Peer>();
            http::Response::new(peer.map_or_else(|| "none".into(), Peer::to_string))
        })
}

pub fn peers(column: &Column) {
    let program = Program::start("who", column, &[]);
    for _ in 0..2 {
        let stream = program.begin("/");
        let own = stream.local_addr().unwrap().to_string();
        let reply = rest(stream);
        assert!(
            reply.ends_with(&format!("\r\n\r\n{own}")),
            "{reply}, not {own}"
        );
    }
    program.drain();
}

pub fn in_pieces(column: &Column) {
    if !column.may_wait() {
        return; // It does not start, which another row shows.
    }
    let workers = column.variant.workers;
    let program = Program::start("large", column, &[]);
    assert!(program.get("/").ends_with("\r\n\r\n0 Some(0)"));
    if workers.holds == Holds::Many && workers.calls != Calls::Task {
        let reply = post(&program, "/count", false, BYTES);
        assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
        program.drain();
        return;
    }
    for path in ["/count", "/slow"] {
        let reply = post(&program, path, false, BYTES);
        assert!(
            reply.ends_with("\r\n\r\n3000000 Some(3000000)"),
            "{path}: {reply}"
        );
        let reply = post(&program, path, true, BYTES);
        assert!(reply.ends_with("\r\n\r\n3000000 None"), "{path}: {reply}");
    }
    let echo = post(&program, "/echo", false, BYTES);
    assert_eq!(
        echo.matches('x').count(),
        BYTES,
        "{}",
        &echo[..200.min(echo.len())]
    );
    // Before the rest has come, which never does.
    for (path, told) in [("/none", "none"), ("/first", "first")] {
        let reply = post(&program, path, false, BYTES / 2);
        assert!(
            reply.ends_with(&format!("\r\n\r\n{told}")),
            "{path}: {reply}"
        );
        assert!(reply.contains("Connection: close"), "{reply}");
    }
    let reply = post(&program, "/panic", false, BYTES);
    assert!(reply.starts_with("HTTP/1.1 500 "), "{reply}");
    // A client that breaks off costs no other client anything.
    drop(begin(&program, "/count", false, BYTES / 2));
    assert!(program.get("/").ends_with("0 Some(0)"));
    // More than the handler wants.
    let mut stream = std::net::TcpStream::connect(program.addr()).unwrap();
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 67108865\r\n\r\n"
    )
    .unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
    program.drain();
}

/// Sends `sent` of a body of [`BYTES`] bytes, and returns the reply.
fn post(program: &Program, path: &str, is_chunked: bool, sent: usize) -> String {
    rest(begin(program, path, is_chunked, sent))
}

fn begin(program: &Program, path: &str, is_chunked: bool, sent: usize) -> std::net::TcpStream {
    let mut stream = std::net::TcpStream::connect(program.addr()).unwrap();
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).unwrap();
    stream.set_write_timeout(patience).unwrap();
    let length = match is_chunked {
        true => "Transfer-Encoding: chunked".to_owned(),
        false => format!("Content-Length: {BYTES}"),
    };
    let head = format!("POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{length}\r\n\r\n");
    let mut all = head.into_bytes();
    for _ in 0..sent / 10_000 {
        if is_chunked {
            all.extend(b"2710\r\n");
        }
        all.extend([b'x'; 10_000]);
        if is_chunked {
            all.extend(b"\r\n");
        }
    }
    if is_chunked {
        all.extend(b"0\r\n\r\n");
    }
    // A server that has refused it may take no more of it.
    let _ = stream.write_all(&all);
    stream
}
