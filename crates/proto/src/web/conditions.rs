//! Validators and preconditions (RFC 9110 sections 8.8 and 13), for every resource that has a validator.

use std::fmt;
use std::time::SystemTime;

use crate::{Method, Request, Response};

/// What tells one version of a resource from another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// A text that every other version has otherwise.
    pub etag: Option<ETag>,
    /// When this version was made. Fractions of a second are ignored.
    pub modified: Option<SystemTime>,
}

/// An entity tag: strong, or weak if another version that means the same may have it, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag {
    opaque: String,
    weak: bool,
}

impl ETag {
    /// A strong tag: two versions with it are the same, byte for byte.
    ///
    /// # Panics
    /// On text that a tag cannot have (RFC 9110 section 8.8.3): a programmer's error.
    pub fn strong(opaque: impl Into<String>) -> ETag {
        let opaque = opaque.into();
        let valid = |byte: u8| byte == 0x21 || (0x23..=0x7e).contains(&byte);
        assert!(opaque.bytes().all(valid), "an entity tag of {opaque:?}");
        ETag {
            opaque,
            weak: false,
        }
    }

    /// A weak tag.
    ///
    /// # Panics
    /// As [`strong`](ETag::strong).
    pub fn weak(opaque: impl Into<String>) -> ETag {
        ETag {
            weak: true,
            ..ETag::strong(opaque)
        }
    }

    fn is(&self, other: Tag<'_>, comparison: Comparison) -> bool {
        let strong = !self.weak && !other.weak;
        self.opaque.as_bytes() == other.opaque && (strong || comparison == Comparison::Weak)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weak = if self.weak { "W/" } else { "" };
        write!(f, "{weak}\"{}\"", self.opaque)
    }
}

/// How tags are compared (RFC 9110 section 8.8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// What a request's preconditions come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The method is carried out.
    Met,
    /// The client has this version: 304, without a body.
    NotModified,
    /// The method is not carried out: 412.
    Failed,
}

impl Request<'_> {
    /// Evaluates all preconditions of the request, in the order of RFC 9110 section 13.2.2, against the
    /// current version of the resource; `None`: there is none. To be called before a method is carried out
    /// that would otherwise succeed. Fields that are malformed are treated so that nothing is lost: tags
    /// match nothing, and dates are ignored.
    pub fn condition(&self, current: Option<&Validators>) -> Condition {
        let is_get = matches!(self.method, Method::Get | Method::Head);
        let modified = || current.and_then(|current| current.modified).map(seconds);
        if let Some(matches) = self.any_tag("if-match", current, Comparison::Strong) {
            if !matches {
                return Condition::Failed;
            }
        } else if let (Some(since), Some(modified)) = (self.date("if-unmodified-since"), modified())
            && modified > since
        {
            return Condition::Failed;
        }
        if let Some(matches) = self.any_tag("if-none-match", current, Comparison::Weak) {
            return match (matches, is_get) {
                (false, _) => Condition::Met,
                (true, true) => Condition::NotModified,
                (true, false) => Condition::Failed,
            };
        }
        match (self.date("if-modified-since"), modified()) {
            (Some(since), Some(modified)) if is_get && modified <= since => Condition::NotModified,
            _ => Condition::Met,
        }
    }

    /// Whether a range may be sent of the current version: `If-Range` is absent, or names this very version
    /// (RFC 9110 section 13.1.5).
    pub(crate) fn may_have_range(&self, current: &Validators) -> bool {
        let Some(value) = self.only_field("if-range") else {
            return self.field("if-range").is_none();
        };
        if let Some((tag, b"")) = tag(value) {
            let own = current.etag.as_ref();
            return own.is_some_and(|own| own.is(tag, Comparison::Strong));
        }
        // A date is a strong validator only if the version is old enough not to have been changed twice
        // within its second (RFC 9110 section 8.8.2.2). Nothing here knows that, so it must be equal, and a
        // resource that has a tag wants the tag.
        let modified = current.modified.map(seconds);
        current.etag.is_none() && modified.is_some() && date(value) == modified
    }

    /// Whether the field, a list of tags or `*`, matches the current version. `None`: it is absent.
    fn any_tag(
        &self,
        name: &str,
        current: Option<&Validators>,
        comparison: Comparison,
    ) -> Option<bool> {
        let mut present = None;
        let lines = self
            .fields()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name));
        for (_, value) in lines {
            let own = current.and_then(|current| current.etag.as_ref());
            let matches = match value {
                b"*" => current.is_some(),
                list => own.is_some_and(|own| tags(list).any(|tag| own.is(tag, comparison))),
            };
            *present.get_or_insert(false) |= matches;
        }
        present
    }

    /// The value of a field of which there is exactly one line.
    fn only_field(&self, name: &str) -> Option<&[u8]> {
        let mut lines = self
            .fields()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name));
        let value = lines.next()?.1;
        lines.next().is_none().then_some(value)
    }

    /// The date in a field, seconds since 1970. Two lines are no date.
    fn date(&self, name: &str) -> Option<u64> {
        date(self.only_field(name)?)
    }
}

fn date(value: &[u8]) -> Option<u64> {
    let parsed = httpdate::parse_http_date(str::from_utf8(value).ok()?);
    parsed.ok().map(seconds)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// A tag as it was received.
#[derive(Debug, Clone, Copy)]
struct Tag<'a> {
    opaque: &'a [u8],
    weak: bool,
}

/// The tag at the front of `text`, and what follows it.
fn tag(text: &[u8]) -> Option<(Tag<'_>, &[u8])> {
    let (weak, text) = match text.strip_prefix(b"W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let text = text.strip_prefix(b"\"")?;
    let end = text.iter().position(|&byte| byte == b'"')?;
    let opaque = &text[..end];
    Some((Tag { opaque, weak }, &text[end + 1..]))
}

/// The tags of a list, up to the first thing that is none.
fn tags(mut rest: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    std::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', tail @ ..] = rest {
            rest = tail;
        }
        let (found, after) = tag(rest)?;
        let after = after.trim_ascii_start();
        rest = match after {
            [] | [b',', ..] => after,
            _ => return None,
        };
        Some(found)
    })
}

impl Response<'_> {
    /// Adds `ETag` and `Last-Modified`.
    pub fn validators(&mut self, validators: &Validators) -> &mut Self {
        if let Some(etag) = &validators.etag {
            self.field("ETag", &etag.to_string());
        }
        if let Some(modified) = validators.modified {
            self.field("Last-Modified", &httpdate::fmt_http_date(modified));
        }
        self
    }

    /// Answers a request whose precondition is not met, with 304 or 412. True: it was met, and nothing is
    /// answered yet.
    pub fn is_met(&mut self, condition: Condition, current: Option<&Validators>) -> bool {
        match condition {
            Condition::Met => return true,
            Condition::NotModified => {
                self.status(304).content_type("");
                if let Some(current) = current {
                    self.validators(current);
                }
            }
            Condition::Failed => {
                self.status(412)
                    .content_type("text/plain")
                    .static_body(b"The precondition does not hold.\n");
            }
        }
        false
    }
}
