//! Forms of `multipart/form-data`: tables of bodies and what is in them, cut anywhere, and almost-forms.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proto::{FormError, FormEvent, FormLimits, FormPart, Multipart};

const BOUNDARY: &str = "xyZ";

/// Small enough for a table to reach.
const LIMITS: FormLimits = FormLimits {
    parts_max: 3,
    head_bytes_max: 120,
    name_bytes_max: 12,
};

/// Each part with its content, and how the form ended.
type Read = (Vec<(FormPart, Vec<u8>)>, Result<(), FormError>);

fn read(limits: FormLimits, pieces: &[&[u8]]) -> Read {
    let mut form = Multipart::new(BOUNDARY.as_bytes(), limits).unwrap();
    let (mut parts, mut open): (Vec<(FormPart, Vec<u8>)>, _) = (Vec::new(), false);
    for mut piece in pieces.iter().copied() {
        loop {
            match form.next(&mut piece) {
                Ok(None) => break,
                Ok(Some(FormEvent::Part(part))) => {
                    assert!(!open, "a part begins within a part");
                    open = true;
                    parts.push((part.clone(), Vec::new()));
                }
                Ok(Some(FormEvent::Data(bytes))) => {
                    assert!(open && !bytes.is_empty());
                    parts.last_mut().unwrap().1.extend(bytes);
                }
                Ok(Some(FormEvent::End)) => {
                    assert!(open, "an end without a part");
                    open = false;
                }
                Err(error) => {
                    assert_eq!(form.next(&mut &b"more"[..]), Err(error));
                    assert_eq!(form.finish(), Err(error));
                    return (parts, Err(error));
                }
            }
        }
        assert!(piece.is_empty(), "a piece is taken whole");
    }
    (parts, form.finish())
}

fn part(name: &str, file_name: Option<&str>, content_type: Option<&str>) -> FormPart {
    FormPart {
        name: name.into(),
        file_name: file_name.map(Into::into),
        content_type: content_type.map(Into::into),
    }
}

/// A form of one part with this head, whose lines end as the text says.
fn with_head(head: &str) -> String {
    format!("--xyZ\r\n{head}\r\n\r\ncontent\r\n--xyZ--\r\n")
}

const A: &str = "Content-Disposition: form-data; name=\"a\"";

