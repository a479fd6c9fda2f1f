//! httparse and one constant reply, without `Date`: how little a server can do.

const REPLY: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
/// A connection's buffer, and so the longest head.
pub const INPUT_BYTES: usize = 16 << 10;

/// Replies to all whole requests at the front of `input`: how many bytes they took, and whether the
/// last asked to close. `None` for what is malformed, or has a body.
#[inline]
pub fn replies(input: &[u8], output: &mut Vec<u8>) -> Option<(usize, bool)> {
    let mut taken = 0;
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut fields);
        let httparse::Status::Complete(bytes) = request.parse(&input[taken..]).ok()? else {
            return Some((taken, false));
        };
        taken += bytes;
        output.extend_from_slice(match (request.method, request.path) {
            (Some("GET"), Some("/plaintext" | "/")) => REPLY,
            (Some("GET"), _) => NOT_FOUND,
            _ => return None,
        });
        let close = request.headers.iter().any(|field| {
            field.name.eq_ignore_ascii_case("connection")
                && field.value.eq_ignore_ascii_case(b"close")
        });
        if close || taken == input.len() {
            return Some((taken, close));
        }
    }
}
