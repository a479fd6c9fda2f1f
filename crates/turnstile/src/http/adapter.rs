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
    #[cfg_attr(not(feature = "async"), allow(dead_code))]
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
    /// [`body_bytes_max`](crate::Limits::body_bytes_max) and at most `bytes_max`. The handler begins with
    /// the first piece, and no more than 256 KiB wait for it to poll them.
    ///
    /// Where it has returned a response before the body has come, the rest is dropped, and the connection
    /// ends with the reply. A response whose own body polls that of the request is sent once the request
    /// is complete; up to 64 MiB wait for it in memory.
    ///
    /// On async-tasks the handler is a task of its own meanwhile; workers that hold one connection each
    /// run it whenever a piece has come. In pools a large body is refused with 413, as it is without
    /// this, because their loops receive for all.
    #[cfg(feature = "async")]
    #[must_use]
    pub fn with_large_bodies(mut self, bytes_max: u64) -> Adapter {
        self.large_bytes_max = bytes_max;
        self
    }
}