/// Bodies, and what each is.
fn table() -> Vec<(String, Read)> {
    let one = |part: FormPart| (vec![(part, b"content".to_vec())], Ok(()));
    let a = || part("a", None, None);
    let refused = |error| (Vec::new(), Err(error));
    let mut table = vec![
        // What browsers send: a field, a file, an empty file.
        (
            format!(
                "--xyZ\r\n{A}\r\n\r\n1\r\n--xyZ\r\nContent-Disposition: form-data; name=\"f\"; \
                 filename=\"p.png\"\r\nContent-Type: image/png\r\n\r\n\r\n--xy\r\n\r\n--xyZ\r\n\
                 Content-Disposition: form-data; name=\"e\"; filename=\"\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n\r\n--xyZ--\r\n"
            ),
            (
                vec![
                    (a(), b"1".to_vec()),
                    (
                        part("f", Some("p.png"), Some("image/png")),
                        b"\r\n--xy\r\n".to_vec(),
                    ),
                    (
                        part("e", Some(""), Some("application/octet-stream")),
                        Vec::new(),
                    ),
                ],
                Ok(()),
            ),
        ),
        ("--xyZ--".into(), (Vec::new(), Ok(()))),
        ("--xyZ--\r\nepilogue --xyZ\r\n".into(), (Vec::new(), Ok(()))),
        // A preamble, and what only looks like a delimiter in it.
        (format!("hello\r\r\n--xy \r\n{}", with_head(A)), one(a())),
        // Blanks behind a delimiter; the second has none of the CR LF that an empty content may leave out.
        (
            format!("--xyZ \t\r\n{A}\r\n\r\n--xyZ  \r\n{A}\r\n\r\n\r\n--xyZ--"),
            (vec![(a(), Vec::new()), (a(), Vec::new())], Ok(())),
        ),
        (
            format!("--xyZ\r\n{A}\r\n\r\n--xy--xyZ\r\r\n--xyZ--"),
            (vec![(a(), b"--xy--xyZ\r".to_vec())], Ok(())),
        ),
        // A delimiter that is longer than itself is malformed, as its part could be read in two ways.
        (
            format!("--xyZ\r\n{A}\r\n\r\n1\r\n--xyZZ\r\n--xyZ--"),
            (vec![(a(), b"1".to_vec())], Err(FormError::Malformed)),
        ),
        (
            format!("--xyZ\r\n{A}\r\n\r\n1\r\n--xyZ-\r\n"),
            (vec![(a(), b"1".to_vec())], Err(FormError::Malformed)),
        ),
        // Cut off.
        (String::new(), refused(FormError::Incomplete)),
        ("--xyZ".into(), refused(FormError::Incomplete)),
        (
            format!("--xyZ\r\n{A}\r\n\r\n1\r\n--xyZ"),
            (vec![(a(), b"1".to_vec())], Err(FormError::Incomplete)),
        ),
        (
            format!("--xyZ\r\n{A}\r\n\r\n1\r\n--xy"),
            (vec![(a(), b"1".to_vec())], Err(FormError::Incomplete)),
        ),
        // Too much.
        (
            format!("{}--xyZ--", format!("--xyZ\r\n{A}\r\n\r\n1\r\n").repeat(4)),
            (vec![(a(), b"1".to_vec()); 3], Err(FormError::TooManyParts)),
        ),
        ("x".repeat(121), refused(FormError::TooLong)),
        (
            format!("--xyZ{}", " ".repeat(121)),
            refused(FormError::TooLong),
        ),
        (
            with_head(&format!("{A}\r\nX: {}", "x".repeat(80))),
            refused(FormError::TooLong),
        ),
        (
            with_head("Content-Disposition: form-data; name=\"a234567890123\""),
            refused(FormError::TooLong),
        ),
    ];
    for (head, wanted) in [
        ("content-disposition:form-data;name=a", Ok(a())),
        (
            "X-Other: 1\r\nContent-Disposition: Form-Data ; NAME = a ;",
            Ok(a()),
        ),
        (
            "Content-Disposition: form-data; name=\"a;b\"; x=\";\"; filename=\"c\\\"d\"",
            Ok(part("a;b", Some("c\"d"), None)),
        ),
        (
            "Content-Disposition: form-data; name=\"%22%0d%0A%\"; filename=\"C:\\d\\\\e\"",
            Ok(part("\"\r\n%", Some("C:\\d\\e"), None)),
        ),
        (
            "Content-Disposition: form-data; name=\"\u{e4}\"; filename*=UTF-8''b",
            Ok(part("\u{e4}", None, None)),
        ),
        (
            "Content-Transfer-Encoding: 8bit\r\nContent-Disposition: form-data; name=a",
            Ok(a()),
        ),
        (
            "Content-Transfer-Encoding: base64\r\nContent-Disposition: form-data; name=a",
            Err(FormError::Encoded),
        ),
        ("Content-Disposition: form-data", Err(FormError::Malformed)),
        (
            "Content-Disposition: form-data; name=",
            Err(FormError::Malformed),
        ),
        (
            "Content-Disposition: form-data; name=\"a",
            Err(FormError::Malformed),
        ),
        (
            "Content-Disposition: form-data; name=\"a\"b",
            Err(FormError::Malformed),
        ),
        (
            "Content-Disposition: form-data; name=a\"b",
            Err(FormError::Malformed),
        ),
        (
            "Content-Disposition: form-data; name",
            Err(FormError::Malformed),
        ),
        (
            "Content-Disposition: form-data; name=a; name=b",
            Err(FormError::Malformed),
        ),
        (
            "Content-Disposition: attachment; name=a",
            Err(FormError::Malformed),
        ),
        ("Content-Type: text/plain", Err(FormError::Malformed)),
        (
            "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b",
            Err(FormError::Malformed),
        ),
        (
            "Content-Disposition: form-data;\r\n name=a",
            Err(FormError::Malformed),
        ),
        ("Content-Disposition form-data", Err(FormError::Malformed)),
        (
            "Content-Disposition: form-data; name=a\nX: y",
            Err(FormError::Malformed),
        ),
        ("", Err(FormError::Malformed)),
    ] {
        let read = wanted.map_or_else(refused, one);
        table.push((with_head(head), read));
    }
    table
}

