use proptest::prelude::*;
use schema::load::BodyCheck;

use super::*;
use crate::checker::reference_bodies;
use crate::plan::Plan;

const PLAIN: &str =
    "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 06:00:00 GMT\r\nContent-Length: 5\r\n\r\nhello";
const LATER: &str =
    "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 06:00:01 GMT\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n";
const INTERIM: &str =
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Fine\r\nContent-Length: 5\r\n\r\nhello";
const WRONG: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellO";
const LONGER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello!";
const SHORTER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const ABSENT: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
const SHED: &str = "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

fn checker(check: BodyCheck) -> Checker {
    let mut plan = Plan::new("http://127.0.0.1:1/".parse().unwrap());
    plan.body_check = Some(check);
    Checker::new(&plan, 0, &reference_bodies(&plan))
}

/// The verdicts on a stream that arrives in the given pieces.
fn read(checker: &mut Checker, pieces: &[&[u8]]) -> Vec<Reading> {
    let mut reader = Reader::default();
    let mut steps = Vec::new();
    for mut piece in pieces.iter().copied() {
        while !piece.is_empty() {
            match reader.next(checker, &mut piece) {
                Reading::Incomplete => assert!(piece.is_empty()),
                Reading::Malformed(why) => {
                    steps.push(Reading::Malformed(why));
                    return steps;
                }
                done => steps.push(done),
            }
        }
    }
    steps
}

fn classes(check: BodyCheck, stream: &str) -> Vec<Option<ErrorClass>> {
    read(&mut checker(check), &[stream.as_bytes()])
        .into_iter()
        .map(|step| match step {
            Reading::Complete(verdict) => verdict.class,
            _ => Some(ErrorClass::Malformed),
        })
        .collect()
}

#[test]
fn each_reply_of_a_stream_gets_its_verdict() {
    let stream = [
        PLAIN, LATER, CHUNKED, INTERIM, WRONG, LONGER, SHORTER, ABSENT, SHED, PLAIN,
    ]
    .concat();
    let wrong = Some(ErrorClass::WrongBody);
    let (absent, shed) = (Some(ErrorClass::Status), Some(ErrorClass::Shed));
    let good = None;
    assert_eq!(
        classes(BodyCheck::Exact, &stream),
        [
            good, good, good, good, wrong, wrong, wrong, absent, shed, good
        ]
    );
    assert_eq!(
        classes(BodyCheck::Length, &stream),
        [
            good, good, good, good, good, wrong, wrong, absent, shed, good
        ]
    );
    assert_eq!(
        classes(BodyCheck::None, &stream),
        [good, good, good, good, good, good, good, absent, shed, good]
    );
}

#[test]
fn a_known_head_does_not_replace_the_check_of_the_body() {
    let stream = [
        PLAIN,
        PLAIN,
        &PLAIN.replace("hello", "jello"),
        &PLAIN.replace("200 OK", "200 KO"),
    ];
    assert_eq!(
        classes(BodyCheck::Exact, &stream.concat()),
        [None, None, Some(ErrorClass::WrongBody), None]
    );
}

#[test]
fn the_body_of_an_error_is_not_learned() {
    let stream = [ABSENT, PLAIN, PLAIN].concat();
    assert_eq!(
        classes(BodyCheck::Exact, &stream),
        [Some(ErrorClass::Status), None, None]
    );
}

#[test]
fn what_is_not_http_breaks_the_stream() {
    let stream = [PLAIN, "HELLO\r\n\r\n", PLAIN].concat();
    assert_eq!(
        classes(BodyCheck::Exact, &stream),
        [None, Some(ErrorClass::Malformed)]
    );
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(head::HEAD_BYTES_MAX));
    assert_eq!(
        classes(BodyCheck::Exact, &endless),
        [Some(ErrorClass::Malformed)]
    );
    let pieces: Vec<&[u8]> = endless.as_bytes().chunks(4096).collect();
    assert_eq!(
        read(&mut checker(BodyCheck::Exact), &pieces),
        [Reading::Malformed(crate::malformed::Why::HeadTooLong)]
    );
}

#[test]
fn a_close_ends_a_body_without_a_length() {
    let mut checker = checker(BodyCheck::Exact);
    let mut reader = Reader::default();
    for expected in [None, Some(ErrorClass::WrongBody)] {
        let text = if expected.is_none() { "abc" } else { "abd" };
        let wire = format!("HTTP/1.1 200 OK\r\n\r\n{text}");
        assert_eq!(
            reader.next(&mut checker, &mut wire.as_bytes()),
            Reading::Incomplete
        );
        assert_eq!(
            reader.end(&checker),
            Some(Verdict {
                status: 200,
                class: expected,
                close: true
            })
        );
    }
    assert_eq!(
        reader.next(
            &mut checker,
            &mut &b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"[..]
        ),
        Reading::Incomplete
    );
    assert_eq!(reader.end(&checker), None);
}

#[test]
fn every_split_in_two_gives_the_same_verdicts() {
    let stream = [
        PLAIN, CHUNKED, INTERIM, WRONG, LATER, ABSENT, SHED, LONGER, PLAIN,
    ]
    .concat();
    let whole = read(&mut checker(BodyCheck::Exact), &[stream.as_bytes()]);
    for cut in 0..=stream.len() {
        let (a, b) = stream.as_bytes().split_at(cut);
        assert_eq!(
            read(&mut checker(BodyCheck::Exact), &[a, b]),
            whole,
            "cut at {cut}"
        );
    }
    let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
    assert_eq!(read(&mut checker(BodyCheck::Exact), &bytes), whole);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_splitting_gives_the_same_verdicts(
        choice in proptest::collection::vec(0usize..9, 1..12),
        mut cuts in proptest::collection::vec(0usize..4000, 0..12),
    ) {
        let replies = [PLAIN, LATER, CHUNKED, INTERIM, WRONG, LONGER, SHORTER, ABSENT, SHED];
        let stream: String = choice.iter().map(|&i| replies[i]).collect();
        cuts.iter_mut().for_each(|cut| *cut %= stream.len() + 1);
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut start = 0;
        for cut in cuts {
            pieces.push(&stream.as_bytes()[start..cut]);
            start = cut;
        }
        pieces.push(&stream.as_bytes()[start..]);
        let whole = read(&mut checker(BodyCheck::Exact), &[stream.as_bytes()]);
        prop_assert_eq!(whole.len(), choice.len());
        prop_assert_eq!(read(&mut checker(BodyCheck::Exact), &pieces), whole);
    }
}
