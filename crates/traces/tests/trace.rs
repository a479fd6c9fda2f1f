//! Whole files: formats told apart, broken lines counted, and any bytes at all.
#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

use std::io::{Read, Write};

use proptest::prelude::*;
use traces::{Entry, Format, LINE_BYTES_MAX, Trace};

const COMMON: &str = "h - - [10/Oct/2000:13:55:36 -0700] \"GET /a HTTP/1.1\" 200 2\n";
const JSON: &str = "{\"time\":971211336,\"method\":\"GET\",\"path\":\"/a\",\"status\":200}\n";
const HAR: &str = "{\"log\":{\"entries\":[{\"startedDateTime\":\"2000-10-10T20:55:36Z\",\
                   \"request\":{\"method\":\"GET\",\"url\":\"http://h/a\"}}, 7]}}";

fn read(input: &[u8]) -> anyhow::Result<(Format, Vec<Entry>, u64)> {
    let mut trace = Trace::new(input)?;
    let entries = trace.by_ref().collect::<anyhow::Result<Vec<_>>>()?;
    assert_eq!(trace.read(), entries.len() as u64);
    Ok((trace.format(), entries, trace.broken().count))
}

#[test]
fn formats_are_told_apart_and_broken_lines_counted() {
    let long = "x".repeat(LINE_BYTES_MAX as usize + 5);
    for (text, format, count, broken) in [
        (COMMON.repeat(3), Format::Common, 3, 0),
        (
            format!("\u{feff}\n{COMMON}\r\n \nno\n{COMMON}"),
            Format::Common,
            2,
            1,
        ),
        (format!("{COMMON}{long}\n{COMMON}"), Format::Common, 2, 1),
        (format!("first line\n{COMMON}"), Format::Common, 1, 1),
        (JSON.repeat(2), Format::JsonLines, 2, 0),
        (format!("{JSON}{{\n{JSON}{{}}\n"), Format::JsonLines, 2, 2),
        (HAR.to_owned(), Format::Har, 1, 1),
        (
            HAR.replace("{\"log\"", "{\n \"log\"").replace("[{", "[\n{"),
            Format::Har,
            1,
            1,
        ),
    ] {
        let found = read(text.as_bytes()).unwrap();
        assert_eq!((found.0, found.1.len(), found.2), (format, count, broken));
        for entry in &found.1 {
            assert_eq!((entry.method.as_str(), entry.path.as_str()), ("GET", "/a"));
            assert_eq!(entry.time_unix_ns, 971_211_336_000_000_000);
        }
        // Packed, and in pieces of one byte, it is the same.
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        assert_eq!(read(&packed.finish().unwrap()).unwrap(), found);
        if text.len() < 10_000 {
            let mut trace = Trace::new(Trickle(text.as_bytes())).unwrap();
            let entries: Vec<_> = trace.by_ref().map(Result::unwrap).collect();
            assert_eq!((trace.format(), entries), (found.0, found.1));
        }
    }
}

/// Gives one byte at a time.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(1);
        self.0.read(&mut buffer[..n])
    }
}

#[test]
fn the_first_broken_line_is_named() {
    let text = format!("{COMMON}\nno\n{COMMON}neither\n");
    let mut trace = Trace::new(text.as_bytes()).unwrap();
    assert_eq!(trace.by_ref().count(), 2);
    let (line, why) = trace.broken().first.clone().unwrap();
    assert_eq!((line, trace.broken().count), (3, 2));
    assert!(why.contains("no time"), "{why}");
}

#[test]
fn a_file_without_a_request_is_one_line() {
    for text in [
        &b""[..],
        b"\n\n",
        b"a\nb\n",
        b"{}",
        b"{\"log\":{}}",
        b"{\"log\":{\"entries\":[]}}",
    ]
    .into_iter()
    .chain([&b"\x1f\x8bjunk"[..], b"\xff\xfe\n"])
    {
        let error = format!("{:#}", Trace::new(text).map(drop).unwrap_err());
        assert!(!error.contains('\n'), "{error}");
    }
    let error = Trace::open("/nowhere/at/all".as_ref())
        .map(drop)
        .unwrap_err();
    assert!(format!("{error:#}").contains("/nowhere/at/all"));
}

/// Bytes that look like a trace, damaged here and there.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(COMMON.as_bytes().to_vec()),
        Just(JSON.as_bytes().to_vec()),
        Just(HAR.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    let damage = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (proptest::collection::vec(part, 1..6), damage).prop_map(|(parts, damage)| {
        let mut bytes = parts.concat();
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        bytes
    })
}

proptest! {
    /// Whatever the bytes: nothing panics, and what is read can be sent.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in nearly()) {
        if let Ok((_, entries, _)) = read(&bytes) {
            for entry in entries {
                prop_assert!(entry.path.starts_with('/'));
                prop_assert!(entry.path.bytes().all(|b| b.is_ascii_graphic()));
                prop_assert!(!entry.method.is_empty() && entry.method.is_ascii());
                for (name, value) in entry.headers {
                    prop_assert!(!name.contains([':', ' ', '\r', '\n']));
                    prop_assert!(!value.contains(['\r', '\n', '\0']));
                }
            }
        }
    }

    /// Every line counts once: as a request or as broken.
    #[test]
    fn lines_are_requests_or_broken(whole in 1..20usize, broken in 0..20usize) {
        let text = COMMON.repeat(whole) + &"?\n".repeat(broken);
        let (_, entries, count) = read(text.as_bytes()).unwrap();
        prop_assert_eq!((entries.len(), count), (whole, broken as u64));
    }
}