#[test]
fn forms_are_read_as_the_table_says_however_they_are_cut() {
    for (body, wanted) in table() {
        let body = body.as_bytes();
        let shown = String::from_utf8_lossy(body).into_owned();
        assert_eq!(read(LIMITS, &[body]), wanted, "{shown:?}");
        for at in 0..=body.len() {
            let pieces = [&body[..at], &body[at..]];
            assert_eq!(read(LIMITS, &pieces), wanted, "{shown:?} cut at {at}");
        }
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(read(LIMITS, &bytes), wanted, "{shown:?} byte by byte");
    }
}

#[test]
fn a_name_that_is_no_utf_8_is_malformed() {
    let body = b"--xyZ\r\nContent-Disposition: form-data; name=\"\xe4\"\r\n\r\n1\r\n--xyZ--";
    assert_eq!(read(LIMITS, &[body]).1, Err(FormError::Malformed));
}

#[test]
fn boundaries_that_can_be_none_are_refused() {
    let longest = "b".repeat(70);
    for (boundary, is_one) in [
        ("b", true),
        ("----WebKitFormBoundary7MA4YWxkTrZu0gW", true),
        ("a b", true),
        (&longest, true),
        ("", false),
        ("a ", false),
        ("a\r\nb", false),
        ("\u{e4}", false),
        (&format!("{longest}b"), false),
    ] {
        let form = Multipart::new(boundary.as_bytes(), LIMITS);
        assert_eq!(form.is_some(), is_one, "{boundary:?}");
    }
}

/// Text that is almost a form: pieces of the grammar in any order.
fn almost_forms() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "\r\n",
        "\r",
        "\n",
        "--",
        "-",
        "xyZ",
        "--xyZ",
        "\r\n--xyZ",
        "\r\n--xyZ\r\n",
        "\r\n--xyZ--",
        " ",
        "Content-Disposition: form-data; name=\"a\"",
        "Content-Disposition:",
        "form-data",
        "; name=",
        "\"",
        "\\",
        "; filename=\"f\"",
        "Content-Type: a/b",
        ":",
        ";",
        "\r\n\r\n",
        "x",
        "\u{e4}",
        "\0",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn almost_forms_read_the_same_however_they_are_cut(
        body in almost_forms(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let whole = read(LIMITS, &[&body]);
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        at.sort_unstable();
        let ends = at.iter().copied().chain([body.len()]);
        let starts = [0].into_iter().chain(at.iter().copied());
        let pieces: Vec<&[u8]> = starts.zip(ends).map(|(from, to)| &body[from..to]).collect();
        prop_assert_eq!(read(LIMITS, &pieces), whole);
    }

    #[test]
    fn what_is_written_is_read(
        contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..4),
    ) {
        let delimiter: &[u8] = b"--a boundary that is in no content";
        prop_assume!(contents.iter().all(|content| !content.windows(5).any(|five| five == b"\r\n--a")));
        let mut body = Vec::new();
        for (number, content) in contents.iter().enumerate() {
            body.extend([delimiter, b"\r\nContent-Disposition: form-data; name=\""].concat());
            body.extend(number.to_string().bytes());
            body.extend(b"\"\r\n\r\n");
            body.extend(content);
            body.extend(b"\r\n");
        }
        body.extend([delimiter, b"--"].concat());
        let mut form = Multipart::new(&delimiter[2..], FormLimits::default()).unwrap();
        let (mut rest, mut read) = (&body[..], Vec::new());
        while let Some(event) = form.next(&mut rest).unwrap() {
            match event {
                FormEvent::Part(part) => {
                    prop_assert_eq!(part.name.parse::<usize>().unwrap(), read.len());
                    read.push(Vec::<u8>::new());
                }
                FormEvent::Data(bytes) => read.last_mut().unwrap().extend(bytes),
                FormEvent::End => {}
            }
        }
        form.finish().unwrap();
        prop_assert_eq!(read, contents);
    }
}

