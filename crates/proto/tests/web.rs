//! What handlers use: preconditions, ranges, cookies, codings, events.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

mod common;

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime};

use common::{statuses, wall};
use proto::{
    AutoHead, Condition, Cookie, ETag, Events, InvalidCookie, Limits, Method, Place, Protocol,
    Pull, Request, Response, SameSite, Scratch, Service, Session, Turn, Validators, Want,
};

/// The output for this input, with all waits cut short, up to `bytes_max` bytes.
fn answer_up_to(service: &dyn Service, input: &str, bytes_max: usize) -> String {
    let (limits, mut scratch, draining) =
        (Limits::default(), Scratch::new(wall), AtomicU64::new(0));
    let mut turn = Turn {
        now: Instant::now(),
        limits: &limits,
        service,
        scratch: &mut scratch,
        place: &Place::default(),
        draining: &draining,
    };
    let mut session = Session::new(Protocol::Http, &turn);
    session.receive(input.as_bytes(), &mut turn);
    let mut text = Vec::new();
    while text.len() < bytes_max {
        match session.want() {
            Want::Write => {
                let output = session.output(turn.scratch).to_vec();
                session.sent(output.len(), &mut turn);
                text.extend(output);
            }
            Want::Wait => {
                turn.now = session.deadline();
                session.expire(&mut turn);
            }
            _ => break,
        }
    }
    String::from_utf8(text).unwrap()
}

fn answer(service: &dyn Service, input: &str) -> String {
    answer_up_to(service, input, usize::MAX)
}

fn request(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
}

const THEN: u64 = 784_111_777; // Sun, 06 Nov 1994 08:49:37 GMT
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

fn version(etag: Option<ETag>) -> Validators {
    // Fractions do not count.
    let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(THEN * 1_000 + 900);
    Validators {
        etag,
        modified: Some(modified),
    }
}

#[track_caller]
fn condition(method: &str, fields: &str, current: Option<Validators>, expected: Condition) {
    let service = move |request: &Request<'_>, response: &mut Response<'_>| {
        let found = request.condition(current.as_ref());
        response.field("Found", &format!("{found:?}"));
    };
    let text = answer(&service, &request(&format!("{method} /"), fields));
    assert!(
        text.contains(&format!("Found: {expected:?}\r\n")),
        "{method} {fields}: {text}"
    );
}

