//! The reply of `face-native` by an async function of `http` types.

use turnstile::http::Body;

async fn reply(_: http::Request<Body>) -> http::Response<String> {
    let mut response = http::Response::new(String::from(r#"{"message":"Hello, World!"}"#));
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

fn main() -> std::process::ExitCode {
    turnstile::main_on_any(|_: &()| Ok::<_, String>(turnstile::async_service(reply)))
}
