//! However the input is split, the output is the same, inline and staged.

mod common;

use common::{Peer, exchange};
use proptest::prelude::*;
use proto::{Limits, Protocol, Session, Want};

const CONVERSATIONS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /c HTTP/1.1\r\nHost: h\r\n\r\n",
    b"\r\nPOST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nT: x\r\n\r\nGET /wait HTTP/1.1\r\nHost: h\r\n\r\nGET /after HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
    b"GET / HTTP/1.1\nHost: h\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabcGET /panic HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n",
    b"GET /stream HTTP/1.1\r\nHost: h\r\n\r\nGET /stream-fails HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /wait-stream HTTP/1.1\r\nHost: h\r\n\r\nGET /stream HTTP/1.0\r\n\r\n",
    b"GET /a b HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
];

fn small() -> Limits {
    Limits {
        line_bytes_max: 64,
        head_bytes_max: 160,
        fields_max: 6,
        body_bytes_max: 40,
        trailer_bytes_max: 20,
        trailer_fields_max: 2,
        chunk_extension_bytes_max: 10,
        unsent_bytes_max: 500,
        ..Limits::default()
    }
}

/// Whether a connection ends with `Want::Linger` or `Want::Close` depends on whether bytes had arrived
/// behind its last request.
fn ending(want: Want) -> Want {
    if want == Want::Linger {
        Want::Close
    } else {
        want
    }
}

fn check(protocol: Protocol, limits: &Limits, input: &[u8], cuts: &[usize]) {
    let (whole, whole_want) = exchange(protocol, limits, &[input]);
    let mut pieces = Vec::new();
    let mut from = 0;
    for &cut in cuts {
        pieces.push(&input[from..cut]);
        from = cut;
    }
    pieces.push(&input[from..]);
    let (cut, cut_want) = exchange(protocol, limits, &pieces);
    assert_eq!(
        whole,
        cut,
        "{:?} cut at {cuts:?}",
        String::from_utf8_lossy(input)
    );
    assert_eq!(ending(whole_want), ending(cut_want));
}

#[test]
fn at_every_byte() {
    for input in CONVERSATIONS {
        for limits in [Limits::default(), small()] {
            for at in 0..=input.len() {
                check(Protocol::Http, &limits, input, &[at]);
            }
            let all: Vec<usize> = (1..input.len()).collect();
            check(Protocol::Http, &limits, input, &all);
        }
    }
    check(
        Protocol::Unp,
        &Limits::default(),
        b"10\n20\r\n0\n5\n",
        &[1, 2, 3, 5, 6, 8],
    );
}

#[test]
fn staged_sessions_answer_like_inline_ones() {
    for input in CONVERSATIONS {
        let mut staged = Peer::with(Limits::default(), |turn| {
            Session::staged(Protocol::Http, turn)
        });
        let want = staged.send(input);
        let (inline, inline_want) = exchange(Protocol::Http, &Limits::default(), &[input]);
        assert_eq!(
            staged.text().replace("HTTP/1.1 100 Continue\r\n\r\n", ""),
            inline
        );
        assert_eq!(ending(want), ending(inline_want));
    }
}

/// Pieces that, in a random order, are almost HTTP.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let texts = [
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: h\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: 0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\n\r\n",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "0\r\nA: b\r\n\r\n",
        "\r\n",
        "\r",
        "\n",
        "Host: h\r\n",
        "Connection: close\r\n",
        "Expect: 100-continue\r\n",
        "A: b\r\n",
        "A: b\r\n\r\n",
        " ",
        "\t",
        ":",
        ";",
        "HTTP/1.0\r\n",
        "HTTP/2.0\r\n",
        "HTTP/1",
        "GET ",
        "/long ",
        "/wait ",
        "/stream ",
        "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n",
        "abc",
        "A: b\r\nA: b\r\nA: b\r\n",
        "\u{0}",
    ];
    prop_oneof![
        9 => proptest::sample::select(texts.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ]
}

/// Heads with more fields than the first table has room for, valid and with an error at the end.
#[test]
fn a_head_with_many_fields_may_be_split_anywhere() {
    for wrong in [
        "",
        "B: c\n",
        "B : c\r\n",
        "Content-Length: 1\r\n",
        "Host: i\r\n",
    ] {
        let input = format!(
            "POST / HTTP/1.1\r\nHost: h\r\n{}Content-Length: 2\r\n{wrong}\r\nab\
             GET /b HTTP/1.1\r\nHost: h\r\n\r\n",
            "A: b\r\n".repeat(40)
        );
        let input = input.as_bytes();
        for cut in 1..input.len() {
            check(Protocol::Http, &Limits::default(), input, &[cut]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn of_anything(
        fragments in proptest::collection::vec(fragment(), 1..14),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let input = fragments.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        for limits in [Limits::default(), small()] {
            check(Protocol::Http, &limits, &input, &cuts);
            check(Protocol::Http, &limits, &input, &(1..input.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn memory_is_bounded_for_any_input(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let mut peer = Peer::new(Protocol::Http, small());
        peer.send(&bytes);
        prop_assert!(peer.received.len() < 2_000 * 200);
    }
}
