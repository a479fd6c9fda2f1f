//! Once a worker has served some requests, further ones need no allocation: in one piece, in several,
//! chunked, pipelined, delayed or staged.

#![allow(unsafe_code)] // An allocator that counts.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::Peer;
use proto::{Limits, Protocol, Session, Want};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: all calls go to the system allocator. The thread-local counter needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: this is the layout of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Does what the session wants until it wants to read, and drops what it sends.
fn serve(peer: &mut Peer, piece: &[u8]) {
    peer.turn(|session, turn| session.receive(piece, turn));
    loop {
        match peer.session.want() {
            Want::Read => return,
            Want::Write => peer.turn(|session, turn| {
                let sent = session.output(turn.scratch).len();
                session.sent(sent, turn);
            }),
            Want::Compute => peer.turn(Session::compute),
            Want::Wait => {
                peer.now = peer.session.deadline();
                peer.turn(Session::expire);
            }
            want => panic!("{want:?}"),
        }
    }
}

#[test]
fn a_warm_worker_does_not_allocate() {
    let rounds: [(&str, &[&[u8]]); 5] = [
        (
            "in one piece",
            &[b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n"],
        ),
        (
            "in pieces",
            &[
                b"POST /nothing HTTP/1.1\r\nHo",
                b"st: h\r\nContent-Length: 4\r\n\r\nab",
                b"cd",
            ],
        ),
        (
            "chunked",
            &[
                b"POST /nothing HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na",
                b"b\r\n0\r\n\r\n",
            ],
        ),
        (
            "delayed",
            &[b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\nGET /nothing HTTP/1.1\r\nHost: h\r\n\r\n"],
        ),
        ("long", &[b"GET /long HTTP/1.1\r\nHost: h\r\n\r\n"]),
    ];
    for staged in [false, true] {
        for (name, pieces) in rounds {
            let mut peer = Peer::with(Limits::default(), |turn| match staged {
                true => Session::staged(Protocol::Http, turn),
                false => Session::new(Protocol::Http, turn),
            });
            let mut round = || pieces.iter().for_each(|piece| serve(&mut peer, piece));
            (0..3).for_each(|_| round());
            let before = ALLOCATIONS.get();
            // Rendering `Date` allocates, once per second of the session's time. A wait takes 50 ms of
            // it, so ten rounds stay within a second.
            (0..10).for_each(|_| round());
            assert_eq!(ALLOCATIONS.get() - before, 0, "{name}, staged: {staged}");
        }
    }
}
