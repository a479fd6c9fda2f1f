//! A worker in memory, and requests as clients send them.
#![allow(dead_code)] // Each benchmark uses its part.

use std::sync::atomic::AtomicU64;
use std::time::{Instant, SystemTime};

use proto::{Limits, Place, Protocol, Request, Response, Scratch, Service, Session, Turn, Want};

/// What wrk sends.
pub const WRK: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// What a browser sends when a link is followed: twelve fields.
pub const BROWSER: &[u8] = b"GET /articles/2026/11/queues?page=2 HTTP/1.1\r\n\
Host: www.example.org\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
Accept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Connection: keep-alive\r\n\
Referer: https://www.example.org/articles/2026/11/\r\n\
Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark\r\n\
Upgrade-Insecure-Requests: 1\r\n\
Sec-Fetch-Dest: document\r\n\
Sec-Fetch-Mode: navigate\r\n\
Priority: u=0, i\r\n\r\n";

/// A body of 32 bytes in two chunks.
pub const CHUNKED: &[u8] = b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\
Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
10\r\n{\"name\":\"Ada\",\"n\r\n10\r\number\":36912345}\r\n0\r\n\r\n";

/// Answers 204, so that reading the request is most of the work.
pub fn nothing(_: &Request<'_>, response: &mut Response<'_>) {
    response.status(204);
}

/// Answers `GET` like `/plaintext`, anything else with its body.
pub fn echo(request: &Request<'_>, response: &mut Response<'_>) {
    if request.body.is_empty() {
        response
            .content_type("text/plain")
            .static_body(b"Hello, World!");
    } else {
        response.body(request.body);
    }
}

/// A worker and its one connection.
pub struct Worker<'s> {
    session: Session,
    scratch: Scratch,
    limits: Limits,
    place: Place,
    draining: AtomicU64,
    now: Instant,
    service: &'s dyn Service,
}

impl<'s> Worker<'s> {
    pub fn new(service: &'s dyn Service) -> Worker<'s> {
        let (limits, place) = (Limits::default(), Place::default());
        let (draining, now) = (AtomicU64::new(0), Instant::now());
        let mut scratch = Scratch::new(SystemTime::now);
        let session = Session::new(
            Protocol::Http,
            &Turn {
                now,
                limits: &limits,
                service,
                scratch: &mut scratch,
                place: &place,
                draining: &draining,
            },
        );
        Worker {
            session,
            scratch,
            limits,
            place,
            draining,
            now,
            service,
        }
    }

    /// Receives `pieces` one after the other and sends what comes of them: the bytes sent.
    pub fn serve(&mut self, pieces: &[&[u8]]) -> usize {
        let mut turn = Turn {
            now: self.now,
            limits: &self.limits,
            service: self.service,
            scratch: &mut self.scratch,
            place: &self.place,
            draining: &self.draining,
        };
        let mut sent = 0;
        for piece in pieces {
            self.session.receive(piece, &mut turn);
            while self.session.want() == Want::Write {
                let bytes = self.session.output(turn.scratch).len();
                self.session.sent(bytes, &mut turn);
                sent += bytes;
            }
        }
        sent
    }

    /// Panics if `pieces` are not answered as whole requests on a connection that stays.
    pub fn check(&mut self, pieces: &[&[u8]], requests: u64) {
        let before = self.scratch.served();
        assert!(self.serve(pieces) > 0, "there is no reply");
        assert_eq!(self.scratch.served() - before, requests);
        assert_eq!(self.session.want(), Want::Read);
    }
}
