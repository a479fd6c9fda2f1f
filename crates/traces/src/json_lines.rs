//! Logs whose lines are JSON objects, under the names that servers and proxies give the fields.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::entry::{Entry, is_kept, method, shortened, target};
use crate::time::{self, Moment};

type Object = Map<String, Value>;

const TIMES: &[&str] = &[
    "time",
    "timestamp",
    "@timestamp",
    "ts",
    "time_iso8601",
    "time_local",
    "msec",
    "start_time",
    "StartUTC",
    "date",
    "datetime",
];
const METHODS: &[&str] = &[
    "method",
    "request_method",
    "http_method",
    "verb",
    "RequestMethod",
];
const PATHS: &[&str] = &[
    "path",
    "uri",
    "request_uri",
    "url",
    "request_path",
    "http_path",
    "RequestPath",
];
const QUERIES: &[&str] = &["query", "query_string", "args"];
const HOSTS: &[&str] = &["host", "http_host", "request_host", "RequestHost"];
const STATUSES: &[&str] = &[
    "status",
    "status_code",
    "http_status",
    "response_code",
    "DownstreamStatus",
    "OriginStatus",
];
const BYTES: &[&str] = &[
    "bytes",
    "size",
    "body_bytes_sent",
    "bytes_sent",
    "response_size",
    "DownstreamContentSize",
];
/// With the nanoseconds that a number stands for.
const DURATIONS: &[(&str, f64)] = &[
    ("duration", 1e9),
    ("request_time", 1e9),
    ("duration_s", 1e9),
    ("duration_ms", 1e6),
    ("latency_ms", 1e6),
    ("response_time_ms", 1e6),
    ("duration_us", 1e3),
    ("duration_ns", 1.0),
    ("Duration", 1.0),
    ("latency", 1e9),
];

/// Reads an object with a time, a method and a path. The request may be an object of its own (Caddy)
/// or a request line (nginx's `$request`).
pub(crate) fn parse(line: &str) -> Result<Entry> {
    read(line, true)
}

/// The same of an object that need not have a time: a request to be sent, and not one that was.
pub(crate) fn parse_untimed(line: &str) -> Result<Entry> {
    read(line, false)
}

fn read(line: &str, timed: bool) -> Result<Entry> {
    let Value::Object(object) = serde_json::from_str(line).context("it is no JSON")? else {
        bail!("it is no JSON object");
    };
    let request = object.get("request").or_else(|| object.get("httpRequest"));
    let (inner, request_line) = match request {
        Some(Value::Object(inner)) => (Some(inner), None),
        Some(Value::String(line)) => (None, Some(line.as_str())),
        _ => (None, None),
    };
    let text = |names: &[&str]| {
        let of = |object: &Object| first(object, names).and_then(as_text);
        inner.and_then(of).or_else(|| of(&object))
    };
    let mut words = request_line.unwrap_or_default().split(' ');
    let (line_method, line_target) = (words.next(), words.next());
    let verb = text(METHODS)
        .or_else(|| line_method.filter(|m| !m.is_empty()).map(str::to_owned))
        .context("it has no method")?;
    let asked = text(PATHS)
        .or_else(|| line_target.map(str::to_owned))
        .context("it has no path")?;
    let (mut path, host) = target(&asked)?;
    if let Some(query) = text(QUERIES).filter(|query| !query.is_empty())
        && !path.contains('?')
    {
        (path, _) = target(&format!("{path}?{}", query.trim_start_matches('?')))?;
    }
    let (time_unix_ns, whole_second) = match first(&object, TIMES) {
        None if !timed => (0, false),
        time => moment(time.context("it has no time")?)?,
    };
    Ok(Entry {
        time_unix_ns,
        whole_second,
        method: method(&verb)?,
        path,
        host: host.or_else(|| text(HOSTS).map(|host| host.to_ascii_lowercase())),
        status: text(STATUSES)
            .and_then(|status| status.parse().ok())
            .filter(|status| (100..=999).contains(status)),
        bytes: text(BYTES).and_then(|bytes| bytes.parse().ok()),
        duration: duration(&object),
        headers: headers(&object)?,
        body: body(&object),
    })
}

/// The fields under `headers`: an object of texts, or of lists of texts.
fn headers(object: &Object) -> Result<Vec<(String, String)>> {
    let Some(Value::Object(fields)) = object.get("headers") else {
        return Ok(Vec::new());
    };
    let mut headers = Vec::new();
    for (name, value) in fields {
        let values = match value {
            Value::Array(values) => values.iter().collect(),
            value => vec![value],
        };
        for value in values {
            let value = as_text(value);
            let value =
                value.with_context(|| format!("its header {} is no text", shortened(name)))?;
            if is_kept(name, &value) {
                headers.push((name.clone(), value));
            }
        }
    }
    Ok(headers)
}

