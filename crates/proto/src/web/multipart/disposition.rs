//! The head of a part: `Content-Disposition` and `Content-Type`, and their parameters.

use super::{FormError, FormLimits, FormPart};

/// The part with this head, which ends with its empty line.
///
/// # Errors
/// It is malformed, or has a name that is too long.
pub(super) fn part_of(head: &[u8], limits: &FormLimits) -> Result<FormPart, FormError> {
    let head = str::from_utf8(head).map_err(|_| FormError::Malformed)?;
    let (mut disposition, mut content_type) = (None, None);
    for line in head.split("\r\n").filter(|line| !line.is_empty()) {
        if line.contains(['\r', '\n', '\0']) {
            return Err(FormError::Malformed);
        }
        // A line that begins with a blank would go on with the one before, which forms do not do.
        let (name, value) = line.split_once(':').ok_or(FormError::Malformed)?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(FormError::Malformed);
        }
        let value = value.trim_matches([' ', '\t']);
        let earlier = match () {
            () if name.eq_ignore_ascii_case("content-disposition") => disposition.replace(value),
            () if name.eq_ignore_ascii_case("content-type") => content_type.replace(value),
            () if name.eq_ignore_ascii_case("content-transfer-encoding") => {
                let plain = ["7bit", "8bit", "binary"];
                if !plain.iter().any(|plain| value.eq_ignore_ascii_case(plain)) {
                    return Err(FormError::Encoded);
                }
                None
            }
            () => None, // RFC 7578 section 4.8: others are ignored.
        };
        if earlier.is_some() {
            return Err(FormError::Malformed);
        }
    }
    let disposition = disposition.ok_or(FormError::Malformed)?;
    let kind = disposition.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("form-data") {
        return Err(FormError::Malformed);
    }
    let text = |name| -> Result<Option<String>, FormError> {
        let Some(value) = parameter(disposition.as_bytes(), name)? else {
            return Ok(None);
        };
        let value = unescape(&value);
        if value.len() > limits.name_bytes_max {
            return Err(FormError::TooLong);
        }
        let value = String::from_utf8(value).map_err(|_| FormError::Malformed)?;
        Ok(Some(value))
    };
    Ok(FormPart {
        name: text("name")?.ok_or(FormError::Malformed)?,
        file_name: text("filename")?,
        content_type: content_type.map(str::to_owned),
    })
}

/// Value of the parameter called `name` behind the first `;` of `field`, without quotes around it. A `"` and
/// a `\` behind a `\` are themselves; other backslashes, as some clients write them in the names of
/// files, stay.
///
/// # Errors
/// The parameters are malformed, or one of this name is there twice.
pub(super) fn parameter(field: &[u8], name: &str) -> Result<Option<Vec<u8>>, FormError> {
    let mut found = None;
    let start = field.iter().position(|byte| *byte == b';');
    let mut rest = start.map_or(&b""[..], |start| &field[start + 1..]);
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Ok(found);
        }
        if let [b';', after @ ..] = rest {
            rest = after;
            continue;
        }
        let equals = rest.iter().position(|byte| b"=;\"".contains(byte));
        let Some((at, b'=')) = equals.map(|at| (at, rest[at])) else {
            return Err(FormError::Malformed);
        };
        let key = rest[..at].trim_ascii();
        let value;
        (value, rest) = value_of(rest[at + 1..].trim_ascii_start())?;
        if key.eq_ignore_ascii_case(name.as_bytes()) && found.replace(value).is_some() {
            return Err(FormError::Malformed);
        }
    }
}

/// The value at the front of `text`, and what follows.
fn value_of(text: &[u8]) -> Result<(Vec<u8>, &[u8]), FormError> {
    let [b'"', quoted @ ..] = text else {
        let end = text.iter().position(|byte| *byte == b';');
        let (value, rest) = text.split_at(end.unwrap_or(text.len()));
        let value = value.trim_ascii();
        if value.is_empty() || value.contains(&b'"') {
            return Err(FormError::Malformed);
        }
        return Ok((value.to_vec(), rest));
    };
    let (mut value, mut rest) = (Vec::new(), quoted);
    loop {
        let (byte, after) = match rest {
            [] => return Err(FormError::Malformed),
            [b'"', after @ ..] => {
                let after = after.trim_ascii_start();
                return match after.first() {
                    None | Some(b';') => Ok((value, after)),
                    Some(_) => Err(FormError::Malformed),
                };
            }
            [b'\\', byte @ (b'"' | b'\\'), after @ ..] => (byte, after),
            [byte, after @ ..] => (byte, after),
        };
        value.push(*byte);
        rest = after;
    }
}

/// Undoes what browsers do to a name that has a quote or a line end (WHATWG HTML section 4.10.21.8).
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [first, after @ ..] = rest {
        let (byte, after) = match rest {
            [b'%', b'2', b'2', after @ ..] => (b'"', after),
            [b'%', b'0', b'D' | b'd', after @ ..] => (b'\r', after),
            [b'%', b'0', b'A' | b'a', after @ ..] => (b'\n', after),
            _ => (*first, after),
        };
        plain.push(byte);
        rest = after;
    }
    plain
}
