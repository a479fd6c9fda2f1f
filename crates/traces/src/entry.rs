//! One request of a trace, and the count of what is none.

use std::time::Duration;

/// A request that a server received.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// When, nanoseconds since 1970; 0 in a file of requests without times.
    pub time_unix_ns: u64,
    /// The time is given in whole seconds: the request came somewhere within that second.
    pub whole_second: bool,
    /// Request method, a token.
    pub method: String,
    /// Path and query, ASCII without spaces; it begins with `/`.
    pub path: String,
    /// The host that was asked, with its port if it was written, where the trace tells.
    pub host: Option<String>,
    /// Status of the reply.
    pub status: Option<u16>,
    /// Bytes of the reply's body.
    pub bytes: Option<u64>,
    /// How long the server took to answer.
    pub duration: Option<Duration>,
    /// Fields of the request that mean the same on another connection: of a HAR, and of JSON lines
    /// with `headers`.
    pub headers: Vec<(String, String)>,
    /// Body of the request: of a HAR, and of JSON lines with a `body`.
    pub body: Vec<u8>,
}

/// Fields that belong to a connection or to one message, and are made anew for another.
const NOT_KEPT: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a field of a request means the same on another connection, and can be sent.
pub(crate) fn is_kept(name: &str, value: &str) -> bool {
    // Fields of HTTP/2 that begin with a colon are no token.
    is_token(name)
        && !NOT_KEPT
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other))
        && !value.contains(['\r', '\n', '\0'])
}

/// Lines or entries that are no request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Broken {
    /// How many.
    pub count: u64,
    /// The number of the first one, from 1, and what is wrong with it.
    pub first: Option<(u64, String)>,
}

impl Broken {
    pub(crate) fn add(&mut self, number: u64, why: &anyhow::Error) {
        self.count += 1;
        self.first
            .get_or_insert_with(|| (number, format!("{why:#}")));
    }
}

/// The path and query of a request target in origin or absolute form, and the host of the latter.
pub(crate) fn target(text: &str) -> anyhow::Result<(String, Option<String>)> {
    let beyond = |scheme: &str| {
        text.get(..scheme.len())
            .filter(|start| start.eq_ignore_ascii_case(scheme))
            .map(|_| &text[scheme.len()..])
    };
    let (path, host) = match beyond("http://").or_else(|| beyond("https://")) {
        Some(rest) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            // Credentials of a URL are no part of the host.
            let host = authority.rsplit('@').next().unwrap_or_default();
            anyhow::ensure!(!host.is_empty(), "the URL {text:?} has no host");
            (path, Some(host.to_ascii_lowercase()))
        }
        None => (text, None),
    };
    let path = path.split('#').next().unwrap_or_default();
    let path = match path.as_bytes().first() {
        Some(b'/') => path.to_owned(),
        Some(b'?') | None if host.is_some() => format!("/{path}"),
        _ => anyhow::bail!("the target {} is no path", shortened(text)),
    };
    anyhow::ensure!(
        path.bytes().all(|b| b.is_ascii_graphic()),
        "the path {} contains a space or a character outside ASCII",
        shortened(&path)
    );
    Ok((path, host))
}

/// Refuses what is no method.
pub(crate) fn method(text: &str) -> anyhow::Result<String> {
    anyhow::ensure!(is_token(text), "{} is no method", shortened(text));
    Ok(text.to_owned())
}

/// Whether a text is a token of RFC 9110 section 5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(token)
}

/// A text in quotes, short enough for a line on a screen.
pub(crate) fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_become_paths() {
        for (text, path, host) in [
            ("/a?b", "/a?b", None),
            ("http://H:80/a#c", "/a", Some("h:80")),
            ("https://u:p@h?q", "/?q", Some("h")),
            ("HTTP://h", "/", Some("h")),
        ] {
            let found = target(text).unwrap();
            assert_eq!(found, (path.to_owned(), host.map(str::to_owned)), "{text}");
        }
        for text in ["", "*", "host:443", "http:///x", "/a b", "/\u{e9}", "a"] {
            assert!(target(text).is_err(), "{text}");
        }
    }
}
