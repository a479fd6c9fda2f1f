//! Names and values of queries and forms (`application/x-www-form-urlencoded`, WHATWG URL section 5.1).

use std::borrow::Cow;

use crate::Request;

/// The pairs of a query or a form, in order. What needs no decoding is borrowed.
#[derive(Debug, Clone)]
pub struct Pairs<'a> {
    rest: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// The pairs of an encoded text.
    pub fn of(encoded: &'a [u8]) -> Pairs<'a> {
        Pairs { rest: encoded }
    }

    /// Value of the first pair called `name`.
    pub fn value(mut self, name: &str) -> Option<Cow<'a, str>> {
        self.find_map(|(found, value)| (found == name).then_some(value))
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let (pair, rest) = split(self.rest, b'&');
            self.rest = rest;
            if !pair.is_empty() {
                let (name, value) = split(pair, b'=');
                return Some((decode(name), decode(value)));
            }
        }
        None
    }
}

/// What stands before the first `at`, and what stands behind it.
fn split(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|&byte| byte == at) {
        Some(index) => (&text[..index], &text[index + 1..]),
        None => (text, &[]),
    }
}

/// `+` is a space, and `%` with two digits is a byte; any other `%` is itself. What is not UTF-8 then is
/// replaced by U+FFFD.
fn decode(text: &[u8]) -> Cow<'_, str> {
    if !text.iter().any(|byte| b"+%".contains(byte)) {
        return String::from_utf8_lossy(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'+', _) => (b' ', tail),
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', tail),
            },
            _ => (*first, tail),
        };
        decoded.push(byte);
        rest = tail;
    }
    let text = String::from_utf8(decoded);
    Cow::Owned(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|value| value as u8)
}

impl<'a> Request<'a> {
    /// The pairs of the query. Without a query there are none.
    ///
    /// ```
    /// # fn example(request: &proto::Request<'_>) {
    /// let page: u32 = request
    ///     .query_pairs()
    ///     .value("page")
    ///     .and_then(|page| page.parse().ok())
    ///     .unwrap_or(1);
    /// # }
    /// ```
    pub fn query_pairs(&self) -> Pairs<'a> {
        Pairs::of(self.query.unwrap_or_default().as_bytes())
    }

    /// The pairs of the body, if its type is `application/x-www-form-urlencoded`.
    pub fn form(&self) -> Option<Pairs<'a>> {
        let is_form = self.has_media_type("application/x-www-form-urlencoded");
        is_form.then(|| Pairs::of(self.body))
    }

    /// Whether `Content-Type` names this media type, with whatever parameters.
    pub fn has_media_type(&self, media_type: &str) -> bool {
        self.field("content-type").is_some_and(|value| {
            split(value, b';')
                .0
                .trim_ascii()
                .eq_ignore_ascii_case(media_type.as_bytes())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_as_browsers_encode_them() {
        for (text, pairs) in [
            ("", &[][..]),
            ("a=b", &[("a", "b")]),
            ("a=1&a=2&&b", &[("a", "1"), ("a", "2"), ("b", "")]),
            ("a+b=%41%2b%20+", &[("a b", "A+  ")]),
            ("=x&y=", &[("", "x"), ("y", "")]),
            ("a=b=c", &[("a", "b=c")]),
            ("%=%4&%zz=%e4", &[("%", "%4"), ("%zz", "\u{fffd}")]),
            ("%C3%A4=\u{e4}", &[("\u{e4}", "\u{e4}")]),
        ] {
            let found: Vec<_> = Pairs::of(text.as_bytes()).collect();
            let expected: Vec<_> = pairs
                .iter()
                .map(|(a, b)| ((*a).into(), (*b).into()))
                .collect();
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(Pairs::of(b"a=1&b=2").value("b").as_deref(), Some("2"));
        assert_eq!(Pairs::of(b"a=1").value("b"), None);
    }

    #[test]
    fn what_needs_no_decoding_is_borrowed() {
        let (name, value) = Pairs::of(b"name=value").next().expect("a pair");
        assert!(matches!(
            (name, value),
            (Cow::Borrowed(_), Cow::Borrowed(_))
        ));
    }
}
