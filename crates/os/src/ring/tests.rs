//! What the ring relies on, tested with the kernel.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

fn ring(buffers: usize) -> Ring {
    let sizes = Sizes {
        operations: 8,
        completions: 64,
        buffers,
        buffer_bytes: 64,
    };
    Ring::new(&sizes).expect("tests need io_uring")
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far = listener.accept().unwrap().0;
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    (near, far)
}

/// Waits for the next completion.
fn completion(ring: &mut Ring) -> Completion {
    let start = std::time::Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(completion) = ring.next() {
            return completion;
        }
        ring.wait(Some(PATIENCE)).unwrap();
    }
    panic!("no completion");
}

/// Submits what is queued, without waiting for a completion.
fn submit(ring: &mut Ring) {
    assert!(ring.next().is_none());
    ring.wait(Some(Duration::ZERO)).unwrap();
}

/// More than two socket buffers hold.
fn large_output() -> Vec<u8> {
    (0..16 << 20).map(|number| (number / 7) as u8).collect()
}

#[test]
fn a_quiet_send_that_succeeds_leaves_no_completion_in_the_kernel() {
    let mut ring = ring(2);
    let (near, mut far) = pair();
    for round in 0..20u64 {
        ring.send_quietly(near.as_fd(), round << 32 | 3, b"hello".to_vec());
        submit(&mut ring);
        assert!(ring.batch.is_empty(), "success is silent");
        match ring.next() {
            Some(Completion::Sent {
                token,
                output,
                bytes: Ok(5),
            }) => assert_eq!((token, &output[..]), (round << 32 | 3, &b"hello"[..])),
            other => panic!("{other:?}"),
        }
        let mut got = [0; 5];
        far.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"hello");
    }
}

/// The submission sends what the socket takes and reports how much; the ring sends the rest when there is
/// room.
#[test]
fn a_send_that_the_socket_cannot_take_at_once_is_sent_whole() {
    for quiet in [true, false] {
        let mut ring = ring(2);
        let (near, mut far) = pair();
        let output = large_output();
        let copy = output.clone();
        if quiet {
            ring.send_quietly(near.as_fd(), 0, output);
        } else {
            ring.send(near.as_fd(), 0, output);
        }
        submit(&mut ring);
        assert!(ring.next().is_none(), "more than the socket takes");
        let reader = std::thread::spawn(move || {
            let mut got = vec![0; copy.len()];
            far.read_exact(&mut got).unwrap();
            got == copy
        });
        match completion(&mut ring) {
            Completion::Sent { bytes, output, .. } => assert_eq!(bytes, Ok(output.len())),
            other => panic!("{other:?}"),
        }
        assert!(reader.join().unwrap(), "every byte, once and in order");
    }
}

