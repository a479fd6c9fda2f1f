//! The `Date` of responses, rendered once a second.

use std::time::{Duration, Instant, SystemTime};

/// The head of every response up to and including `Date`, but for its status line.
///
/// proto has no clock: the monotonic `now` of each turn is compared with the moment the rendered
/// second ends, and a wall clock is asked for by the function its driver gave it only then.
#[derive(Debug)]
pub(crate) struct Date {
    rendered: [u8; 29],
    expires: Option<Instant>,
}

impl Date {
    pub(crate) fn new() -> Date {
        Date {
            rendered: [b' '; 29],
            expires: None,
        }
    }

    /// The IMF-fixdate (RFC 9110 section 5.6.7) of `now`.
    pub(crate) fn at(&mut self, now: Instant, wall: impl Fn() -> SystemTime) -> &[u8; 29] {
        if self.expires.is_none_or(|expires| now >= expires) {
            self.render(now, wall());
        }
        &self.rendered
    }

    #[cold]
    fn render(&mut self, now: Instant, wall: SystemTime) {
        let since = wall
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let text = httpdate::fmt_http_date(wall);
        // httpdate always writes the 29 bytes of an IMF-fixdate.
        self.rendered.copy_from_slice(&text.as_bytes()[..29]);
        self.expires =
            Some(now + Duration::from_secs(1) - Duration::from_nanos(since.subsec_nanos().into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_rendered_when_the_wall_second_ends_and_not_before() {
        let (mut date, start) = (Date::new(), Instant::now());
        let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_777_250);
        assert_eq!(date.at(start, || wall), b"Sun, 06 Nov 1994 08:49:37 GMT");
        let before = start + Duration::from_millis(749);
        assert_eq!(
            date.at(before, || unreachable!("still the same second")),
            b"Sun, 06 Nov 1994 08:49:37 GMT"
        );
        let after = start + Duration::from_millis(750);
        assert_eq!(
            date.at(after, || wall + Duration::from_millis(750)),
            b"Sun, 06 Nov 1994 08:49:38 GMT"
        );
    }
}
