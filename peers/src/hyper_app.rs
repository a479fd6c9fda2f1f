//! The routes on hyper 1.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::runtime::accept;
use crate::{BODY_BYTES_MAX, BYTES_MAX, MICROS_MAX, PLAINTEXT, Pattern, burn};

type Reply = Response<Either<Full<Bytes>, Pattern>>;

/// Serves `listener` for ever.
pub async fn serve(listener: TcpListener) {
    loop {
        let stream = accept(&listener).await;
        tokio::spawn(async move {
            // Replies to pipelined requests go out together, as the library offers.
            let mut builder = http1::Builder::new();
            let connection = builder
                .pipeline_flush(true)
                .serve_connection(TokioIo::new(stream), service_fn(answer));
            // A peer's error ends its connection.
            let _ = connection.await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Reply, Infallible> {
    let get = request.method() == Method::GET || request.method() == Method::HEAD;
    let path = request.uri().path();
    Ok(match path {
        "/" | "/plaintext" if get => whole("text/plain", PLAINTEXT),
        "/json" if get => whole("application/json", r#"{"message":"Hello, World!"}"#),
        "/echo" if request.method() == Method::POST => echo(request).await,
        _ if get => numbered(path).await,
        _ => status(StatusCode::NOT_FOUND),
    })
}

async fn numbered(path: &str) -> Reply {
    let parts = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    let Some((route, Ok(number))) = parts.map(|(route, text)| (route, text.parse::<u64>())) else {
        return status(StatusCode::NOT_FOUND);
    };
    match route {
        "bytes" if number <= BYTES_MAX => with_type(
            "application/octet-stream",
            Either::Right(Pattern::new(number)),
        ),
        "cpu" | "wait" | "sleep" if number <= MICROS_MAX => {
            take(route, number).await;
            whole("text/plain", "done\n")
        }
        "bytes" | "cpu" | "wait" | "sleep" => status(StatusCode::BAD_REQUEST),
        _ => status(StatusCode::NOT_FOUND),
    }
}

/// Takes `micros` µs in the way of the route: blocking calls go where the runtime wants them.
async fn take(route: &str, micros: u64) {
    let time = Duration::from_micros(micros);
    match route {
        "cpu" => burn(micros),
        "wait" => tokio::time::sleep(time).await,
        _ => {
            let slept = tokio::task::spawn_blocking(move || std::thread::sleep(time)).await;
            slept.expect("sleeping does not panic");
        }
    }
}

async fn echo(request: Request<Incoming>) -> Reply {
    match Limited::new(request.into_body(), BODY_BYTES_MAX)
        .collect()
        .await
    {
        Ok(body) => with_type(
            "application/octet-stream",
            Either::Left(Full::new(body.to_bytes())),
        ),
        Err(_) => status(StatusCode::PAYLOAD_TOO_LARGE),
    }
}

fn whole(media: &'static str, text: &'static str) -> Reply {
    with_type(media, Either::Left(Full::from(text)))
}

fn with_type(media: &'static str, body: Either<Full<Bytes>, Pattern>) -> Reply {
    let mut reply = Response::new(body);
    let media = hyper::header::HeaderValue::from_static(media);
    reply.headers_mut().insert(CONTENT_TYPE, media);
    reply
}

fn status(code: StatusCode) -> Reply {
    let mut reply = Response::new(Either::Left(Full::default()));
    *reply.status_mut() = code;
    reply
}