/// The ring keeps the output until the kernel does not use it any more, and returns it with the error.
#[test]
fn a_peer_that_resets_while_a_send_is_in_flight() {
    let mut ring = ring(2);
    let (near, mut far) = pair();
    ring.send_quietly(near.as_fd(), 5, large_output());
    submit(&mut ring);
    assert!(ring.next().is_none());
    far.read_exact(&mut [0; 100]).unwrap();
    drop(far); // With bytes unread, so this resets the connection.
    match completion(&mut ring) {
        Completion::Sent { bytes, output, .. } => {
            assert!(
                matches!(bytes, Err(Errno::CONNRESET | Errno::PIPE)),
                "{bytes:?}"
            );
            assert!(output == large_output(), "untouched");
        }
        other => panic!("{other:?}"),
    }
    ring.send_quietly(near.as_fd(), 5, b"again".to_vec());
    match completion(&mut ring) {
        Completion::Sent { bytes, .. } => assert_eq!(bytes, Err(Errno::PIPE)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cancelled_send_completes() {
    let mut ring = ring(2);
    let (near, _far) = pair();
    ring.send(near.as_fd(), 1, large_output());
    submit(&mut ring);
    ring.cancel_send(1);
    match completion(&mut ring) {
        Completion::Sent {
            token: 1,
            output,
            bytes,
        } => {
            assert_eq!((output.len(), bytes), (16 << 20, Err(Errno::CANCELED)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_receive_goes_on_until_the_fin() {
    let mut ring = ring(4);
    let (near, mut far) = pair();
    ring.receive(near.as_fd(), 9);
    for text in ["one", "two", "three", "four", "five", "six"] {
        far.write_all(text.as_bytes()).unwrap();
        match completion(&mut ring) {
            Completion::Received {
                token: 9,
                bytes,
                more: true,
            } => assert_eq!(bytes, Ok(text.len())),
            other => panic!("{other:?}"),
        }
        assert_eq!(ring.received(), text.as_bytes());
    }
    drop(far);
    match completion(&mut ring) {
        Completion::Received {
            bytes: Ok(0),
            more: false,
            ..
        } => assert_eq!(ring.received(), b""),
        other => panic!("{other:?}"),
    }
}

/// The buffers have 128 bytes and far more is received, so the receive ends many times with ENOBUFS.
/// Started again each time, it loses nothing.
#[test]
fn a_receive_that_finds_no_buffer_ends_and_loses_nothing() {
    let mut ring = ring(2);
    let (near, mut far) = pair();
    let sent: Vec<u8> = (0..20_000).map(|number| (number / 3) as u8).collect();
    far.write_all(&sent).unwrap();
    drop(far);
    ring.receive(near.as_fd(), 0);
    let (mut got, mut starved) = (Vec::new(), 0);
    loop {
        match completion(&mut ring) {
            Completion::Received { bytes: Ok(0), .. } => break,
            Completion::Received { bytes, more, .. } => {
                got.extend_from_slice(ring.received());
                starved += usize::from(bytes == Err(Errno::NOBUFS));
                if !more {
                    ring.receive(near.as_fd(), 0);
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(got == sent);
    assert!(starved > 10, "two buffers cannot have been enough");
}

#[test]
fn a_cancelled_receive_completes_and_loses_nothing() {
    let mut ring = ring(2);
    let (near, mut far) = pair();
    ring.receive(near.as_fd(), 7);
    submit(&mut ring);
    far.write_all(b"before").unwrap();
    ring.cancel_receive(7);
    let mut got = Vec::new();
    loop {
        match completion(&mut ring) {
            Completion::Received {
                bytes: Err(error),
                more,
                ..
            } => {
                assert_eq!((error, more), (Errno::CANCELED, false));
                break;
            }
            Completion::Received { .. } => got.extend_from_slice(ring.received()),
            other => panic!("{other:?}"),
        }
    }
    ring.receive(near.as_fd(), 7);
    while got.len() < 6 {
        assert!(matches!(
            completion(&mut ring),
            Completion::Received { bytes: Ok(_), .. }
        ));
        got.extend_from_slice(ring.received());
    }
    assert_eq!(got, b"before");
}

/// There are more connections than the completion queue holds: the kernel keeps the rest, the accept
/// ends, and no connection is lost.
#[test]
fn more_completions_than_there_is_room_for() {
    let sizes = Sizes {
        operations: 4,
        completions: 4,
        buffers: 2,
        buffer_bytes: 64,
    };
    let mut ring = Ring::new(&sizes).expect("tests need io_uring");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let peers: Vec<_> = (0..40).map(|_| TcpStream::connect(addr).unwrap()).collect();
    ring.accept_all(listener.as_fd(), 6);
    let mut sockets = Vec::new();
    while sockets.len() < peers.len() {
        match completion(&mut ring) {
            Completion::Accepted {
                listener: 6,
                socket,
                more,
            } => {
                sockets.push(TcpStream::from(socket.unwrap()));
                if !more {
                    ring.accept_all(listener.as_fd(), 6);
                }
            }
            other => panic!("{other:?}"),
        }
    }
    let mut accepted: Vec<_> = sockets.iter().map(|one| one.peer_addr().unwrap()).collect();
    let mut connected: Vec<_> = peers.iter().map(|one| one.local_addr().unwrap()).collect();
    accepted.sort();
    connected.sort();
    assert_eq!(accepted, connected);
}

/// The accept waits although the listener is non-blocking.
#[test]
fn an_accept_waits_and_can_be_cancelled() {
    let mut ring = ring(2);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    ring.accept_one(listener.as_fd(), 0);
    submit(&mut ring);
    assert!(ring.next().is_none());
    let _peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    match completion(&mut ring) {
        Completion::Accepted {
            socket: Ok(socket),
            more: false,
            ..
        } => {
            let flags = rustix::io::fcntl_getfd(&socket).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
        other => panic!("{other:?}"),
    }
    ring.accept_all(listener.as_fd(), 1);
    submit(&mut ring);
    ring.cancel_accept(1);
    match completion(&mut ring) {
        Completion::Accepted {
            listener: 1,
            socket: Err(error),
            more: false,
        } => assert_eq!(error, Errno::CANCELED),
        other => panic!("{other:?}"),
    }
}

/// It says so of each that waits, and takes none.
#[test]
fn a_watched_listener_says_that_a_connection_waits() {
    let mut ring = ring(2);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    ring.watch_listener(listener.as_fd(), 3);
    submit(&mut ring);
    assert!(ring.next().is_none());
    let _client = std::net::TcpStream::connect(addr).unwrap();
    for _ in 0..2 {
        match completion(&mut ring) {
            Completion::Waiting { listener, found } => assert_eq!((listener, found), (3, true)),
            other => panic!("{other:?}"),
        }
        ring.watch_listener(listener.as_fd(), 3); // It still waits.
    }
    assert!(matches!(
        completion(&mut ring),
        Completion::Waiting { found: true, .. }
    ));
    let _taken = listener.accept().unwrap();
    ring.watch_listener(listener.as_fd(), 3);
    submit(&mut ring);
    assert!(ring.next().is_none());
    ring.cancel_watch(3);
    assert!(matches!(
        completion(&mut ring),
        Completion::Waiting {
            listener: 3,
            found: false
        }
    ));
}

#[test]
fn a_woken_waker_completes() {
    let mut ring = ring(2);
    let waker = crate::net::Waker::new().unwrap();
    ring.watch(waker.as_fd());
    submit(&mut ring);
    assert!(ring.next().is_none());
    waker.wake();
    assert!(matches!(completion(&mut ring), Completion::Readable));
}

/// There are more sends than the submission queue holds, and each completes.
#[test]
fn more_operations_than_there_is_room_for() {
    let mut ring = ring(2);
    let pairs: Vec<_> = (0..50).map(|_| pair()).collect();
    for (token, (near, _)) in pairs.iter().enumerate() {
        ring.send_quietly(near.as_fd(), token as u64, vec![b'x'; 10]);
    }
    let mut told: Vec<_> = (0..50)
        .map(|_| match completion_now(&mut ring) {
            Completion::Sent {
                token,
                bytes: Ok(10),
                ..
            } => token,
            other => panic!("{other:?}"),
        })
        .collect();
    told.sort_unstable();
    assert_eq!(told, (0..50).collect::<Vec<_>>());
    assert!(pairs[0].0.as_raw_fd() > 0);
}

/// The next completion, which is there after one submission without a wait.
fn completion_now(ring: &mut Ring) -> Completion {
    if let Some(completion) = ring.next() {
        return completion;
    }
    ring.wait(Some(Duration::ZERO)).unwrap();
    ring.next().expect("it was submitted")
}
