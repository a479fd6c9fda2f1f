//! Large request bodies that a plain function receives inside its call.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http_body::Body as _;
use turnstile::http::{Adapter, Body};
use turnstile::{Calls, Service};

use crate::every_model::Column;
use crate::program::{Program, read_until, rest};

const BYTES: usize = 8 << 20;
const BYTES_MAX: u64 = 64 << 20;

/// What a handler may need for a body of [`BYTES`], KiB: its buffers, and pages that it touches for the first
/// time.
const ROOM_KIB: u64 = 2 << 10;

pub fn receives() -> impl Service + Send + 'static {
    Adapter::new()
        .with_large_bodies(BYTES_MAX)
        .http_service(handle)
}

fn handle(request: http::Request<Body>) -> http::Response<Body> {
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    http::Response::new(match path.as_str() {
        "/none" => "none".into(),
        "/first" => {
            body.read_exact(&mut [0; 10]).unwrap();
            "first".into()
        }
        "/panic" => {
            body.read_exact(&mut [0; 10]).unwrap();
            panic!("asked to")
        }
        "/echo" => body,
        "/frames" => frames(body).into(),
        // Whatever it says of a body that fails is not sent.
        _ => hash(body).unwrap_or_else(|error| error.to_string()).into(),
    })
}

/// Length and hash of what is read, and how much the most memory of the process has grown meanwhile, KiB.
fn hash(mut body: Body) -> std::io::Result<String> {
    let before = most_memory_kib();
    let (mut hash, mut bytes, mut buffer) = (FNV_BASIS, 0, [0; 8 << 10]);
    loop {
        match body.read(&mut buffer)? {
            0 => break,
            read => {
                hash = fnv(hash, &buffer[..read]);
                bytes += read;
            }
        }
    }
    Ok(format!(
        "{bytes} {hash:x} {}",
        most_memory_kib().saturating_sub(before)
    ))
}

/// The same of its frames, each of which is there when it is polled.
fn frames(mut body: Body) -> String {
    let (mut hash, mut bytes, told) = (FNV_BASIS, 0, body.size_hint().exact());
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let data = frame.into_data().unwrap();
                hash = fnv(hash, &data);
                bytes += data.len();
            }
            Poll::Ready(Some(Err(error))) => return error.to_string(),
            Poll::Ready(None) => return format!("{bytes} {hash:x} {told:?}"),
            Poll::Pending => return "it waits".into(),
        }
    }
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// The most memory that this process has had (`VmHWM`, `proc_pid_status(5)`).
fn most_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.unwrap().trim().parse().unwrap()
}

fn content() -> Vec<u8> {
    (0..BYTES).map(|at| (at / 251 + at) as u8).collect()
}

pub fn received(column: &Column) {
    received_with(column, &[]);
    if let Some(front) = column.variant.needs.front {
        let flags = ["--front", "poll"];
        match front.processes {
            true => refused(column, &flags),
            false => received_with(column, &flags),
        }
    }
}

fn received_with(column: &Column, flags: &[&str]) {
    let may_receive = match column.variant.workers.calls {
        Calls::Worker | Calls::ExtraThread => true,
        Calls::Task => column.variant.needs.aside.is_some(),
        Calls::Loop => false,
    };
    if !may_receive {
        return refused(column, flags);
    }
    let program = Program::start("receives", column, flags);
    let content = content();
    let told = format!("{BYTES} {:x} ", fnv(FNV_BASIS, &content));
    for is_chunked in [false, true] {
        let reply = rest(send(&program, "/hash", is_chunked, &content, BYTES));
        let Some((_, grown)) = reply.split_once(&format!("\r\n\r\n{told}")) else {
            panic!("{told}: {reply}");
        };
        let grown: u64 = grown.parse().unwrap();
        assert!(grown <= ROOM_KIB, "it has taken {grown} KiB");
        let reply = rest(send(&program, "/frames", is_chunked, &content, BYTES));
        let length = (!is_chunked).then_some(BYTES);
        assert!(reply.ends_with(&format!("{told}{length:?}")), "{reply}");
    }
    let text = vec![b'x'; BYTES];
    let echo = rest(send(&program, "/echo", false, &text, BYTES));
    assert_eq!(echo.matches('x').count(), BYTES, "{}", &echo[..200]);
    // Before the rest has come, which never does.
    for (path, told) in [("/none", "none"), ("/first", "first")] {
        for is_chunked in [false, true] {
            let reply = rest(send(&program, path, is_chunked, &text, BYTES / 2));
            assert!(reply.starts_with("HTTP/1.1 200 "), "{path}: {reply}");
            assert!(reply.ends_with(&format!("\r\n\r\n{told}")), "{reply}");
            assert!(reply.contains("Connection: close"), "{reply}");
        }
    }
    let reply = rest(send(&program, "/panic", false, &text, BYTES / 2));
    assert!(reply.starts_with("HTTP/1.1 500 "), "{reply}");
    // A client that breaks off costs no other client anything.
    drop(send(&program, "/hash", false, &text, BYTES / 2));
    held_back(&program);
    followed(&program, &content);
    let refused = rest(head(&program, "/hash", "Content-Length: 67108865\r\n"));
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
    let stderr = program.drain();
    assert!(!stderr.contains("inside its calls"), "{stderr}");
    assert!(stderr.contains(" 0 cut"), "{stderr}");
    too_slow(column, flags);
    cut_in_a_drain(column, flags);
}

