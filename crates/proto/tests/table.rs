//! Tables of input and the expected output.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

mod common;

use common::{Peer, exchange, statuses};
use proto::{Limits, Protocol, Want};

fn one(input: &[u8]) -> (String, Want) {
    exchange(Protocol::Http, &Limits::default(), &[input])
}

#[track_caller]
fn refused(status: u16, input: &[u8]) {
    let (text, want) = one(input);
    assert_eq!(
        (statuses(&text), want),
        (vec![status], Want::Linger),
        "{}",
        String::from_utf8_lossy(input)
    );
    assert!(text.contains("Connection: close\r\n"));
}

#[track_caller]
fn served(expected: &[&str], input: &[u8]) {
    let (text, want) = one(input);
    assert_eq!(want, Want::Read, "{text}");
    assert!(
        statuses(&text).iter().all(|&status| status == 200),
        "{text}"
    );
    for body in expected {
        assert!(text.contains(body), "{body} in {text}");
    }
    assert_eq!(text.matches("HTTP/1.1").count(), expected.len());
}

#[test]
fn the_whole_reply() {
    let (text, want) = one(b"GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n");
    let expected = "HTTP/1.1 200 OK\r\nServer: turnstile\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 24\r\n\r\nGet /a Some(\"b\") 1.1 []";
    assert_eq!(text, expected.replace("24", "23"));
    assert_eq!(want, Want::Read);
}

#[test]
fn what_is_served() {
    served(&["Get / None 1.1 []"], b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    served(
        &["Get / None 1.1 []"],
        b"\r\n\r\nGET / HTTP/1.1\r\nHost:\r\n\r\n",
    );
    served(&["Get / None 1.1 []", "Post /b None 1.1 [hello]"], b"GET / HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    served(&["Put /c None 1.1 [hello world]"], b"PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n6;a=b;c=\"d;\\\"\"\r\n world\r\n0\r\nTrailer: x\r\n\r\n");
    for expect in [
        "100-continue, 100-continue",
        "100-Continue",
        "100-continue,",
        "",
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\nExpect: {expect}\r\n\r\n");
        served(&["Get / None 1.1 []"], text.as_bytes());
    }
    served(
        &["Get /d Some(\"e\") 1.1 []"],
        b"GET http://h:80/d?e HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    served(
        &["Options * None 1.1 []"],
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    served(
        &["Get / None 1.0 []"],
        b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
    );
    served(
        &["BREW / None 1.1 []"],
        b"BREW / HTTP/1.1\r\nHost: h\r\n\r\n",
    );
}

#[test]
fn what_is_refused() {
    let with =
        |fields: &str| format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n0123456789").into_bytes();
    for fields in [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 5_0\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked;x\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Host: h\r\n",
        "Host: i\r\n",
        "Content-Length: 5\n",
        "A: b\r\n c\r\n",
        "A\x00: b\r\n",
        "A: \x00\r\n",
        "A: b\rc\r\n",
        " A: b\r\n",
        "A b: c\r\n",
        ": c\r\n",
        "novalue\r\n",
    ] {
        refused(400, &with(fields));
    }
    for (status, fields) in [
        (501, "Transfer-Encoding: gzip, chunked\r\n"),
        (501, "Transfer-Encoding: gzip\r\n"),
        (501, "Transfer-Encoding: identity\r\n"),
        (501, "Transfer-Encoding: xchunked\r\n"),
        (417, "Expect: tea\r\n"),
        (417, "Expect: tea, 100-continue\r\n"),
        (417, "Expect: 100-continue, tea\r\n"),
        (417, "Expect: tea\r\nExpect: 100-continue\r\n"),
        (417, "Expect: 100-continue\r\nExpect: tea\r\n"),
        (413, "Content-Length: 1048577\r\n"),
        (413, "Content-Length: 99999999999999999999999999\r\n"),
    ] {
        refused(status, &with(fields));
    }
}

#[test]
fn request_lines_and_hosts_that_are_refused() {
    for line in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET / HTTP/1.1\nHost: h\n\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
        "GET /\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: h\r\n\r\n",
        "G\u{e9}T / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / http/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/11\r\nHost: h\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\r\rGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\0",
        "{}",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        refused(400, line.as_bytes());
    }
    refused(505, b"GET / HTTP/2.0\r\nHost: h\r\n\r\n");
    refused(505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    refused(505, b"GET / HTTP/1.2\r\nHost: h\r\n\r\n");
}

#[test]
fn limits_are_met_and_not_overstepped() {
    let line = |bytes: usize| {
        format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(bytes)).into_bytes()
    };
    served(&["Get /aaaa"], &line(8_000));
    refused(414, &line(16 << 10));
    refused(414, &vec![b'a'; 17 << 10]);
    let fields = |count: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: h\r\n{}\r\n",
            "A: b\r\n".repeat(count)
        )
        .into_bytes()
    };
    // Including Host, the first table has room for 32.
    for count in [30, 31, 32, 33, 99] {
        served(&["Get / None"], &fields(count));
    }
    refused(431, &fields(100));
    refused(
        431,
        format!(
            "GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n",
            "a".repeat(24 << 10)
        )
        .as_bytes(),
    );
    refused(
        400,
        format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "h".repeat(256)).as_bytes(),
    );
}