mod common;

use common::statuses;
use proto::{Intake, Limits, Protocol, Request, Response, Service, Session, Sink};

/// Answers with what is in a form, which is in memory or beyond its limit.
struct Forms;

struct Upload {
    form: Multipart,
    seen: Arc<Mutex<String>>,
}

impl Sink for Upload {
    fn take(&mut self, mut piece: &[u8]) -> std::io::Result<()> {
        let mut seen = self.seen.lock().unwrap();
        while let Some(event) = self.form.next(&mut piece)? {
            match event {
                FormEvent::Part(part) => seen.push_str(&format!("{}=", part.name)),
                FormEvent::Data(bytes) => seen.push_str(&String::from_utf8_lossy(bytes)),
                FormEvent::End => seen.push(';'),
            }
        }
        Ok(())
    }
}

impl Service for Forms {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        if let Some(upload) = request.take_sink::<Upload>() {
            if let Err(error) = upload.form.finish() {
                response.status(error.status());
            }
            response.body(upload.seen.lock().unwrap().as_bytes());
            return;
        }
        match request.multipart(LIMITS) {
            None => drop(response.status(415)),
            Some(Err(error)) => drop(response.status(error.status())),
            Some(Ok(parts)) => {
                for (part, content) in parts {
                    let text = format!("{}={};", part.name, String::from_utf8_lossy(content));
                    response.body_buffer().extend(text.bytes());
                }
            }
        }
    }

    fn intake(&self, request: &Request<'_>, _: Option<u64>) -> Intake {
        match Multipart::of(request, LIMITS) {
            Some(form) => {
                let seen = Arc::default();
                Intake::Pieces(Box::new(Upload { form, seen }), 1_000)
            }
            None => Intake::Refuse,
        }
    }
}

/// The reply to a form of this type, where bodies up to `memory` bytes are in memory.
fn reply(media_type: &str, body: &str, memory: usize) -> String {
    let limits = Limits {
        body_bytes_max: memory,
        ..Limits::default()
    };
    let head = format!(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut peer = common::Peer::with(limits, |turn| Session::new(Protocol::Http, turn));
    peer.service = &Forms;
    peer.send(head.as_bytes());
    for piece in body.as_bytes().chunks(7) {
        peer.send(piece);
    }
    peer.text()
}

#[test]
fn a_request_has_its_form_in_memory_or_in_pieces() {
    let good = format!("--xyZ\r\n{A}\r\n\r\n1\r\n--xyZ\r\n{A}\r\n\r\n2\r\n--xyZ--");
    for memory in [1_000, 10] {
        for media_type in [
            "multipart/form-data; boundary=xyZ",
            "Multipart/Form-Data; charset=utf-8; Boundary=\"xyZ\"",
        ] {
            let reply = reply(media_type, &good, memory);
            assert!(reply.ends_with("\r\n\r\na=1;a=2;"), "{reply}");
        }
        let boundary = "multipart/form-data; boundary=xyZ";
        let many = format!("--xyZ\r\n{A}\r\n\r\n1\r\n").repeat(4);
        for (body, status) in [
            (good.replace("--xyZ--", ""), 400),
            (many, 413),
            (good.replace(A, ""), 400),
        ] {
            assert_eq!(
                statuses(&reply(boundary, &body, memory)),
                [status],
                "{body}"
            );
        }
    }
    for media_type in [
        "multipart/form-data",
        "multipart/mixed; boundary=xyZ",
        "text/plain",
    ] {
        assert_eq!(
            statuses(&reply(media_type, &good, 1_000)),
            [415],
            "{media_type}"
        );
    }
}
