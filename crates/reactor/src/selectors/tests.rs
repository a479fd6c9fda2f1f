//! Every selector against one table of behaviours.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};

use os::Errno;

use super::*;
use crate::Source::{self, Listener};
use crate::{Interest, Ready, Selector};

/// A pair of connected stream sockets that do not block.
fn pair() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap()
}

fn send(socket: &OwnedFd) {
    assert_eq!(rustix::net::send(socket, b"x", SendFlags::NOSIGNAL), Ok(1));
}

fn receive(socket: &OwnedFd) {
    assert_eq!(
        rustix::net::recv(socket, &mut [0u8; 8], RecvFlags::empty()).map(|(bytes, _)| bytes),
        Ok(1)
    );
}

/// Sends until there is no room.
fn fill(socket: &OwnedFd) {
    while rustix::net::send(socket, &[0; 4096], SendFlags::NOSIGNAL).is_ok() {}
}

const SOON: Option<Duration> = Some(Duration::from_secs(5));
const NOW: Option<Duration> = Some(Duration::ZERO);

/// What one wait finds, in the order of numbers. A selector that does not wait is not asked to.
fn wait<S: Selector>(selector: &mut S, timeout: Option<Duration>) -> Vec<Ready> {
    let mut events = Vec::with_capacity(16);
    selector.wait(&mut events, timeout);
    let mut found: Vec<_> = events.iter().map(S::ready).collect();
    found.sort_by_key(|ready| ready.source.pack());
    found
}

/// The numbers under which descriptors were added, each as if it were a listener.
fn numbers(found: &[Ready]) -> Vec<usize> {
    let number = |ready: &Ready| match ready.source {
        Listener(number) => number,
        Source::Connection(_) | Source::Drain | Source::Wake | Source::AcceptPause => usize::MAX,
    };
    found.iter().map(number).collect()
}

fn readiness_is_seen<S: Selector>() {
    let mut selector = S::empty().unwrap();
    let (ours, theirs) = pair();
    let (other, _theirs) = pair();
    selector.add(&ours, Listener(7), Interest::Read).unwrap();
    selector.add(&other, Listener(8), Interest::Read).unwrap();
    if S::EDGE {
        assert!(wait(&mut selector, NOW).iter().all(|ready| !ready.readable));
    } else {
        assert!(numbers(&wait(&mut selector, NOW)).is_empty());
    }
    send(&theirs);
    let found = wait(&mut selector, SOON);
    assert!(matches!(
        found[..],
        [Ready {
            source: Listener(7),
            readable: true,
            hung_up: false,
            ..
        }]
    ));
    // What is not taken is reported again, unless changes are reported.
    assert_eq!(wait(&mut selector, NOW).is_empty(), S::EDGE);
    receive(&ours);
    assert!(numbers(&wait(&mut selector, NOW)).is_empty());
    send(&theirs);
    assert_eq!(numbers(&wait(&mut selector, SOON)), [7], "the next one too");
}

fn interest_changes<S: Selector>() {
    let mut selector = S::empty().unwrap();
    let (ours, theirs) = pair();
    fill(&ours);
    selector.add(&ours, Listener(7), Interest::Write).unwrap();
    assert!(wait(&mut selector, NOW).is_empty(), "no room");
    while rustix::net::recv(&theirs, &mut [0u8; 65536], RecvFlags::empty()).is_ok() {}
    let found = wait(&mut selector, SOON);
    assert!(matches!(
        found[..],
        [Ready {
            source: Listener(7),
            writable: true,
            ..
        }]
    ));
    selector.set(&ours, Listener(7), Interest::Read).unwrap();
    assert!(wait(&mut selector, NOW).is_empty());
    send(&theirs);
    assert_eq!(numbers(&wait(&mut selector, SOON)), [7]);
    selector.set(&ours, Listener(7), Interest::Nothing).unwrap();
    send(&theirs);
    assert_eq!(wait(&mut selector, NOW).is_empty(), !S::EDGE);
}

fn what_is_removed_is_not_reported<S: Selector>() {
    let mut selector = S::empty().unwrap();
    let pairs: Vec<_> = (0..5).map(|_| pair()).collect();
    for (number, (ours, theirs)) in (0..).zip(&pairs) {
        selector
            .add(ours, Listener(number), Interest::Read)
            .unwrap();
        send(theirs);
    }
    selector.remove(&pairs[0].0);
    selector.remove(&pairs[0].0);
    selector.remove(&pairs[3].0);
    assert_eq!(numbers(&wait(&mut selector, SOON)), [1, 2, 4]);
    selector
        .add(&pairs[3].0, Listener(9), Interest::Read)
        .unwrap();
    assert!(
        numbers(&wait(&mut selector, SOON)).contains(&9),
        "its state is reported anew"
    );
}

fn a_descriptor_that_comes_again_has_its_new_source<S: Selector>() {
    let mut selector = S::empty().unwrap();
    for number in 0..3 {
        let (ours, theirs) = pair();
        selector
            .add(&ours, Listener(number), Interest::Read)
            .unwrap();
        send(&theirs);
        assert_eq!(numbers(&wait(&mut selector, SOON)), [number]);
        selector.closing(&ours);
        drop(ours);
        assert!(wait(&mut selector, NOW).is_empty(), "closed");
    }
}

