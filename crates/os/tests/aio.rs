//! POSIX asynchronous I/O on sockets. The harness is off: signals are sent to the process, and a
//! thread of the harness, which does not block them, would get them.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use os::Errno;
use os::aio::{Aio, Completion, Waited};

const PATIENCE: Duration = Duration::from_secs(5);

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// The completion of the next operation.
fn done(aio: &mut Aio) -> Completion {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Waited::Completed(completion) = aio.wait(PATIENCE) {
            return completion;
        }
    }
    panic!("no operation has completed");
}

/// The same, found by looking for it.
fn swept(aio: &mut Aio) -> Completion {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(completion) = aio.sweep() {
            return completion;
        }
        std::thread::sleep(Duration::from_millis(1)); // How often to check.
    }
    panic!("no operation has completed");
}

fn main() {
    let mut aio = Aio::new(2);
    let (near, mut far) = pair();

    // A read completes when bytes are received, with as many as the buffer holds.
    aio.read(near.as_fd(), 7 << 32, Vec::with_capacity(4))
        .unwrap();
    far.write_all(b"hello").unwrap();
    let read = done(&mut aio);
    assert_eq!(
        (read.token, read.wrote, read.bytes),
        (7 << 32, false, Ok(4))
    );
    assert_eq!(read.buffer, b"hell");
    aio.read(near.as_fd(), 8 << 32, read.buffer).unwrap();
    assert_eq!(done(&mut aio).buffer, b"o");

    // A write completes, and its buffer is returned. Here it is found without its signal, which is taken
    // later and then ignored.
    aio.write(near.as_fd(), 0, b"reply".to_vec()).unwrap();
    let wrote = swept(&mut aio);
    assert_eq!(
        (wrote.wrote, wrote.bytes, &wrote.buffer[..]),
        (true, Ok(5), &b"reply"[..])
    );
    far.read_exact(&mut [0; 5]).unwrap();

    // A read that waits completes when the timeout of the socket has passed.
    os::net::set_receive_timeout(near.as_fd(), Duration::from_millis(10)).unwrap();
    aio.read(near.as_fd(), 0, Vec::with_capacity(64)).unwrap();
    assert_eq!(done(&mut aio).bytes, Err(Errno::AGAIN));
    os::net::set_receive_timeout(near.as_fd(), PATIENCE).unwrap();

    // Two helpers do the first two operations, in this order, so the third has not begun and can be
    // cancelled.
    let (other, gone) = pair();
    let (third, _far) = pair();
    aio.read(near.as_fd(), 0, Vec::with_capacity(64)).unwrap();
    aio.read(other.as_fd(), 1, Vec::with_capacity(64)).unwrap();
    aio.read(third.as_fd(), 2, Vec::with_capacity(64)).unwrap();
    aio.cancel(2);
    let cancelled = done(&mut aio);
    assert_eq!(
        (cancelled.token, cancelled.bytes),
        (2, Err(Errno::CANCELED))
    );
    drop(gone);
    let ended = done(&mut aio);
    assert_eq!((ended.token, ended.bytes), (1, Ok(0)));

    // The first has begun, since the second has. It cannot be cancelled, and goes on until something is
    // received.
    aio.cancel(0);
    assert!(aio.sweep().is_none());
    assert_eq!(aio.in_flight(), 1);

    // The peer resets the connection while its reply is being written: the write completes with an
    // error, and its buffer is unchanged.
    let (reset, far) = pair();
    let output = vec![b'x'; 16 << 20];
    aio.write(reset.as_fd(), 1, output.clone()).unwrap();
    (&far).read_exact(&mut [0; 1000]).unwrap();
    drop(far);
    let mut wrote = done(&mut aio);
    if wrote.bytes.is_ok() {
        aio.write(reset.as_fd(), 1, wrote.buffer).unwrap();
        wrote = done(&mut aio);
    }
    let error = wrote.bytes;
    assert!(
        matches!(error, Err(Errno::CONNRESET | Errno::PIPE)),
        "{error:?}"
    );
    assert!(wrote.buffer == output);

    // After a shutdown, the read that still waits completes.
    near.shutdown(std::net::Shutdown::Read).unwrap();
    assert_eq!(done(&mut aio).bytes, Ok(0));
    assert_eq!(aio.in_flight(), 0);
    println!("reads, writes, ends and cancellations: ok");
}
