//! HAR 1.2, the archive that a browser's network panel saves.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::entry::{Entry, is_kept, method, target};
use crate::time;

#[derive(Deserialize)]
struct Archive {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HarEntry {
    started_date_time: String,
    #[serde(default)]
    time: Option<f64>,
    request: HarRequest,
    #[serde(default)]
    response: HarResponse,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HarRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Pair>,
    #[serde(default)]
    post_data: Option<PostData>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct HarResponse {
    status: i64,
    body_size: i64,
    content: Content,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Content {
    size: i64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PostData {
    text: String,
    encoding: String,
    params: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    #[serde(default)]
    value: String,
}

/// The entries of an archive, each a request or the reason why it is none.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<Result<Entry>>> {
    let archive: Archive =
        serde_json::from_slice(text).context("it is JSON, but no HAR with log.entries")?;
    Ok(archive.log.entries.into_iter().map(entry).collect())
}

fn entry(value: Value) -> Result<Entry> {
    let har: HarEntry = serde_json::from_value(value).context("it is no entry of a HAR")?;
    let (time_unix_ns, whole_second) = time::rfc3339(&har.started_date_time)?;
    let (path, host) = target(&har.request.url)?;
    if host.is_none() {
        bail!("its URL is not http:// or https://");
    }
    let headers = har.request.headers.into_iter();
    let headers = headers.filter(|pair| is_kept(&pair.name, &pair.value));
    // A size of -1 is not known; a status of 0 is no reply.
    let size = match har.response.content.size {
        0 => har.response.body_size,
        size => size,
    };
    Ok(Entry {
        time_unix_ns,
        whole_second,
        method: method(&har.request.method)?,
        path,
        host,
        status: u16::try_from(har.response.status)
            .ok()
            .filter(|status| (100..=999).contains(status)),
        bytes: u64::try_from(size).ok(),
        duration: har
            .time
            .map(|ms| ms / 1e3)
            .and_then(time::seconds)
            .filter(|&took| took > Duration::ZERO),
        headers: headers.map(|pair| (pair.name, pair.value)).collect(),
        body: har
            .request
            .post_data
            .map(body)
            .transpose()?
            .unwrap_or_default(),
    })
}

fn body(post: PostData) -> Result<Vec<u8>> {
    if post.encoding.eq_ignore_ascii_case("base64") {
        return STANDARD.decode(post.text).context("its body is no base64");
    }
    if !post.text.is_empty() || post.params.is_empty() {
        return Ok(post.text.into_bytes());
    }
    // The parameters of a form, as the HAR holds them: encoded already or not.
    let pairs = post
        .params
        .iter()
        .map(|pair| format!("{}={}", encoded(&pair.name), encoded(&pair.value)));
    Ok(pairs.collect::<Vec<_>>().join("&").into_bytes())
}

/// The text as a part of a form: what is not plain becomes `%HH`; what is encoded stays.
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~%+".contains(&b);
    text.bytes()
        .map(|b| match plain(b) {
            true => char::from(b).to_string(),
            false => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_keeps_what_can_be_sent_again() {
        let text = r#"{"log": {"version": "1.2", "entries": [
            {"startedDateTime": "2026-11-25T10:00:00.123Z", "time": 12.5,
             "request": {"method": "POST", "url": "https://Shop.test/cart?x=1#top",
               "headers": [{"name": ":authority", "value": "shop.test"}, {"name": "Host", "value": "shop.test"},
                           {"name": "Content-Length", "value": "3"}, {"name": "Accept", "value": "*/*"}],
               "postData": {"mimeType": "text/plain", "text": "abc"}},
             "response": {"status": 201, "bodySize": -1, "content": {"size": 17}}},
            {"startedDateTime": "2026-11-25T10:00:01.000Z",
             "request": {"method": "POST", "url": "http://shop.test/form",
               "postData": {"params": [{"name": "a b", "value": "c&d"}, {"name": "e"}]}}},
            {"startedDateTime": "2026-11-25T10:00:01.000Z",
             "request": {"method": "GET", "url": "data:image/png;base64,xx"}},
            5
        ]}}"#;
        let entries = parse(text.as_bytes()).unwrap();
        let first = entries[0].as_ref().unwrap();
        assert_eq!(first.path, "/cart?x=1");
        assert_eq!(first.host.as_deref(), Some("shop.test"));
        assert_eq!(first.headers, [("Accept".to_owned(), "*/*".to_owned())]);
        assert_eq!((first.status, first.bytes), (Some(201), Some(17)));
        assert_eq!(first.duration, Some(Duration::from_micros(12_500)));
        assert_eq!(first.body, b"abc");
        assert!(!first.whole_second);
        assert_eq!(entries[1].as_ref().unwrap().body, b"a%20b=c%26d&e=");
        assert!(entries[2].is_err() && entries[3].is_err());
        assert!(parse(b"{\"log\": {}}").is_err());
    }
}