/// The shorter bound decides as soon as it is reached.
#[test]
fn the_limit_of_the_head_may_be_below_that_of_its_line() {
    let limits = Limits {
        head_bytes_max: 300,
        ..Limits::default()
    };
    let fields = format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}", "a".repeat(400));
    let line = format!("GET /{}", "a".repeat(400));
    let short = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n",
        "a".repeat(200)
    );
    for (status, want, head) in [
        (431, Want::Linger, &fields),
        (414, Want::Linger, &line),
        (200, Want::Read, &short),
    ] {
        let whole = [head.as_bytes()];
        let bytes: Vec<_> = head.as_bytes().chunks(1).collect();
        for pieces in [&whole[..], &bytes] {
            let (text, wanted) = exchange(Protocol::Http, &limits, pieces);
            assert_eq!((statuses(&text), wanted), (vec![status], want), "{head}");
        }
    }
}

#[test]
fn chunk_shapes_that_are_refused() {
    let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5_0\r\n",
        "+5\r\nhello",
        "-1\r\n",
        "\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5;\r\nhello\r\n0\r\n\r\n",
        "5;a=\r\nhello",
        "5;a\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "g\r\n",
        "00000000000000005\r\nhello",
        "0\r\nbad trailer\r\n\r\n",
        "0\r\n: x\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\n\n",
        "0\r\nA : b\r\n\r\n",
        "5;a=\"b\r\nhello",
        "5;\u{1}\r\n",
    ] {
        refused(400, format!("{head}{body}").as_bytes());
    }
    refused(413, format!("{head}100001\r\n").as_bytes());
    refused(413, format!("{head}ffffffffffffffff\r\n").as_bytes());
    refused(
        413,
        format!("{head}1;a={}\r\n", "b".repeat(5_000)).as_bytes(),
    );
    refused(
        431,
        format!("{head}0\r\n{}\r\n", "A: b\r\n".repeat(33)).as_bytes(),
    );
    refused(
        431,
        format!("{head}0\r\nA: {}\r\n\r\n", "b".repeat(9_000)).as_bytes(),
    );
    let (text, _) = one(format!("{head}{}0\r\n\r\n", "1;a\r\nx\r\n".repeat(2_048)).as_bytes());
    assert_eq!(
        statuses(&text),
        [200],
        "extensions of 4,096 bytes are within the limit"
    );
}