#[test]
fn preconditions_are_those_of_rfc_9110_section_13() {
    use Condition::{Failed, Met, NotModified};
    let strong = || Some(version(Some(ETag::strong("a"))));
    let weak = || Some(version(Some(ETag::weak("a"))));
    for (method, fields, current, expected) in [
        ("GET", String::new(), strong(), Met),
        // If-Match: strong comparison, `*` for anything that exists.
        ("PUT", "If-Match: \"a\"\r\n".into(), strong(), Met),
        ("PUT", "If-Match: \"b\", \"a\"\r\n".into(), strong(), Met),
        (
            "PUT",
            "If-Match: \"b\"\r\nIf-Match: \"a\"\r\n".into(),
            strong(),
            Met,
        ),
        ("PUT", "If-Match: \"b\"\r\n".into(), strong(), Failed),
        ("PUT", "If-Match: \"a,b\"\r\n".into(), strong(), Failed),
        ("PUT", "If-Match: W/\"a\"\r\n".into(), strong(), Failed),
        ("PUT", "If-Match: \"a\"\r\n".into(), weak(), Failed),
        ("PUT", "If-Match: a\r\n".into(), strong(), Failed),
        ("PUT", "If-Match: *\r\n".into(), strong(), Met),
        ("PUT", "If-Match: *\r\n".into(), None, Failed),
        ("GET", "If-Match: \"b\"\r\n".into(), strong(), Failed),
        // It comes before If-Unmodified-Since, which counts without it only.
        (
            "PUT",
            format!("If-Match: \"a\"\r\nIf-Unmodified-Since: {BEFORE}\r\n"),
            strong(),
            Met,
        ),
        (
            "PUT",
            format!("If-Unmodified-Since: {BEFORE}\r\n"),
            strong(),
            Failed,
        ),
        (
            "PUT",
            format!("If-Unmodified-Since: {DATE}\r\n"),
            strong(),
            Met,
        ),
        ("PUT", "If-Unmodified-Since: then\r\n".into(), strong(), Met),
        (
            "PUT",
            format!("If-Unmodified-Since: {BEFORE}\r\n"),
            None,
            Met,
        ),
        // If-None-Match: weak comparison; 304 for GET and HEAD, else 412.
        (
            "GET",
            "If-None-Match: \"a\"\r\n".into(),
            strong(),
            NotModified,
        ),
        (
            "HEAD",
            "If-None-Match: W/\"a\"\r\n".into(),
            strong(),
            NotModified,
        ),
        (
            "GET",
            "If-None-Match: \"c\" , ,\"a\"\r\n".into(),
            weak(),
            NotModified,
        ),
        ("GET", "If-None-Match: \"b\"\r\n".into(), strong(), Met),
        ("PUT", "If-None-Match: \"a\"\r\n".into(), strong(), Failed),
        ("PUT", "If-None-Match: *\r\n".into(), strong(), Failed),
        ("PUT", "If-None-Match: *\r\n".into(), None, Met),
        ("GET", "If-None-Match: *\r\n".into(), strong(), NotModified),
        // It comes before If-Modified-Since, which counts for GET and HEAD without it only.
        (
            "GET",
            format!("If-None-Match: \"b\"\r\nIf-Modified-Since: {DATE}\r\n"),
            strong(),
            Met,
        ),
        (
            "GET",
            format!("If-Modified-Since: {DATE}\r\n"),
            strong(),
            NotModified,
        ),
        (
            "GET",
            format!("If-Modified-Since: {BEFORE}\r\n"),
            strong(),
            Met,
        ),
        (
            "PUT",
            format!("If-Modified-Since: {DATE}\r\n"),
            strong(),
            Met,
        ),
        (
            "GET",
            format!("If-Modified-Since: {DATE}\r\nIf-Modified-Since: {DATE}\r\n"),
            strong(),
            Met,
        ),
        (
            "GET",
            format!("If-Modified-Since: {DATE}, {DATE}\r\n"),
            strong(),
            Met,
        ),
        (
            "GET",
            format!("If-Modified-Since: {DATE}\r\n"),
            Some(Validators::default()),
            Met,
        ),
    ] {
        condition(method, &fields, current, expected);
    }
}

fn hundred(request: &Request<'_>, response: &mut Response<'_>) {
    let bytes: String = (0..10).map(|_| "0123456789").collect();
    response.content_type("text/plain");
    let version = version(Some(ETag::strong("a")));
    response.content(request, &version, 100, bytes).unwrap();
}

