//! Fields as they pass a hop.

use std::io;

use proto::{Request, Response};

use super::errors::nonsense;

/// Fields that hold for one hop only (RFC 9110 section 7.6.1), and those that the session writes itself.
const OF_A_HOP: [&str; 12] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "proxy-authenticate",
    "proxy-authorization",
    "date",
    "server",
];

/// Whether a field ends at this hop, by its name or because `Connection` names it.
pub fn ends_here(name: &str, connection: &str) -> bool {
    OF_A_HOP.iter().any(|own| own.eq_ignore_ascii_case(name)) || lists(connection, name)
}

/// Whether a list with commas has this element.
pub fn lists(list: &str, element: &str) -> bool {
    let mut all = list.split(',');
    all.any(|each| each.trim().eq_ignore_ascii_case(element))
}

/// The values of all fields of this name.
pub fn values<'r>(request: &'r Request<'_>, name: &str) -> impl Iterator<Item = &'r [u8]> {
    let fields = request.fields();
    fields.filter_map(move |(field, value)| field.eq_ignore_ascii_case(name).then_some(value))
}

/// Adds the fields of the back end, all or none.
///
/// # Errors
/// One of them would corrupt the head.
pub fn pass_fields(response: &mut Response<'_>, fields: &[(&str, &[u8])]) -> io::Result<()> {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let mut texts = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let value = str::from_utf8(value.trim_ascii());
        let value = value.map_err(|_| nonsense("a field that is no text"))?;
        let clean = !value
            .bytes()
            .any(|byte| byte.is_ascii_control() && byte != b'\t');
        if name.is_empty() || !name.bytes().all(named) || !clean {
            return Err(nonsense("a malformed field"));
        }
        texts.push((name, value));
    }
    for (name, value) in texts {
        response.field(name, value);
    }
    Ok(())
}

/// `Content-Length` as a number.
///
/// # Errors
/// It is none.
pub fn length(value: &[u8]) -> io::Result<u64> {
    let text = str::from_utf8(value.trim_ascii()).unwrap_or_default();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| nonsense("a malformed Content-Length"))
}
