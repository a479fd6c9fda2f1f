//! Redirects.

use crate::Response;

impl Response<'_> {
    /// Sends the client to `location`, with a status of 301, 302, 303, 307 or 308 (RFC 9110 section 15.4).
    /// Bytes that a URI cannot have, line ends among them, are percent-encoded.
    ///
    /// # Panics
    /// On another status: a programmer's error.
    pub fn redirect(&mut self, status: u16, location: &str) -> &mut Self {
        assert!(
            matches!(status, 301 | 302 | 303 | 307 | 308),
            "{status} is no redirect"
        );
        let mut encoded = String::with_capacity(location.len());
        for byte in location.bytes() {
            if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                encoded.push('%');
                for digit in [byte >> 4, byte & 15] {
                    encoded.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
                }
            }
        }
        self.status(status).field("Location", &encoded)
    }
}
