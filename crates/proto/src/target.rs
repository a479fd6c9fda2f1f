//! Request targets and `Host` (RFC 9112 section 3.2, RFC 3986).

/// The parts of a request target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub path: &'a str,
    pub query: Option<&'a str>,
}

/// Splits `target` into its parts. `None`: `method` cannot have a target of that form.
pub(crate) fn parse<'a>(
    method: &str,
    target: &'a str,
    host_bytes_max: usize,
) -> Option<Target<'a>> {
    if !target
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        return None;
    }
    match target.as_bytes() {
        _ if method == "CONNECT" => {
            is_host(target.as_bytes(), host_bytes_max).then(|| split(target))
        }
        [b'/', ..] => Some(split(target)),
        b"*" => (method == "OPTIONS").then_some(Target {
            path: "*",
            query: None,
        }),
        _ => absolute(method, target, host_bytes_max),
    }
}

/// `http://authority/path?query`, the form that proxies get.
#[cold]
fn absolute<'a>(method: &str, target: &'a str, host_bytes_max: usize) -> Option<Target<'a>> {
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.is_empty()
        || authority.starts_with(':')
        || !is_host(authority.as_bytes(), host_bytes_max)
    {
        return None;
    }
    match path {
        "" if method == "OPTIONS" => Some(Target {
            path: "*",
            query: None,
        }),
        "" => Some(Target {
            path: "/",
            query: None,
        }),
        _ if path.starts_with('?') => Some(Target {
            path: "/",
            query: Some(&path[1..]),
        }),
        _ => Some(split(path)),
    }
}

fn split(target: &str) -> Target<'_> {
    match target.bytes().position(|byte| byte == b'?') {
        Some(at) => Target {
            path: &target[..at],
            query: Some(&target[at + 1..]),
        },
        None => Target {
            path: target,
            query: None,
        },
    }
}

/// Whether `value` is a valid `Host`: `uri-host [":" port]` (RFC 9110 section 7.2). It may be empty.
#[inline]
pub(crate) fn is_host(value: &[u8], bytes_max: usize) -> bool {
    let name = value.iter().position(|&byte| !is_name_byte(byte));
    let (_, port) = value.split_at(name.unwrap_or(value.len()));
    value.len() <= bytes_max && (is_port(port) || is_unusual_host(value))
}

/// Nothing, or `":" port`.
fn is_port(port: &[u8]) -> bool {
    match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// A host with percent-encoded bytes, or in brackets.
#[inline(never)]
fn is_unusual_host(value: &[u8]) -> bool {
    let port = match value {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|&byte| byte == b']') else {
                return false;
            };
            let literal = &rest[..end];
            let is_address = std::str::from_utf8(literal)
                .is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
            if !is_address && !is_future_address(literal) {
                return false;
            }
            &rest[end + 1..]
        }
        _ => {
            let end = value
                .iter()
                .position(|&byte| byte == b':')
                .unwrap_or(value.len());
            if !is_registered_name(&value[..end]) {
                return false;
            }
            &value[end..]
        }
    };
    is_port(port)
}

/// `IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`.
fn is_future_address(literal: &[u8]) -> bool {
    let [b'v' | b'V', rest @ ..] = literal else {
        return false;
    };
    let Some(dot) = rest.iter().position(|&byte| byte == b'.') else {
        return false;
    };
    let (version, address) = (&rest[..dot], &rest[dot + 1..]);
    !version.is_empty()
        && version.iter().all(u8::is_ascii_hexdigit)
        && !address.is_empty()
        && address
            .iter()
            .all(|&byte| byte == b':' || is_name_byte(byte))
}

/// `reg-name = *( unreserved / pct-encoded / sub-delims )`.
fn is_registered_name(name: &[u8]) -> bool {
    name.iter().all(|&byte| is_name_byte(byte)) || is_encoded_name(name)
}

/// The same with percent-encoded bytes, which are rare.
#[cold]
fn is_encoded_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [a, b, tail @ ..]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => tail,
            (&byte, tail) if is_name_byte(byte) => tail,
            _ => return false,
        };
    }
    true
}

fn is_name_byte(byte: u8) -> bool {
    NAME_BYTES[usize::from(byte)]
}

/// `unreserved` and `sub-delims`. A table, since a host is checked in every request.
static NAME_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128u8 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._~!$&'()*+,;=";
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in [
            "",
            "localhost",
            "example.com:80",
            "example.com:",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:80",
            "[v1.a:b]",
            "a%20b",
            "a_b~",
        ] {
            assert!(is_host(good.as_bytes(), 255), "{good:?}");
        }
        for bad in [
            "a b", "a/b", "a@b", "a:b", "a:123456", "[::1", "::1", "[::g]", "[v.a]", "[]", "a%2",
            "a%zz", "a:80:80", "a\u{e9}", "a,b c", "a\"b", "[::1]x",
        ] {
            assert!(!is_host(bad.as_bytes(), 255), "{bad:?}");
        }
        assert!(!is_host(&[b'a'; 256], 255));
    }

    #[test]
    fn targets() {
        let parse =
            |method, target| parse(method, target, 255).map(|target| (target.path, target.query));
        assert_eq!(parse("GET", "/a?b?c"), Some(("/a", Some("b?c"))));
        assert_eq!(parse("GET", "http://h/a?b"), Some(("/a", Some("b"))));
        assert_eq!(parse("GET", "HTTP://h:80"), Some(("/", None)));
        assert_eq!(parse("GET", "http://h?q"), Some(("/", Some("q"))));
        assert_eq!(parse("OPTIONS", "*"), Some(("*", None)));
        assert_eq!(parse("OPTIONS", "http://h"), Some(("*", None)));
        assert_eq!(parse("CONNECT", "h:443"), Some(("h:443", None)));
        for (method, bad) in [
            ("GET", "*"),
            ("GET", "a"),
            ("GET", ""),
            ("GET", "ftp://h/"),
            ("GET", "http:///a"),
            ("GET", "http://u@h/"),
            ("GET", "/a#b"),
            ("GET", "/\u{e9}"),
            ("CONNECT", "/"),
        ] {
            assert_eq!(parse(method, bad), None, "{method} {bad:?}");
        }
    }
}