/// The text under `body`, or a value there as JSON.
fn body(object: &Object) -> Vec<u8> {
    match object.get("body") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => text.clone().into_bytes(),
        Some(value) => value.to_string().into_bytes(),
    }
}

fn first<'a>(object: &'a Object, names: &[&str]) -> Option<&'a Value> {
    let named = names.iter().filter_map(|&name| object.get(name));
    named.into_iter().find(|value| !value.is_null())
}

/// A text, or a number as it is written.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn moment(value: &Value) -> Result<Moment> {
    match value {
        Value::Number(number) => time::epoch(&number.to_string()),
        Value::String(text) if text.contains('/') => time::clf(text),
        Value::String(text) if text.contains('-') => time::rfc3339(text),
        Value::String(text) => time::epoch(text),
        other => bail!("{} is no time", shortened(&other.to_string())),
    }
}

/// A number in the unit of its name, or a text with a unit behind the number.
fn duration(object: &Object) -> Option<Duration> {
    let &(name, unit_ns) = DURATIONS
        .iter()
        .find(|(name, _)| object.contains_key(*name))?;
    let text = as_text(&object[name])?;
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let unit_ns = match text[end..].trim() {
        "" => unit_ns,
        "s" => 1e9,
        "ms" => 1e6,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e3,
        "ns" => 1.0,
        _ => return None,
    };
    time::seconds(text[..end].parse::<f64>().ok()? * unit_ns / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_several_servers() {
        let ms = Duration::from_millis;
        for (line, path, took) in [
            (
                r#"{"time_iso8601":"2026-11-25T10:00:00+00:00","request":"GET /a?b=1 HTTP/1.1","status":"200","body_bytes_sent":12,"request_time":"0.005"}"#,
                "/a?b=1",
                Some(ms(5)),
            ),
            (
                r#"{"ts":1764064800.25,"request":{"method":"GET","host":"H","uri":"/c"},"status":200,"size":12,"duration":0.25}"#,
                "/c",
                Some(ms(250)),
            ),
            (
                r#"{"StartUTC":"2026-11-25T10:00:00.5Z","RequestMethod":"GET","RequestPath":"/t","DownstreamStatus":200,"DownstreamContentSize":12,"Duration":7000000}"#,
                "/t",
                Some(ms(7)),
            ),
            (
                r#"{"timestamp":1764064800250,"method":"GET","path":"/q","query":"x=1","status":200,"bytes":12,"latency":"1.5ms"}"#,
                "/q?x=1",
                Some(Duration::from_micros(1500)),
            ),
            (
                r#"{"time":"25/Nov/2026:10:00:00 +0000","method":"GET","url":"http://h/u","status":200,"bytes":12}"#,
                "/u",
                None,
            ),
        ] {
            let entry = parse(line).unwrap();
            assert_eq!((entry.method.as_str(), entry.path.as_str()), ("GET", path));
            assert_eq!((entry.status, entry.bytes), (Some(200), Some(12)), "{line}");
            assert_eq!(entry.duration, took, "{line}");
            assert!(entry.time_unix_ns > 1_764_000_000 * 1_000_000_000, "{line}");
        }
    }

    #[test]
    fn a_request_to_be_sent_has_fields_and_a_body_and_needs_no_time() {
        let line = r#"{"method":"POST","path":"/orders","headers":{"Authorization":"Bearer a","Host":"other","X":["1",2]},"body":{"id":7}}"#;
        let entry = parse_untimed(line).unwrap();
        let fields = entry.headers.iter().map(|(n, v)| format!("{n}: {v}"));
        let fields: Vec<String> = fields.collect();
        assert_eq!(fields, ["Authorization: Bearer a", "X: 1", "X: 2"]);
        assert_eq!(entry.body, br#"{"id":7}"#);
        assert_eq!(entry.time_unix_ns, 0);
        assert!(parse(line).is_err());
        let text = r#"{"method":"PUT","path":"/","body":"a b"}"#;
        assert_eq!(parse_untimed(text).unwrap().body, b"a b");
        let wrong = r#"{"method":"GET","path":"/","headers":{"X":{}}}"#;
        let error = parse_untimed(wrong).unwrap_err().to_string();
        assert!(error.contains("\"X\" is no text"), "{error}");
    }

    #[test]
    fn what_is_no_request_is_refused_with_a_reason() {
        for (line, reason) in [
            ("", "no JSON"),
            ("[1]", "no JSON object"),
            ("{}", "no method"),
            (r#"{"method":"GET"}"#, "no path"),
            (r#"{"method":"GET","path":"/"}"#, "no time"),
            (r#"{"method":"GET","path":"/","time":true}"#, "no time"),
            (r#"{"method":"GET","path":"x","time":1}"#, "no path"),
            (r#"{"method":"G T","path":"/","time":1}"#, "no method"),
        ] {
            let error = format!("{:#}", parse(line).unwrap_err());
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}
