//! A mix of requests, drawn by weight from the seed.

use std::io::Write;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail, ensure};
use schema::load::BodyCheck;
use schema::random::SplitMix64;
use serde::{Deserialize, Serialize};

use crate::plan::{Plan, is_token};
use crate::random;

/// Most kinds of request in a mix.
pub const KINDS_MAX: usize = 1000;

/// Largest weight of a kind.
const WEIGHT_MAX: u32 = 1_000_000;

/// Keeps the draws of a mix apart from those of the arrivals.
const STREAM: u64 = 0x6D69_785F_6F66_5F72;

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
    /// Request target; `{n:K}` in it becomes a number below K, drawn for every request.
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

    /// How far replies are compared: by default every byte, but nothing of a body that depends on
    /// a number in the path.
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
            "path {:?} must begin with / and hold neither spaces nor characters outside ASCII",
            self.path
        );
        split(&self.path).map(drop)
    }
}

impl FromStr for Kind {
    type Err = Error;

    /// Takes `WEIGHT:METHOD:PATH`.
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
fn split(path: &str) -> Result<Option<(&str, u32, &str)>> {
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
            "path {path:?} may hold one {{n:K}}, K from 1 to {}",
            u32::MAX
        )
    })?;
    Ok(Some((before, bound, after)))
}

/// What was drawn for one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Draw {
    /// Index into the plan's kinds.
    pub(crate) kind: u16,
    /// The number in its path.
    pub(crate) number: u32,
}

/// One thread's draws, and the bytes they stand for.
#[derive(Debug)]
pub(crate) struct Mix {
    random: SplitMix64,
    weights: u32,
    kinds: Vec<Compiled>,
}

/// A kind whose bytes are ready but for the number.
#[derive(Debug)]
struct Compiled {
    /// Sum of the weights up to this one.
    until: u32,
    before: Vec<u8>,
    number: Option<(u32, Vec<u8>)>,
}

impl Mix {
    /// The mix of a thread; `None` when all requests of the plan are alike.
    pub(crate) fn new(plan: &Plan, share: usize) -> Option<Self> {
        let mut weights = 0;
        let compile = |kind: &Kind| {
            weights += kind.weight;
            let parts = split(&kind.path).ok().flatten();
            let (path, number) = match parts {
                // The request's bytes break where those of a path that ends there would.
                Some((before, bound, after)) => (before, Some((bound, after))),
                None => (kind.path.as_str(), None),
            };
            let line = format!("{} {path}", kind.method).into_bytes();
            let rest = |after: &str| {
                let mut bytes = after.as_bytes().to_vec();
                bytes.extend(plan.after_path(&kind.method, plan.new_connection));
                bytes
            };
            Compiled {
                until: weights,
                before: match number {
                    Some(_) => line,
                    None => [line, rest("")].concat(),
                },
                number: number.map(|(bound, after)| (bound, rest(after))),
            }
        };
        let kinds: Vec<Compiled> = plan.requests.iter().map(compile).collect();
        (!kinds.is_empty()).then(|| Self {
            random: random::of_thread(plan.seed ^ STREAM, share),
            weights,
            kinds,
        })
    }

    /// The kind and the number of the next request.
    pub(crate) fn draw(&mut self) -> Draw {
        let at = self.random.below(self.weights);
        let kind = self.kinds.partition_point(|kind| kind.until <= at);
        let number = self.kinds[kind]
            .number
            .as_ref()
            .map_or(0, |&(bound, _)| self.random.below(bound));
        Draw {
            kind: kind as u16,
            number,
        }
    }

    /// Appends the bytes of a drawn request, and returns how many there are.
    pub(crate) fn append(&self, draw: Draw, bytes: &mut Vec<u8>) -> usize {
        let start = bytes.len();
        let kind = &self.kinds[draw.kind as usize];
        bytes.extend_from_slice(&kind.before);
        if let Some((_, after)) = &kind.number {
            write!(bytes, "{}", draw.number).expect("a vector takes all bytes");
            bytes.extend_from_slice(after);
        }
        bytes.len() - start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(requests: &[&str]) -> Plan {
        let mut plan = Plan::new("http://127.0.0.1:1/".parse().unwrap());
        plan.requests = requests.iter().map(|text| text.parse().unwrap()).collect();
        plan.body_bytes = 3;
        plan.check().unwrap();
        plan
    }

    #[test]
    fn draws_keep_the_weights_and_numbers_their_bound() {
        let plan = plan(&["9:GET:/kv/{n:7}?x=1", "1:PUT:/kv/fixed"]);
        let mut mix = Mix::new(&plan, 0).unwrap();
        let (mut gets, mut numbers) = (0, [0; 7]);
        for _ in 0..70_000 {
            let draw = mix.draw();
            if draw.kind == 0 {
                gets += 1;
                numbers[draw.number as usize] += 1;
            }
        }
        assert!((62_300..63_700).contains(&gets), "{gets}");
        assert!(
            numbers.iter().all(|n| (8_500..9_500).contains(n)),
            "{numbers:?}"
        );
    }

    #[test]
    fn a_drawn_request_has_its_number_and_its_body() {
        let plan = plan(&["1:GET:/kv/{n:7}/x", "1:PUT:/kv/fixed"]);
        let mix = Mix::new(&plan, 0).unwrap();
        let mut bytes = Vec::new();
        let n = mix.append(Draw { kind: 0, number: 6 }, &mut bytes);
        assert_eq!(bytes, b"GET /kv/6/x HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n");
        assert_eq!(n, bytes.len());
        bytes.clear();
        mix.append(Draw { kind: 1, number: 0 }, &mut bytes);
        assert_eq!(
            bytes,
            b"PUT /kv/fixed HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: 3\r\n\r\nabc"
        );
    }

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
