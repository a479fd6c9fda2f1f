//! A router of axum, unchanged, on every model that can wait.
//!
//! ```text
//! cargo run -p axum_app -- --model async-tasks
//! cargo run -p axum_app -- --model prefork
//! curl localhost:8080/hello/you
//! curl localhost:8080/sum -H 'Content-Type: application/json' -d '[1, 2, 3]'
//! ```
//!
//! On async-tasks each request is awaited in the task of its connection, as under axum's own server. On
//! models of processes and threads the worker waits for it. A single reactor refuses it at the start.

use std::convert::Infallible;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use turnstile::EachProcess;

fn router() -> Router {
    Router::new()
        .route("/", get(async || "hello\n"))
        .route(
            "/hello/{name}",
            get(async |Path(name): Path<String>| format!("hello, {name}\n")),
        )
        .route("/old", get(async || Redirect::permanent("/")))
        .route("/search", get(search))
        .route("/sum", post(sum))
        .route("/echo", post(async |body: Bytes| body))
        .route("/large", get(async || vec![b'x'; 300_000]))
        .route("/lines", get(lines))
        .route("/nothing", get(async || StatusCode::NO_CONTENT))
        // Makes the handlers here, and not for each request, as axum's own server does.
        .with_state(())
}

#[derive(Deserialize)]
struct Search {
    q: String,
}

async fn search(Query(search): Query<Search>) -> String {
    format!("nothing was found for {}\n", search.q)
}

#[derive(Serialize)]
struct Sum {
    sum: i64,
}

async fn sum(Json(numbers): Json<Vec<i32>>) -> Json<Sum> {
    Json(Sum {
        sum: numbers.iter().copied().map(i64::from).sum(),
    })
}

/// A body whose length is not known when it begins.
async fn lines() -> Response {
    ([(CONTENT_TYPE, "text/plain")], Body::new(Lines(0))).into_response()
}

struct Lines(u32);

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        self.0 += 1;
        let frame = http_body::Frame::data(Bytes::from(format!("line {}\n", self.0)));
        Poll::Ready((self.0 <= 3).then_some(Ok(frame)))
    }
}

fn main() -> ExitCode {
    // The router changes nothing, so each process may have its own.
    let service = |_: &()| Ok::<_, Infallible>(EachProcess(turnstile::tower_service(router())));
    turnstile::main_on_any(service)
}
