//! A handler that asks several slow back ends at once, and answers when all have.
//!
//! ```text
//! cargo run -p fan_out -- --model async-tasks --backend 127.0.0.1:9001 --backend 127.0.0.1:9002
//! curl localhost:8080/anything
//! ```
//!
//! With back ends of 50 ms a request takes 50 ms, however many there are. On async-tasks one worker awaits
//! thousands of such requests; on models of processes and threads it awaits one, and clients wait for a
//! worker that is free.

use std::convert::Infallible;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use turnstile::EachProcess;
use turnstile::http::Body;

#[derive(clap::Args)]
struct Flags {
    /// A back end that is asked for every request, HOST:PORT; may be given several times
    #[arg(long, value_name = "ADDR", required = true)]
    backend: Vec<String>,
    /// How long a back end may take, ms
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    backend_ms: u64,
}

/// Most bytes that a back end may send.
const REPLY_BYTES_MAX: u64 = 64 << 10;

/// Sends the path on, and returns what stands behind the head of the reply.
async fn ask(backend: String, path: Arc<str>) -> io::Result<String> {
    let mut stream = TcpStream::connect(&backend).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {backend}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = String::new();
    stream
        .take(REPLY_BYTES_MAX)
        .read_to_string(&mut reply)
        .await?;
    let (head, body) = reply
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    if head.split(' ').nth(1) != Some("200") {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(body.to_owned())
}

/// The bodies of all back ends, a line each, or the status of the failure.
async fn fan_out(flags: Arc<Flags>, path: Arc<str>) -> Result<String, StatusCode> {
    let mut asked = JoinSet::new();
    for (at, backend) in flags.backend.iter().enumerate() {
        let answer = ask(backend.clone(), Arc::clone(&path));
        let answer = tokio::time::timeout(Duration::from_millis(flags.backend_ms), answer);
        asked.spawn(async move { (at, answer.await) });
    }
    let mut lines = vec![String::new(); flags.backend.len()];
    while let Some(answered) = asked.join_next().await {
        // Those that are still asked are dropped with the set.
        let (at, answer) = answered.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        let answer = answer.map_err(|_| StatusCode::GATEWAY_TIMEOUT)?;
        lines[at] = answer.map_err(|_| StatusCode::BAD_GATEWAY)? + "\n";
    }
    Ok(lines.concat())
}

async fn answer(flags: Arc<Flags>, request: http::Request<Body>) -> Response<String> {
    let path = request.uri().path().into();
    match fan_out(flags, path).await {
        Ok(lines) => Response::new(lines),
        Err(status) => {
            let mut response = Response::new(String::new());
            *response.status_mut() = status;
            response
        }
    }
}

fn main() -> ExitCode {
    turnstile::main_on_any(|flags: &Flags| {
        let flags = Arc::new(Flags {
            backend: flags.backend.clone(),
            backend_ms: flags.backend_ms,
        });
        let handler = move |request| answer(Arc::clone(&flags), request);
        // The flags do not change, so each process may have its own.
        Ok::<_, Infallible>(EachProcess(turnstile::async_service(handler)))
    })
}
