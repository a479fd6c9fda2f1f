use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::*;

fn start(args: NullArgs) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || run(listener, &args));
    address
}

fn plain() -> NullArgs {
    NullArgs {
        listen: String::new(),
        close: false,
        scan: false,
        bytes: None,
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(5)))
        .expect("a timeout");
    stream
}

#[test]
fn pipelined_requests_get_a_reply_each_however_they_are_cut() {
    let address = start(plain());
    let keep = reply(&plain());
    for request in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"GET /plaintext HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = connect(address);
        let mut replies = vec![0; keep.len() * 17];
        stream.write_all(request).expect("sent");
        stream
            .read_exact(&mut replies[..keep.len()])
            .expect("the first reply");
        let sixteen = request.repeat(16);
        let (head, tail) = sixteen.split_at(request.len() * 5 + 7);
        stream.write_all(head).expect("sent");
        stream
            .read_exact(&mut replies[keep.len()..keep.len() * 6])
            .expect("five replies");
        stream.write_all(tail).expect("sent");
        stream
            .read_exact(&mut replies[keep.len() * 6..])
            .expect("the rest");
        assert_eq!(replies, keep.repeat(17));
    }
}

#[test]
fn close_mode_closes_after_the_reply() {
    let closing = NullArgs {
        close: true,
        ..plain()
    };
    let address = start(closing.clone());
    for _ in 0..3 {
        let mut stream = connect(address);
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).expect("closed in order");
        assert_eq!(reply, super::reply(&closing));
    }
}

#[test]
fn requests_of_any_length_get_a_reply_each_where_heads_are_looked_through() {
    let scanning = NullArgs {
        scan: true,
        ..plain()
    };
    let mut stream = connect(start(scanning.clone()));
    let requests = b"GET / HTTP/1.1\r\n\r\nPUT /kv/1 HTTP/1.1\r\nA: b\r\n\r\nbodyGET /long/path HTTP/1.1\r\n\r\n";
    for piece in requests.chunks(11) {
        stream.write_all(piece).expect("sent");
    }
    let expected = super::reply(&scanning).repeat(3);
    let mut replies = vec![0; expected.len()];
    stream.read_exact(&mut replies).expect("three replies");
    assert_eq!(replies, expected);
}

#[test]
fn a_long_reply_is_sent_whole_to_a_reader_that_takes_its_time() {
    let long = NullArgs {
        bytes: Some(1_048_576),
        ..plain()
    };
    let mut stream = connect(start(long.clone()));
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
    let expected = super::reply(&long);
    let mut reply = vec![0; expected.len()];
    for part in reply.chunks_mut(100_000) {
        std::thread::yield_now();
        stream.read_exact(part).expect("a part");
    }
    assert!(reply == expected);
}
