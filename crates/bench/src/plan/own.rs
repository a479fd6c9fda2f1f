//! What a user asks of every row in place of the table: requests, header fields, connections, lengths.

use std::time::Duration;

use schema::duration;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::plan::scenario::Scenario;

/// Most connections of a scenario.
const CONNECTIONS_MAX: u32 = 100_000;
/// The longest window.
const LENGTH_MAX_S: f64 = 3_600.0;

/// What is asked in place of the table; nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Own {
    /// Requests, `WEIGHT:METHOD:PATH`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<String>,
    /// Header fields of every request, `NAME: VALUE`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// Connections of every scenario.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// The length of every window, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_s: Option<f64>,
}

impl Own {
    /// Refuses what cannot be sent.
    pub fn checked(self) -> Result<Self, Failure> {
        let usage = |flag: &str, text: &str, form: &str| {
            Err(Failure::usage(format!("{flag} '{text}': {form}")))
        };
        if let Some(text) = self.requests.iter().find(|text| kind(text).is_none()) {
            return usage("--request", text, "it is not WEIGHT:METHOD:PATH");
        }
        if let Some(line) = self.headers.iter().find(|line| !is_field(line)) {
            return usage("--header", line, "it is not NAME: VALUE");
        }
        let counts = 1..=CONNECTIONS_MAX;
        if let Some(n) = self.connections.filter(|n| !counts.contains(n)) {
            let form = format!("1 to {CONNECTIONS_MAX}");
            return usage("--connections", &n.to_string(), &form);
        }
        if let Some(s) = self
            .window_s
            .filter(|&s| !(0.05..=LENGTH_MAX_S).contains(&s))
        {
            return usage("--duration", &format!("{s}s"), "50ms to 1h");
        }
        Ok(self)
    }

    /// `scenario` with this in place of its own.
    pub fn of(&self, scenario: &'static Scenario) -> Result<&'static Scenario, Failure> {
        if *self == Self::default() {
            return Ok(scenario);
        }
        let mut made = *match &self.requests[..] {
            [] => scenario,
            requests => replaced(scenario, requests)
                .map_err(|why| Failure::usage(format!("--request: {why}")))?,
        };
        let headers = self.headers.iter().map(|line| leaked(line));
        made.headers = Vec::leak(headers.collect());
        made.connections = self.connections.unwrap_or(made.connections);
        made.window = self.window_s.map(Duration::from_secs_f64);
        Ok(Box::leak(Box::new(made)))
    }
}

/// The scenario with other requests: a path where they are all alike, or a mix.
fn replaced(scenario: &'static Scenario, requests: &[String]) -> Result<&'static Scenario, String> {
    let kinds = requests.iter().filter_map(|text| kind(text));
    let kinds: Vec<(&str, &str)> = kinds.collect();
    let (_, first) = kinds[0];
    let asking = scenario.asking_for(first)?;
    if matches!(kinds[..], [("GET", path)] if !path.contains('{')) {
        return Ok(asking);
    }
    let list: Vec<String> = kinds
        .iter()
        .map(|(method, path)| format!("{method} {path}"))
        .collect();
    let purpose = format!(
        "{} Every row is asked for {}.",
        scenario.purpose,
        list.join(", ")
    );
    Ok(Box::leak(Box::new(Scenario {
        mix: Vec::leak(requests.iter().map(|text| leaked(text)).collect()),
        purpose: leaked(&purpose),
        own: true,
        ..*asking
    })))
}

fn leaked(text: &str) -> &'static str {
    String::leak(text.to_owned())
}

/// Method and path of a kind of request.
fn kind(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.splitn(3, ':');
    let weight: u32 = parts.next()?.parse().ok()?;
    let (method, path) = (parts.next()?, parts.next()?);
    let good = weight > 0
        && !method.is_empty()
        && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
        && path.starts_with('/')
        && path.bytes().all(|b| b.is_ascii_graphic());
    good.then_some((method, path))
}

fn is_field(line: &str) -> bool {
    let name = line.split_once(':').map_or("", |(name, _)| name);
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token) && !line.contains(char::is_control)
}

/// A length of time as it is written on the command line: `2s`, `500ms`, `1m`.
pub fn seconds(text: &str) -> Result<f64, String> {
    duration::parse(text).map(|length| length.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::scenarios::SCENARIOS;

    fn scenario(name: &str) -> &'static Scenario {
        let found = SCENARIOS.iter().find(|s| s.name == name);
        found.expect("a scenario of the table")
    }

    fn texts(of: &[&str]) -> Vec<String> {
        of.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn what_is_asked_takes_the_place_of_the_table() {
        let tiny = scenario("tiny-keepalive");
        let nothing = Own::default().of(tiny).expect("nothing");
        assert!(std::ptr::eq(nothing, tiny));
        let own = Own {
            requests: texts(&["1:GET:/orders?a=b"]),
            headers: texts(&["Accept: text/html"]),
            connections: Some(8),
            window_s: Some(1.5),
        };
        let own = own.checked().expect("good").of(tiny).expect("one path");
        assert_eq!((own.path, own.mix.len()), ("/orders?a=b", 0));
        assert_eq!(
            (own.connections, own.headers),
            (8, &["Accept: text/html"][..])
        );
        assert_eq!(own.window, Some(Duration::from_millis(1_500)));
        assert!(own.own && !own.is_generic() && own.purpose.contains("/orders"));
    }

    #[test]
    fn several_requests_are_a_mix() {
        let own = Own {
            requests: texts(&["9:GET:/a/{n:50}", "1:POST:/b"]),
            ..Own::default()
        };
        let made = own.of(scenario("churn")).expect("one path before");
        assert_eq!(made.requests(), [("GET", "/a/{n:50}"), ("POST", "/b")]);
        assert!(made.purpose.ends_with("asked for GET /a/{n:50}, POST /b."));
        assert!(own.of(scenario("bimodal")).is_err());
        assert!(own.of(scenario("sqlite")).is_err());
    }

    #[test]
    fn what_cannot_be_sent_is_one_line() {
        let own = Own::default;
        for (own, says) in [
            (
                Own {
                    requests: texts(&["/x"]),
                    ..own()
                },
                "--request '/x'",
            ),
            (
                Own {
                    requests: texts(&["0:GET:/"]),
                    ..own()
                },
                "WEIGHT",
            ),
            (
                Own {
                    requests: texts(&["1:get:/"]),
                    ..own()
                },
                "WEIGHT",
            ),
            (
                Own {
                    requests: texts(&["1:GET:x"]),
                    ..own()
                },
                "WEIGHT",
            ),
            (
                Own {
                    headers: texts(&["x"]),
                    ..own()
                },
                "--header 'x'",
            ),
            (
                Own {
                    headers: texts(&["a: b\r\nc: d"]),
                    ..own()
                },
                "NAME",
            ),
            (
                Own {
                    connections: Some(0),
                    ..own()
                },
                "--connections '0'",
            ),
            (
                Own {
                    window_s: Some(0.0),
                    ..own()
                },
                "--duration '0s'",
            ),
            (
                Own {
                    window_s: Some(f64::NAN),
                    ..own()
                },
                "--duration",
            ),
        ] {
            let failure = own.checked().expect_err(says);
            assert_eq!(failure.code(), 2);
            assert!(failure.to_string().contains(says), "{failure}");
        }
        for (text, s) in [("2s", 2.0), ("250ms", 0.25), ("1m", 60.0), ("3", 3.0)] {
            assert_eq!(seconds(text), Ok(s));
        }
        for text in ["", "s", "2x", "-1s", "1.2.3s"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