#[test]
fn connections_persist_or_end_as_the_client_asks() {
    let end = |input: &[u8]| one(input).1;
    assert_eq!(
        end(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
        Want::Close
    );
    assert_eq!(
        end(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: foo, Close\r\n\r\n"),
        Want::Close
    );
    assert_eq!(end(b"GET / HTTP/1.0\r\n\r\n"), Want::Close);
    assert_eq!(
        end(b"GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n"),
        Want::Linger,
        "unread input would reset the reply"
    );
    assert!(
        one(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .0
            .contains("Connection: keep-alive\r\n")
    );
}

#[test]
fn heads_have_a_length_and_no_body() {
    let (text, _) = one(b"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(
        text.contains("Content-Length: 19\r\n") && text.ends_with("\r\n\r\n"),
        "{text}"
    );
    let (text, _) = one(b"HEAD /long HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(text.contains("Content-Length: 200005\r\n") && text.ends_with("\r\n\r\n"));
    let (text, _) = one(b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(text.starts_with("HTTP/1.1 204 No Content\r\n") && !text.contains("Content-Length"));
}

#[test]
fn continue_is_sent_only_to_clients_that_wait_for_it() {
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let mut peer = Peer::new(Protocol::Http, Limits::default());
    assert_eq!(peer.send(head), Want::Read);
    assert_eq!(peer.text(), "HTTP/1.1 100 Continue\r\n\r\n");
    peer.send(b"ok");
    assert!(peer.text().ends_with("[ok]"));
    let mut peer = Peer::new(Protocol::Http, Limits::default());
    peer.send(&[head.as_slice(), b"ok"].concat());
    assert!(peer.text().starts_with("HTTP/1.1 200"));
    let mut peer = Peer::new(Protocol::Http, Limits::default());
    peer.send(&head.replace(b"Length: 2", b"Length: 2000000"));
    assert_eq!(
        statuses(&peer.text()),
        [413],
        "no 100 (Continue) for a body that is refused"
    );
}

trait Replace {
    fn replace(&self, from: &[u8], to: &[u8]) -> Vec<u8>;
}

impl Replace for [u8] {
    fn replace(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(self.to_vec()).unwrap();
        text.replace(
            std::str::from_utf8(from).unwrap(),
            std::str::from_utf8(to).unwrap(),
        )
        .into_bytes()
    }
}

#[test]
fn a_panic_is_a_500_and_the_requests_before_it_are_answered() {
    let (text, want) =
        one(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /panic HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((statuses(&text), want), (vec![200, 500], Want::Linger));
}

#[test]
fn draining_says_close() {
    let mut peer = Peer::new(Protocol::Http, Limits::default());
    peer.draining = 1.into();
    assert_eq!(peer.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), Want::Close);
    assert!(peer.text().contains("Connection: close\r\n"));
}

#[test]
fn long_bodies_are_complete_for_every_window() {
    for window in [1_000, 65_536, usize::MAX] {
        let mut peer = Peer::new(Protocol::Http, Limits::default());
        peer.window = window;
        peer.send(b"GET /long HTTP/1.1\r\nHost: h\r\n\r\nGET /after HTTP/1.1\r\nHost: h\r\n\r\n");
        let text = peer.text();
        let body = &text[text.find("\r\n\r\n").unwrap() + 4..];
        assert_eq!(&body[..200_005], &"0123456789".repeat(20_001)[..200_005]);
        assert!(body[200_005..].contains("Get /after"));
    }
}

#[test]
fn bodies_from_a_reader_are_complete_for_every_window() {
    for window in [1_000, 65_536, usize::MAX] {
        let mut peer = Peer::new(Protocol::Http, Limits::default());
        peer.window = window;
        let head =
            "GET /reader HTTP/1.1\r\nHost: h\r\n\r\nHEAD /reader HTTP/1.1\r\nHost: h\r\n\r\n";
        peer.send(format!("{head}GET /after HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        let text = peer.text();
        assert_eq!(statuses(&text), [200, 200, 200]);
        assert_eq!(text.matches("Content-Length: 200005\r\n").count(), 2);
        assert_eq!(
            text.matches('.').count(),
            200_005 + "HTTP/1.1".matches('.').count() * 4
        );
    }
}

#[test]
fn a_reader_that_fails_ends_its_connection() {
    for (path, bytes) in [("/short", 100_000), ("/panic-late", 0)] {
        let (text, want) = one(format!(
            "GET {path} HTTP/1.1\r\nHost: h\r\n\r\nGET /after HTTP/1.1\r\nHost: h\r\n\r\n"
        )
        .as_bytes());
        assert_eq!((statuses(&text), want), (vec![200], Want::Close), "{path}");
        let body = &text[text.find("\r\n\r\n").unwrap() + 4..];
        assert_eq!(body, ".".repeat(bytes), "{path}");
    }
}

#[test]
fn stevens_protocol() {
    let limits = Limits::default();
    let (text, want) = exchange(Protocol::Unp, &limits, &[b"3\n", b"1", b"6384\n5\r\n"]);
    assert_eq!((text.len(), want), (3 + 16_384 + 5, Want::Read));
    for poison in [
        &b"0\n"[..],
        b"16385\n",
        b"-1\n",
        b"\n",
        b"abc\n",
        &[b'1'; 200],
        b"99999999999999999999999\n",
    ] {
        let (text, want) = exchange(Protocol::Unp, &limits, &[poison]);
        assert_eq!((text.as_str(), want), ("", Want::Linger), "{poison:?}");
    }
}
