//! Which codings of a reply the client takes (RFC 9110 section 12.5.3).

use crate::Request;

impl Request<'_> {
    /// Whether the client has asked for the content coding `coding`, such as `gzip` or `br`: it is listed in
    /// `Accept-Encoding`, or `*` is, with a weight above 0. Without that field, nothing was asked for.
    pub fn accepts_encoding(&self, coding: &str) -> bool {
        let (mut named, mut any) = (None, None);
        let lists = self
            .fields()
            .filter(|(name, _)| name.eq_ignore_ascii_case("accept-encoding"));
        for item in lists.flat_map(|(_, value)| value.split(|&byte| byte == b',')) {
            let mut parts = item.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let wanted = parts.all(|parameter| !is_zero_weight(parameter));
            // `x-gzip` is gzip (RFC 9110 section 8.4.1.3).
            let bare = name.strip_prefix(b"x-").unwrap_or(name);
            if name.eq_ignore_ascii_case(coding.as_bytes())
                || (coding == "gzip" && bare.eq_ignore_ascii_case(b"gzip"))
            {
                named = Some(wanted);
            } else if name == b"*" {
                any = Some(wanted);
            }
        }
        named.or(any).unwrap_or(false)
    }
}

/// `q=0`, `q=0.0`, `q=0.00`, `q=0.000`.
fn is_zero_weight(parameter: &[u8]) -> bool {
    let Some((b'q' | b'Q', weight)) = parameter.split_first() else {
        return false;
    };
    match weight.trim_ascii_start().split_first() {
        Some((b'=', weight)) => {
            let weight = weight.trim_ascii();
            !weight.is_empty() && weight.iter().all(|byte| b"0.".contains(byte))
        }
        _ => false,
    }
}
