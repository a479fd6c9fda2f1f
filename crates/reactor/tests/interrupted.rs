//! A signal ends every selector's wait, without events and without an error.
//!
//! This program has one thread, so that it is this thread that the signals find.

use std::time::{Duration, Instant};

use os::net::Waker;
use os::process::Signal;
use os::signal;
use reactor::{Epoll, EpollEdge, Interest, Poll, Select, Selector, Source};

/// Long enough to tell a wait that a signal has ended from one that has not.
const TIMEOUT: Duration = Duration::from_secs(60);

fn is_interrupted<S: Selector>() -> server::Result {
    let (mut selector, waker) = (S::empty()?, Waker::new()?);
    selector.add(&waker, Source::Wake, Interest::Read)?;
    let mut events = Vec::with_capacity(4);
    selector.wait(&mut events, Some(Duration::ZERO)); // An edge that reports room to write.
    let began = Instant::now();
    selector.wait(&mut events, Some(TIMEOUT));
    assert!(events.is_empty() && began.elapsed() < TIMEOUT / 2);
    waker.wake();
    selector.wait(&mut events, Some(TIMEOUT));
    let found: Vec<_> = events.iter().map(S::ready).collect();
    assert!(matches!(found[..], [ready] if ready.source == Source::Wake && ready.readable));
    Ok(())
}

fn main() -> server::Result {
    signal::handle(&[Signal::ALARM], signal::do_nothing);
    signal::alarm_every(Duration::from_millis(50));
    is_interrupted::<Epoll>()?;
    is_interrupted::<EpollEdge>()?;
    is_interrupted::<Poll>()?;
    is_interrupted::<Select>()?;
    println!("every wait was interrupted, and none failed");
    Ok(())
}
