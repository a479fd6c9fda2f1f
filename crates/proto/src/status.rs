//! Status codes in words.

/// Appends the status line of a status other than 200.
#[cold]
pub(crate) fn append_line(status: u16, output: &mut Vec<u8>) {
    output.extend_from_slice(b"HTTP/1.1 ");
    output.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    output.push(b' ');
    output.extend_from_slice(phrase(status).as_bytes());
    output.extend_from_slice(b"\r\n");
}

/// Body of an error response: what was wrong, for a person who reads it in a terminal.
pub(crate) fn explanation(status: u16) -> &'static [u8] {
    match status {
        400 => b"The request is malformed, or could be read in two ways.\n",
        408 => b"The request took too long to arrive.\n",
        413 => b"The request body is larger than this server takes.\n",
        414 => b"The request target is longer than this server takes.\n",
        417 => b"This server can only meet the expectation 100-continue.\n",
        431 => b"The request's fields are larger or more than this server takes.\n",
        500 => b"The service failed on this request.\n",
        501 => b"This server does not know that transfer coding.\n",
        505 => b"This server speaks HTTP/1.1 and HTTP/1.0.\n",
        _ => b"The request was refused.\n",
    }
}

/// The reason phrase of RFC 9110 section 15; the phrase may be empty (RFC 9112 section 4).
fn phrase(status: u16) -> &'static str {
    match status {
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}