fn a_peer_that_goes_is_noticed<S: Selector>() {
    let mut selector = S::empty().unwrap();
    let [(half, half_peer), (whole, whole_peer)] = [pair(), pair()];
    selector.add(&half, Listener(1), Interest::Read).unwrap();
    selector.add(&whole, Listener(2), Interest::Read).unwrap();
    rustix::net::shutdown(&half_peer, Shutdown::Write).unwrap();
    drop(whole_peer);
    let found = wait(&mut selector, SOON);
    assert_eq!(numbers(&found), [1, 2]);
    assert!(found.iter().all(|ready| ready.readable));
    assert!(!found[0].hung_up, "it may still be answered");
    assert_eq!(found[0].half_closed, S::EDGE);
}

fn a_timeout_passes<S: Selector>() {
    let mut selector = S::empty().unwrap();
    let (ours, _theirs) = pair();
    selector.add(&ours, Listener(1), Interest::Read).unwrap();
    wait(&mut selector, NOW); // An edge that reports room to send.
    let began = Instant::now();
    let timeout = Duration::from_millis(20);
    assert!(wait(&mut selector, Some(timeout)).is_empty());
    assert!(began.elapsed() >= timeout, "early");
}

/// Tests of one selector. EINTR has a program of its own, tests/interrupted.rs.
macro_rules! table {
    ($($name:ident: $selector:ident),* $(,)?) => {$(
        mod $name {
            use super::*;


            #[test]
            fn readiness_is_seen() {
                super::readiness_is_seen::<$selector>();
            }
            #[test]
            fn interest_changes() {
                super::interest_changes::<$selector>();
            }
            #[test]
            fn what_is_removed_is_not_reported() {
                super::what_is_removed_is_not_reported::<$selector>();
            }
            #[test]
            fn a_descriptor_that_comes_again_has_its_new_source() {
                super::a_descriptor_that_comes_again_has_its_new_source::<$selector>();
            }
            #[test]
            fn a_peer_that_goes_is_noticed() {
                super::a_peer_that_goes_is_noticed::<$selector>();
            }
            #[test]
            fn a_timeout_passes() {
                super::a_timeout_passes::<$selector>();
            }
        }
    )*};
}

table! {
    epoll: Epoll,
    epoll_edge: EpollEdge,
    poll: Poll,
    select: Select,
}

/// It reports all that is watched for something, ready or not, and never waits: the loop finds out.
#[test]
fn busy_names_what_is_wanted() {
    let mut selector = Busy::empty().unwrap();
    let (ours, theirs) = pair();
    selector.add(&ours, Listener(1), Interest::Read).unwrap();
    selector.add(&theirs, Listener(2), Interest::Write).unwrap();
    let found = wait(&mut selector, None);
    assert!(matches!(
        found[..],
        [
            Ready {
                source: Listener(1),
                readable: true,
                ..
            },
            Ready {
                source: Listener(2),
                writable: true,
                ..
            }
        ]
    ));
    selector.set(&ours, Listener(1), Interest::Nothing).unwrap();
    selector.closing(&theirs);
    assert!(wait(&mut selector, None).is_empty());
}

/// The sets of select have a bit for each number below 1024, and for no other.
#[test]
fn select_refuses_numbers_it_has_no_bit_for() {
    let mut selector = Select::empty().unwrap();
    let (ours, _theirs) = pair();
    let room = selector.room().unwrap();
    assert!((1..os::select::SELECT_END).contains(&room), "{room}");
    os::process::raise_descriptor_limit();
    let high = rustix::io::fcntl_dupfd_cloexec(&ours, os::select::SELECT_END as i32).unwrap();
    assert_eq!(
        selector.add(&high, Listener(1), Interest::Read),
        Err(Errno::INVAL)
    );
    selector.remove(&high);
}

/// What a handle set relies upon: a connection is reported when it changes, a FIN as such, and
/// whenever it is armed again; one that waits for time only when its peer has closed both
/// directions.
#[test]
fn a_connection_of_a_shared_set_is_reported_by_its_edges() {
    let mut set = Epoll::empty().unwrap();
    let (ours, theirs) = pair();
    set.add_edge(&ours, Listener(7), Interest::Read).unwrap();
    send(&theirs);
    assert_eq!(numbers(&wait(&mut set, SOON)), [7]);
    assert!(wait(&mut set, NOW).is_empty(), "nothing has changed");
    set.rearm_edge(&ours, Listener(7), Interest::Read).unwrap();
    assert_eq!(numbers(&wait(&mut set, SOON)), [7], "it is still there");
    set.rearm_edge(&ours, Listener(7), Interest::Write).unwrap();
    assert!(wait(&mut set, SOON)[0].writable);
    set.rearm_edge(&ours, Listener(7), Interest::Nothing)
        .unwrap();
    send(&theirs);
    rustix::net::shutdown(&theirs, Shutdown::Write).unwrap();
    assert!(wait(&mut set, NOW).is_empty(), "nobody has asked");
    set.rearm_edge(&ours, Listener(7), Interest::Read).unwrap();
    assert!(wait(&mut set, SOON)[0].half_closed);
    set.rearm_edge(&ours, Listener(7), Interest::Nothing)
        .unwrap();
    drop(theirs);
    assert!(wait(&mut set, SOON)[0].hung_up);
}
