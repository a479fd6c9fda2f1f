//! Locks whose holder is killed. Each test forks, so each is a program of one thread: the harness is
//! off.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use os::lock::{LockFile, SharedMutex};
use os::process::{Fork, Pid, Signal, exit_now, fork, kill, reap};
use os::shared;

const PATIENCE: Duration = Duration::from_secs(20);

/// Forks a child that runs `body` and exits 0.
fn child(body: impl FnOnce()) -> Pid {
    match fork().expect("a process more") {
        Fork::Parent(pid) => pid,
        Fork::Child => {
            body();
            exit_now(0)
        }
    }
}

fn until(what: &str, come: impl Fn() -> bool) {
    let start = Instant::now();
    while !come() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(1)); // The pace of looking.
    }
}

/// Reaps both children.
fn reap_both() {
    let left = Cell::new(2);
    until("both end", || {
        if matches!(reap(false), Ok(Some(_))) {
            left.set(left.get() - 1);
        }
        left.get() == 0
    });
}

/// One child takes the lock and never lets go; another wants it; the first is killed.
fn passes_on<Held>(name: &str, hold: impl Fn() -> Held) {
    let said = shared::slice::<AtomicU32>(2).expect("a page");
    let holder = child(|| {
        let _held = hold();
        said[0].store(1, Ordering::SeqCst);
        loop {
            std::thread::sleep(PATIENCE);
        }
    });
    until("the first holds it", || said[0].load(Ordering::SeqCst) == 1);
    child(|| {
        said[1].store(1, Ordering::SeqCst);
        drop(hold());
        drop(hold());
        said[1].store(2, Ordering::SeqCst);
    });
    until("the second wants it", || {
        said[1].load(Ordering::SeqCst) == 1
    });
    // That nothing comes can only be seen by waiting for a while.
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(said[1].load(Ordering::SeqCst), 1, "{name}: both hold it");
    kill(holder, Signal::KILL);
    until("the second gets it", || said[1].load(Ordering::SeqCst) == 2);
    reap_both();
    println!("{name}: ok");
}

fn main() {
    let file = LockFile::new().expect("a file in memory");
    passes_on("flock", || {
        let mine = Box::leak(Box::new(file.open().expect("an opening of it")));
        mine.hold().expect("the lock")
    });
    let mutex = SharedMutex::new().expect("a mutex");
    passes_on("mutex", || mutex.hold());
}
