//! khttp: one thread waits in epoll and hands every connection that is ready to a pool of
//! `--workers` threads, which read, compute and write with blocking calls.
//!
//! khttp 0.2 has no epoll loop without that pool, so that one worker makes two threads. The loop
//! spins while a connection that is being served is readable. A thread may be handed a connection
//! whose request another has just answered; it then blocks until that client sends again, and with
//! all threads blocked nobody is served. Bytes received beyond a request are lost, so that of
//! pipelined requests only the first is answered.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use khttp::Method::{Get, Post};
use khttp::{Headers, RequestContext, ResponseHandle, Server, ServerBuilder, Status};
use peers::command::{Options, announce, options, report};
use peers::{BODY_BYTES_MAX, BYTES_MAX, MICROS_MAX, PLAINTEXT, Pattern, burn};

/// The longest head, as that of the raw peers.
const HEAD_BYTES_MAX: usize = 16 << 10;

fn main() -> std::process::ExitCode {
    report(run(options()))
}

fn run(options: Options) -> io::Result<()> {
    // khttp does not say which port it was given, so that port 0 is resolved before.
    let addr = TcpListener::bind(options.listen)?.local_addr()?;
    let mut app = Server::builder(addr)?;
    app.thread_count(options.workers.into())
        .max_request_head_size(HEAD_BYTES_MAX);
    add_routes(&mut app);
    thread::spawn(move || announce_when_accepting(addr));
    app.build().serve_epoll()
}

/// khttp binds, listens and serves in one call: only a connection can tell that it listens.
fn announce_when_accepting(addr: SocketAddr) {
    while TcpStream::connect(addr).is_err() {
        thread::yield_now();
    }
    if let Err(error) = announce(addr) {
        report(Err(error));
        std::process::exit(1);
    }
}

fn add_routes(app: &mut ServerBuilder) {
    add_constant(app, "/", "text/plain", PLAINTEXT);
    add_constant(app, "/plaintext", "text/plain", PLAINTEXT);
    let json = r#"{"message":"Hello, World!"}"#;
    add_constant(app, "/json", "application/json", json);
    app.route(Post, "/echo", echo);
    app.route(Get, "/bytes/:number", bytes);
    add_taking(app, "/cpu/:number", burn);
    // There is no other way to wait than to block.
    add_taking(app, "/wait/:number", sleep);
    add_taking(app, "/sleep/:number", sleep);
}

fn add_constant(app: &mut ServerBuilder, path: &str, media: &'static str, body: &'static str) {
    let headers = of_type(media);
    app.route(Get, path, move |_, reply| reply.ok(&headers, body));
}

/// A route that takes as many µs as its last segment says, in the way of `take`.
fn add_taking(app: &mut ServerBuilder, path: &str, take: fn(u64)) {
    let headers = of_type("text/plain");
    app.route(Get, path, move |request, reply| {
        let Some(micros) = number(&request, MICROS_MAX) else {
            return reply.send0(&Status::BAD_REQUEST, Headers::empty());
        };
        take(micros);
        reply.ok(&headers, "done\n")
    });
}

fn sleep(micros: u64) {
    thread::sleep(Duration::from_micros(micros));
}

fn bytes(request: RequestContext, reply: &mut ResponseHandle) -> io::Result<()> {
    let Some(bytes) = number(&request, BYTES_MAX) else {
        return reply.send0(&Status::BAD_REQUEST, Headers::empty());
    };
    let mut headers = of_type("application/octet-stream");
    headers.set_content_length(Some(bytes));
    reply.okr(&headers, Pattern::new(bytes))
}

fn echo(mut request: RequestContext, reply: &mut ResponseHandle) -> io::Result<()> {
    if request.headers.is_100_continue() {
        reply.send_100_continue()?;
    }
    let mut body = Vec::new();
    let most = BODY_BYTES_MAX as u64 + 1;
    request.body().take(most).read_to_end(&mut body)?;
    if body.len() > BODY_BYTES_MAX {
        return reply.send0(&Status::of(413), Headers::close());
    }
    reply.ok(&of_type("application/octet-stream"), body)
}

fn number(request: &RequestContext, most: u64) -> Option<u64> {
    let number = request.params.get("number")?.parse().ok()?;
    (number <= most).then_some(number)
}

fn of_type(media: &'static str) -> Headers<'static> {
    let mut headers = Headers::new();
    headers.add(Headers::CONTENT_TYPE, media.as_bytes());
    headers
}