/// A body in memory is served; a larger one is refused, which the server has said when it started.
fn refused(column: &Column, flags: &[&str]) {
    let program = Program::start("receives", column, flags);
    let reply = rest(send(&program, "/hash", false, b"few", 3));
    assert!(reply.contains("\r\n\r\n3 "), "{reply}");
    for is_chunked in [false, true] {
        let reply = rest(send(&program, "/hash", is_chunked, &content(), BYTES));
        assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
    }
    let stderr = program.drain();
    let said = stderr.matches("inside its calls").count();
    assert_eq!(said, 1, "{stderr}");
}

/// The client is asked for its body when the handler reads it, and not for one that it does not read.
fn held_back(program: &Program) {
    let fields = format!("Expect: 100-continue\r\nContent-Length: {BYTES}\r\n");
    let mut stream = head(program, "/frames", &fields);
    read_until(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&vec![b'x'; BYTES]).unwrap();
    let reply = rest(stream);
    assert!(reply.contains(&format!("\r\n\r\n{BYTES} ")), "{reply}");
    let reply = rest(head(program, "/none", &fields));
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    assert!(reply.ends_with("\r\n\r\nnone"), "{reply}");
}

/// The connection goes on behind a body that was read to its end, with a request that was there already.
fn followed(program: &Program, content: &[u8]) {
    let mut stream = connect(program);
    let length = content.len();
    write!(
        stream,
        "POST /frames HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    let next = b"GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    stream.write_all(&[content, next].concat()).unwrap();
    let replies = rest(stream);
    assert_eq!(replies.matches("HTTP/1.1 200 ").count(), 2, "{replies}");
    assert!(replies.contains(&format!("\r\n\r\n{length} ")), "{replies}");
    assert!(replies.ends_with("\r\n\r\nnone"), "{replies}");
}

/// A client that sends nothing more has 408 in the place of what the handler answers.
fn too_slow(column: &Column, flags: &[&str]) {
    let flags = [&["--body-ms", "200"], flags].concat();
    let program = Program::start("receives", column, &flags);
    let text = vec![b'x'; BYTES];
    let reply = rest(send(&program, "/hash", false, &text, BYTES / 2));
    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
    assert_eq!(reply.matches("HTTP/1.1 ").count(), 1, "{reply}");
    program.drain();
}

/// A call that waits for its client does not keep a server that drains beyond the grace.
fn cut_in_a_drain(column: &Column, flags: &[&str]) {
    let flags = [&["--drain-ms", "200"], flags].concat();
    let program = Program::start("receives", column, &flags);
    let stream = send(&program, "/hash", false, &vec![b'x'; BYTES], BYTES / 2);
    assert!(program.has_begun(1));
    let stderr = program.drain();
    assert!(stderr.contains(" 1 cut"), "{stderr}");
    assert_eq!(rest(stream), "");
}

/// Sends `sent` bytes of `content` behind a head that announces all of it.
fn send(program: &Program, path: &str, is_chunked: bool, content: &[u8], sent: usize) -> TcpStream {
    let fields = match is_chunked {
        true => "Transfer-Encoding: chunked\r\n".to_owned(),
        false => format!("Content-Length: {}\r\n", content.len()),
    };
    let mut stream = head(program, path, &fields);
    let body = &content[..sent];
    // A server that has refused it, or has answered, may take no more of it.
    let _ = match is_chunked {
        true => stream.write_all(&chunks(body, sent == content.len())),
        false => stream.write_all(body),
    };
    stream
}

fn chunks(body: &[u8], is_whole: bool) -> Vec<u8> {
    let mut all = Vec::new();
    for chunk in body.chunks(10_007) {
        all.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        all.extend(chunk);
        all.extend(b"\r\n");
    }
    if is_whole {
        all.extend(b"0\r\n\r\n");
    }
    all
}

fn head(program: &Program, path: &str, fields: &str) -> TcpStream {
    let mut stream = connect(program);
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n"
    )
    .unwrap();
    stream
}

fn connect(program: &Program) -> TcpStream {
    let stream = TcpStream::connect(program.addr()).unwrap();
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).unwrap();
    stream.set_write_timeout(patience).unwrap();
    stream
}
