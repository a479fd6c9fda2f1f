//! The beginning of every response, with its `Date`, rendered once per second.

use std::time::{Duration, Instant, SystemTime};

/// `HTTP/1.1 200 OK`, `Server` and `Date`, ready to be copied.
///
/// proto has no clock. It compares the monotonic time of each turn with the end of the rendered second,
/// and only after that calls the driver's function for the time of day.
#[derive(Debug)]
pub(crate) struct Date {
    rendered: [u8; OK.len()],
    expires: Option<Instant>,
}

const OK: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: turnstile\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
/// Where `Server` begins.
const SERVER: usize = b"HTTP/1.1 200 OK\r\n".len();
/// Where the value of `Date` begins, and its length (RFC 9110 section 5.6.7: IMF-fixdate).
const VALUE: usize = OK.len() - VALUE_BYTES - 2;
const VALUE_BYTES: usize = 29;

impl Date {
    pub(crate) fn new() -> Date {
        let mut rendered = [0; OK.len()];
        rendered.copy_from_slice(OK);
        Date {
            rendered,
            expires: None,
        }
    }

    /// The beginning of a response with status 200 at `now`.
    #[inline]
    pub(crate) fn ok(&mut self, now: Instant, wall: impl Fn() -> SystemTime) -> &[u8; OK.len()] {
        if !self.is_current(now) {
            self.render(now, wall());
        }
        &self.rendered
    }

    /// Whether the rendered date is that of `now`.
    #[inline]
    pub(crate) fn is_current(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| now < expires)
    }

    /// `Server` and `Date` alone, for any other status.
    pub(crate) fn fields(&mut self, now: Instant, wall: impl Fn() -> SystemTime) -> &[u8] {
        &self.ok(now, wall)[SERVER..]
    }

    #[cold]
    fn render(&mut self, now: Instant, wall: SystemTime) {
        let since = wall
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let text = httpdate::fmt_http_date(wall);
        self.rendered[VALUE..VALUE + VALUE_BYTES].copy_from_slice(&text.as_bytes()[..VALUE_BYTES]);
        self.expires =
            Some(now + Duration::from_secs(1) - Duration::from_nanos(since.subsec_nanos().into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_rendered_at_the_end_of_a_second_and_not_before() {
        let (mut date, start) = (Date::new(), Instant::now());
        let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_778_250);
        assert!(
            date.ok(start, || wall)
                .ends_with(b"\r\nDate: Sun, 06 Nov 1994 08:49:38 GMT\r\n")
        );
        let before = start + Duration::from_millis(749);
        assert!(
            date.ok(before, || unreachable!("still the same second"))
                .ends_with(b":38 GMT\r\n")
        );
        let after = start + Duration::from_millis(750);
        assert!(
            date.fields(after, || wall + Duration::from_millis(750))
                .ends_with(b":39 GMT\r\n")
        );
        assert!(
            date.fields(after, || wall)
                .starts_with(b"Server: turnstile\r\nDate: Sun")
        );
    }
}
