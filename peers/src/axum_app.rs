//! The routes on axum 0.8.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use bytes::Bytes;
use serde::Serialize;
use tokio::net::TcpListener;

use crate::{BODY_BYTES_MAX, BYTES_MAX, MICROS_MAX, PLAINTEXT, Pattern, burn};

/// The routes.
pub fn router() -> Router {
    Router::new()
        .route("/", get(plaintext))
        .route("/plaintext", get(plaintext))
        .route("/json", get(json))
        .route("/echo", post(echo))
        .route("/bytes/{bytes}", get(bytes))
        .route("/cpu/{micros}", get(cpu))
        .route("/wait/{micros}", get(wait))
        .route("/sleep/{micros}", get(sleep))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        // Makes the handlers now, and not for each request: axum's own server does that, too.
        .with_state(())
}

/// Serves `listener` for ever.
pub async fn serve(listener: TcpListener) {
    let listener = listener.tap_io(|stream| {
        // A socket that takes no option is broken, and its first read will say so.
        let _ = stream.set_nodelay(true);
    });
    // It retries accept by itself and never returns.
    let _ = axum::serve(listener, router()).await;
}

async fn plaintext() -> &'static str {
    PLAINTEXT
}

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

async fn json() -> Json<Message> {
    Json(Message { message: PLAINTEXT })
}

async fn echo(body: Bytes) -> Bytes {
    body
}

async fn bytes(Path(bytes): Path<u64>) -> Response {
    if bytes > BYTES_MAX {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let media = [(CONTENT_TYPE, "application/octet-stream")];
    (media, Body::new(Pattern::new(bytes))).into_response()
}

async fn cpu(Path(micros): Path<u64>) -> Result<&'static str, StatusCode> {
    burn(checked(micros)?);
    Ok("done\n")
}

async fn wait(Path(micros): Path<u64>) -> Result<&'static str, StatusCode> {
    tokio::time::sleep(Duration::from_micros(checked(micros)?)).await;
    Ok("done\n")
}

async fn sleep(Path(micros): Path<u64>) -> Result<&'static str, StatusCode> {
    let time = Duration::from_micros(checked(micros)?);
    let slept = tokio::task::spawn_blocking(move || std::thread::sleep(time)).await;
    slept.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok("done\n")
}

fn checked(micros: u64) -> Result<u64, StatusCode> {
    if micros > MICROS_MAX {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(micros)
}
