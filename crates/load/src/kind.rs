//! The kinds of request of a mix.

use std::str::FromStr;

use anyhow::{Context, Error, Result, bail, ensure};
use schema::load::BodyCheck;
use serde::{Deserialize, Serialize};

/// Most kinds of request in a mix.
pub const KINDS_MAX: usize = 1000;

/// Largest weight of a kind.
const WEIGHT_MAX: u32 = 1_000_000;

/// One kind of request of a mix.
///
/// ```
/// let kind: load::Kind = "9:GET:/kv/{n:1000}".parse().unwrap();
/// assert_eq!((kind.weight, kind.method.as_str()), (9, "GET"));
/// assert!("GET:/".parse::<load::Kind>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// How often it is drawn, relative to the others.
    pub weight: u32,
    /// Request method.
    pub method: String,
    /// Request target; `{n:K}` in it is replaced by a number below K, drawn for every request.
    pub path: String,
}

impl Kind {
    /// The bound of the number in the path, if there is one.
    fn bound(&self) -> Option<u32> {
        let (_, bound, _) = split(&self.path).ok()??;
        Some(bound)
    }

    /// The path with that number in it.
    pub(crate) fn path_with(&self, number: u32) -> String {
        match split(&self.path) {
            Ok(Some((before, _, after))) => format!("{before}{number}{after}"),
            _ => self.path.clone(),
        }
    }

    /// How much of the replies is compared: by default every byte, but nothing of a body that
    /// depends on a number in the path.
    pub(crate) fn body_check(&self, asked: Option<BodyCheck>) -> BodyCheck {
        asked.unwrap_or(match self.bound() {
            Some(_) => BodyCheck::None,
            None => BodyCheck::Exact,
        })
    }

    pub(crate) fn check(&self) -> Result<()> {
        ensure!(
            (1..=WEIGHT_MAX).contains(&self.weight),
            "the weight of a request must be 1 to {WEIGHT_MAX}"
        );
        ensure!(
            is_token(&self.method),
            "method {:?} is not a token",
            self.method
        );
        ensure!(
            self.path.starts_with('/') && self.path.bytes().all(|b| b.is_ascii_graphic()),
            "path {:?} must begin with / and contain neither spaces nor characters outside ASCII",
            self.path
        );
        split(&self.path).map(drop)
    }
}

impl FromStr for Kind {
    type Err = Error;

    /// Reads `WEIGHT:METHOD:PATH`.
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.splitn(3, ':');
        let (Some(weight), Some(method), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            bail!("request {text:?} is not WEIGHT:METHOD:PATH");
        };
        let kind = Self {
            weight: weight
                .parse()
                .with_context(|| format!("{weight:?} is not a weight"))?,
            method: method.to_owned(),
            path: path.to_owned(),
        };
        kind.check()?;
        Ok(kind)
    }
}

/// The path before `{n:K}`, K, and the path behind it.
pub(crate) fn split(path: &str) -> Result<Option<(&str, u32, &str)>> {
    let Some((before, rest)) = path.split_once('{') else {
        ensure!(!path.contains('}'), "path {path:?} has a }} without a {{");
        return Ok(None);
    };
    let parts = rest
        .strip_prefix("n:")
        .and_then(|rest| rest.split_once('}'))
        .and_then(|(bound, after)| Some((bound.parse::<u32>().ok()?, after)))
        .filter(|&(bound, after)| bound > 0 && !after.contains(['{', '}']));
    let (bound, after) = parts.with_context(|| {
        format!(
            "path {path:?} may contain one {{n:K}}, K from 1 to {}",
            u32::MAX
        )
    })?;
    Ok(Some((before, bound, after)))
}

/// Whether a text is a token of RFC 9110 section 5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_kinds_are_refused_in_one_line() {
        for text in [
            "",
            "1",
            "1:GET",
            "0:GET:/",
            "x:GET:/",
            "1:G T:/",
            "1:GET:x",
            "1:GET:/{n:0}",
            "1:GET:/{n}",
            "1:GET:/{n:3",
            "1:GET:/}",
            "1:GET:/{n:2}{n:2}",
            "1:GET:/a b",
        ] {
            let error = text.parse::<Kind>().unwrap_err();
            assert!(!format!("{error:#}").contains('\n'), "{text}");
        }
    }
}
