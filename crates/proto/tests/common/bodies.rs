//! Requests with bodies.

pub fn with_length(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}").into()
}

pub fn in_chunks(path: &str, chunks: &[&str]) -> Vec<u8> {
    let mut text = format!("POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in chunks {
        text += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
    }
    (text + "0\r\n\r\n").into()
}

/// A body.
pub const FIFTY: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN";