#[test]
fn ranges_are_sent_as_they_were_asked_for() {
    let ask =
        |method: &str, fields: &str| answer(&hundred, &request(&format!("{method} /"), fields));
    for (fields, status, part) in [
        ("", 200, "Content-Length: 100\r\n"),
        (
            "Range: bytes=3-5\r\n",
            206,
            "Content-Range: bytes 3-5/100\r\nContent-Length: 3\r\n\r\n345",
        ),
        (
            "Range: bytes=-2\r\n",
            206,
            "Content-Range: bytes 98-99/100\r\nContent-Length: 2\r\n\r\n89",
        ),
        (
            "Range: bytes=100-\r\n",
            416,
            "Content-Range: bytes */100\r\n",
        ),
        (
            "Range: bytes=0-1\r\nRange: bytes=2-3\r\n",
            200,
            "Content-Length: 100\r\n",
        ),
        ("Range: bytes=3-5\r\nIf-Range: \"a\"\r\n", 206, "345"),
        (
            "Range: bytes=3-5\r\nIf-Range: \"b\"\r\n",
            200,
            "Content-Length: 100\r\n",
        ),
        (
            "Range: bytes=3-5\r\nIf-Range: W/\"a\"\r\n",
            200,
            "Content-Length: 100\r\n",
        ),
        (
            "Range: bytes=100-\r\nIf-Range: \"b\"\r\n",
            200,
            "Content-Length: 100\r\n",
        ),
        (
            "Range: bytes=3-5\r\nIf-None-Match: \"a\"\r\n",
            304,
            "ETag: \"a\"\r\n",
        ),
        ("Range: bytes=3-5\r\nIf-Match: \"b\"\r\n", 412, ""),
    ] {
        let text = ask("GET", fields);
        assert_eq!(statuses(&text), [status], "{fields}: {text}");
        assert!(text.contains(part), "{fields}: {text}");
    }
    let head = ask("HEAD", "Range: bytes=3-5\r\n");
    assert!(
        head.contains("200 OK") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let not_modified = ask("GET", "If-None-Match: \"a\"\r\n");
    assert!(!not_modified.contains("Content-Type"), "{not_modified}");
}

#[test]
fn several_ranges_are_parts() {
    let text = answer(&hundred, &request("GET /", "Range: bytes=3-5, 95-\r\n"));
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let boundary = head
        .split_once("multipart/byteranges; boundary=")
        .unwrap()
        .1;
    let boundary = boundary.split("\r\n").next().unwrap();
    let expected = format!(
        "\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 3-5/100\r\n\r\n345\
         \r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 95-99/100\r\n\r\n56789\
         \r\n--{boundary}--\r\n"
    );
    assert_eq!(body, expected);
    assert!(
        head.contains(&format!("Content-Length: {}\r\n", body.len()))
            || head.ends_with(&format!("Content-Length: {}", body.len()))
    );
    assert!(head.starts_with("HTTP/1.1 206 "));
    let again = answer(&hundred, &request("GET /", "Range: bytes=3-5, 95-\r\n"));
    assert!(!again.contains(boundary), "it cannot be known before");
}

#[test]
fn cookies() {
    let read = |request: &Request<'_>, response: &mut Response<'_>| {
        let all: Vec<_> = request.cookies().collect();
        response.body(format!("{all:?} {:?}", request.cookie("b")).as_bytes());
    };
    let text = answer(
        &read,
        &request("GET /", "Cookie: a=1; b=\"2\"; c\r\nCookie: b=3\r\n"),
    );
    assert!(
        text.ends_with(r#"[("a", "1"), ("b", "2"), ("b", "3")] Some("2")"#),
        "{text}"
    );
    let set = |_: &Request<'_>, response: &mut Response<'_>| {
        response.set_cookie(&Cookie::new("a", "1")).unwrap();
        let cookie = Cookie {
            path: "/x",
            max_age_s: Some(60),
            secure: true,
            http_only: false,
            same_site: SameSite::Strict,
            ..Cookie::new("b", "")
        };
        response.set_cookie(&cookie).unwrap();
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a", "x;y"),
            ("a", "x\r\ny"),
            ("a", "\u{e4}"),
        ] {
            let refused = response.set_cookie(&Cookie::new(name, value));
            assert_eq!(refused.err(), Some(InvalidCookie), "{name} {value}");
        }
    };
    let text = answer(&set, &request("GET /", ""));
    assert!(text.contains(
        "Set-Cookie: a=1; Path=/; HttpOnly; SameSite=Lax\r\n\
         Set-Cookie: b=; Path=/x; Max-Age=60; Secure; SameSite=Strict\r\n"
    ));
}

#[test]
fn codings_that_were_asked_for() {
    let service = |request: &Request<'_>, response: &mut Response<'_>| {
        let found = ["gzip", "br"].map(|coding| request.accepts_encoding(coding));
        response.body(format!("{found:?}").as_bytes());
    };
    for (value, expected) in [
        ("", [false, false]),
        ("Accept-Encoding:\r\n", [false, false]),
        ("Accept-Encoding: gzip\r\n", [true, false]),
        ("Accept-Encoding: GZIP;q=0.5, br\r\n", [true, true]),
        ("Accept-Encoding: x-gzip\r\n", [true, false]),
        (
            "Accept-Encoding: gzip;q=0\r\nAccept-Encoding: *\r\n",
            [false, true],
        ),
        ("Accept-Encoding: *;q=0.000, br ; Q = 1\r\n", [false, true]),
        ("Accept-Encoding: identity, gzipped\r\n", [false, false]),
    ] {
        let text = answer(&service, &request("GET /", value));
        assert!(text.ends_with(&format!("{expected:?}")), "{value}: {text}");
    }
}

#[test]
fn head_is_answered_by_those_who_know_get() {
    let only_get = |request: &Request<'_>, response: &mut Response<'_>| match request.method {
        Method::Get => drop(response.body(b"hello")),
        _ => drop(response.status(405)),
    };
    let service = AutoHead(only_get);
    let text = answer(&service, &request("HEAD /", ""));
    assert!(
        text.contains("200 OK") && text.ends_with("Content-Length: 5\r\n\r\n"),
        "{text}"
    );
    assert!(answer(&service, &request("GET /", "")).ends_with("hello"));
    assert_eq!(statuses(&answer(&service, &request("PUT /", ""))), [405]);
}

#[test]
fn redirects_cannot_be_split() {
    let service = |request: &Request<'_>, response: &mut Response<'_>| {
        let to = request.query_pairs().value("to").unwrap();
        response.redirect(303, &to);
    };
    let text = answer(
        &service,
        &request("GET /?to=/a%20b%0d%0aX:+y%25%C3%A4?c%3Dd", ""),
    );
    assert!(text.starts_with("HTTP/1.1 303 See Other\r\n"));
    assert!(
        text.contains("\r\nLocation: /a%20b%0D%0AX:%20y%%C3%A4?c=d\r\n"),
        "{text}"
    );
}

#[test]
fn forms_are_read_by_their_type() {
    let service = |request: &Request<'_>, response: &mut Response<'_>| {
        let name = request.form().and_then(|form| form.value("name"));
        response.body(format!("{name:?}").as_bytes());
    };
    let ask = |media: &str| {
        let fields = format!("Content-Type: {media}\r\nContent-Length: 10\r\n");
        answer(&service, &(request("POST /", &fields) + "name=a%2Bb"))
    };
    assert!(ask("application/x-www-form-urlencoded; charset=utf-8").ends_with("Some(\"a+b\")"));
    assert!(ask("text/plain").ends_with("None"));
}

#[test]
fn events_have_lines_ids_and_signs_of_life() {
    let service = |_: &Request<'_>, response: &mut Response<'_>| {
        let mut calls = 0;
        response.events(move |events: &mut Events<'_, '_>| {
            calls += 1;
            match calls {
                1 => events.send("", "one\ntwo\r\nevent: x\rthree"),
                2 => events.send_with_id("7", "tick", ""),
                3 => events.retry(Duration::from_secs(2)),
                _ => {}
            }
            Ok(Pull::Later(Duration::from_secs(1)))
        });
    };
    let text = answer_up_to(&service, &request("GET /", ""), 330);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Type: text/event-stream\r\n"));
    assert!(head.contains("Cache-Control: no-store\r\n"));
    let chunks: Vec<_> = body.split("\r\n").skip(1).step_by(2).collect();
    assert_eq!(
        chunks[..4],
        [
            "data: one\ndata: two\ndata: event: x\ndata: three\n\n",
            "id: 7\nevent: tick\ndata: \n\n",
            "retry: 2000\n\n",
            ":\n\n",
        ]
    );
}

#[cfg(feature = "json")]
#[test]
fn json_is_read_and_written() {
    let service =
        |request: &Request<'_>, response: &mut Response<'_>| match request.json::<Vec<&str>>() {
            Ok(texts) => drop(response.json(&texts.len())),
            Err(_) => drop(response.status(400)),
        };
    let ask = |body: &str| {
        let fields = format!("Content-Length: {}\r\n", body.len());
        answer(&service, &(request("POST /", &fields) + body))
    };
    assert!(
        ask(r#"["a","b"]"#)
            .ends_with("Content-Type: application/json\r\nContent-Length: 1\r\n\r\n2")
    );
    assert_eq!(statuses(&ask("[")), [400]);
}

#[cfg(feature = "gzip")]
#[test]
fn bodies_are_compressed_on_request() {
    let service = |request: &Request<'_>, response: &mut Response<'_>| {
        let bytes = if request.path == "/long" { 10_000 } else { 100 };
        response.body(&vec![b'a'; bytes]).gzip(request);
    };
    let ask = |path: &str, fields: &str| {
        let input = request(&format!("HEAD {path}"), fields);
        answer(&service, &input)
    };
    let text = ask("/long", "Accept-Encoding: gzip\r\n");
    assert!(text.contains("Content-Encoding: gzip\r\n"), "{text}");
    let length = text.split_once("Content-Length: ").unwrap().1.trim_end();
    assert!(length.parse::<u32>().unwrap() < 200);
    for (path, fields) in [("/long", ""), ("/short", "Accept-Encoding: gzip\r\n")] {
        let text = ask(path, fields);
        assert!(!text.contains("Content-Encoding"), "{text}");
        assert!(text.contains("Vary: Accept-Encoding\r\n"));
    }
}
