//! What the faces of `http` do beside the usual.

/// How requests become [`http::Request`]s, for services that want more of them than the functions of the
/// same names give.
///
/// ```no_run
/// use turnstile::Peer;
/// use turnstile::http::{Adapter, Body};
///
/// fn who(request: http::Request<Body>) -> http::Response<String> {
///     let peer = request.extensions().get::<Peer>();
///     http::Response::new(peer.map_or_else(String::new, Peer::to_string))
/// }
///
/// fn main() -> std::process::ExitCode {
///     let service = Adapter::new().with_peer().http_service(who);
///     turnstile::main_owned(&turnstile::models::prefork::MODEL, service)
/// }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Adapter {
    pub(crate) peer: bool,
    pub(crate) place: bool,
    pub(crate) large_bytes_max: u64,
}

impl Adapter {
    /// Nothing beside the usual.
    pub fn new() -> Adapter {
        Adapter::default()
    }

    /// Puts the [`Peer`](server::Peer) into the extensions of each request. The kernel is asked for it once
    /// per connection.
    #[must_use]
    pub fn with_peer(mut self) -> Adapter {
        self.peer = true;
        self
    }

    /// Puts the [`Place`](server::Place) where a request is served into its extensions.
    #[must_use]
    pub fn with_place(mut self) -> Adapter {
        self.place = true;
        self
    }

    /// Gives the handler a request's body in pieces, as they come, if it is larger than
    /// [`body_bytes_max`](crate::Limits::body_bytes_max) and at most `bytes_max`. A smaller one is in memory as
    /// a whole, as it is without this. The handler begins before the body is complete.
    ///
    /// # Without `async`
    /// Reading or polling the [`Body`](super::Body) waits for the client, in every model whose handlers may wait.
    /// The client has [`body_ms`](crate::Limits::body_ms) for each
    /// [`input_bytes`](crate::Limits::input_bytes); if it does not keep to that, or breaks off, reading is an error,
    /// and what the handler then returns is not sent: the client is told 408, or nothing. Where a loop calls
    /// the handler, the server says at the start that it refuses large bodies with 413.
    ///
    /// ```no_run
    /// use std::io::Read;
    /// use turnstile::http::{Adapter, Body};
    ///
    /// /// Counts the lines of a file of any size, with 8 KiB of it in memory.
    /// fn lines(request: http::Request<Body>) -> http::Response<String> {
    ///     let (mut body, mut buffer, mut lines) = (request.into_body(), [0; 8 << 10], 0);
    ///     loop {
    ///         match body.read(&mut buffer) {
    ///             Ok(0) => return http::Response::new(format!("{lines}\n")),
    ///             Ok(bytes) => lines += buffer[..bytes].iter().filter(|byte| **byte == b'\n').count(),
    ///             Err(error) => {
    ///                 let mut response = http::Response::new(format!("{error}\n"));
    ///                 *response.status_mut() = http::StatusCode::BAD_REQUEST;
    ///                 return response;
    ///             }
    ///         }
    ///     }
    /// }
    ///
    /// fn main() -> std::process::ExitCode {
    ///     let service = Adapter::new().with_large_bodies(1 << 30).http_service(lines);
    ///     turnstile::main_owned(&turnstile::models::thread_pool::MODEL, service)
    /// }
    /// ```
    ///
    /// # With `async`
    /// The handler begins with the first piece, and no more than 256 KiB wait for it to poll them. On
    /// async-tasks the handler is a task of its own meanwhile; workers that hold one connection each run it
    /// whenever a piece has come. In pools a large body is refused with 413, as it is without this,
    /// because their loops receive for all.
    ///
    /// # Both
    /// Where it has returned a response before the body has come, the rest is dropped, and the connection
    /// ends with the reply. A response whose own body polls that of the request is sent once the request
    /// is complete; up to 64 MiB wait for it in memory.
    #[must_use]
    pub fn with_large_bodies(mut self, bytes_max: u64) -> Adapter {
        self.large_bytes_max = bytes_max;
        self
    }
}
