//! Server-sent events (WHATWG HTML section 9.2): a reply that goes on as long as both sides live.

use std::io;
use std::time::{Duration, Instant};

use crate::{Piece, Pull, Request, Response};

/// After so long without an event, a comment is sent, so that a client that has gone is noticed, and
/// proxies do not take the connection for dead.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// The events of one piece of the reply.
#[derive(Debug)]
pub struct Events<'a, 'p> {
    piece: &'a mut Piece<'p>,
}

impl Events<'_, '_> {
    /// Sends an event of this name, empty for `message`. Each line of `data` is a line of the event.
    ///
    /// # Panics
    /// On a name with a line end in it: a programmer's error.
    pub fn send(&mut self, name: &str, data: &str) {
        self.write(None, name, data);
    }

    /// The same with an id, which the browser sends in `Last-Event-ID` when it connects again.
    ///
    /// # Panics
    /// On a name or an id with a line end in it: a programmer's error.
    pub fn send_with_id(&mut self, id: &str, name: &str, data: &str) {
        self.write(Some(id), name, data);
    }

    fn write(&mut self, id: Option<&str>, name: &str, data: &str) {
        let fields = [("id", id.unwrap_or_default()), ("event", name)];
        for (field, value) in fields {
            assert!(!value.contains(['\r', '\n', '\0']), "{field} {value:?}");
            if !value.is_empty() {
                self.line(field, value);
            }
        }
        // All three line ends of the format end a line here, so that data cannot pass for fields.
        let data = data.replace("\r\n", "\n").replace('\r', "\n");
        for line in data.split('\n') {
            self.line("data", line);
        }
        self.piece.push(b"\n");
    }

    fn line(&mut self, field: &str, value: &str) {
        for part in [field, ": ", value, "\n"] {
            self.piece.push(part.as_bytes());
        }
    }

    /// Has the browser wait so long before it connects again.
    pub fn retry(&mut self, pause: Duration) {
        let pause = pause.as_millis();
        self.piece.push(format!("retry: {pause}\n\n").as_bytes());
    }

    /// The time, read once per wake-up.
    pub fn now(&self) -> Instant {
        self.piece.now()
    }
}

impl Response<'_> {
    /// Streams server-sent events. `source` is asked for those that are new, and says when to ask again. In
    /// a drain the reply ends without asking, and the browser connects again, to another server.
    pub fn events<F>(&mut self, mut source: F) -> &mut Self
    where
        F: FnMut(&mut Events<'_, '_>) -> io::Result<Pull> + Send + 'static,
    {
        let mut spoke: Option<Instant> = None;
        self.content_type("text/event-stream")
            .field("Cache-Control", "no-store")
            .stream(move |piece: &mut Piece<'_>| {
                if piece.is_draining() {
                    return Ok(Pull::End);
                }
                let pull = source(&mut Events { piece })?;
                let now = piece.now();
                let silent = now.duration_since(*spoke.get_or_insert(now)) >= SILENCE_MAX;
                if piece.buffer().is_empty() && silent {
                    piece.push(b":\n\n");
                }
                if !piece.buffer().is_empty() {
                    spoke = Some(now);
                }
                Ok(pull)
            })
    }
}

impl<'a> Request<'a> {
    /// The id of the last event that a browser got before it lost the connection.
    pub fn last_event_id(&self) -> Option<&'a str> {
        str::from_utf8(self.field("last-event-id")?).ok()
    }
}
