//! Locks whose holder is killed. The test forks, so its process must have one thread: the harness is
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
    match fork().expect("another process") {
        Fork::Parent(pid) => pid,
        Fork::Child => {
            body();
            exit_now(0)
        }
    }
}

fn wait_until(what: &str, is_true: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(1)); // How often to check.
    }
}

/// Reaps both children.
fn reap_both() {
    let left = Cell::new(2);
    wait_until("both end", || {
        if matches!(reap(false), Ok(Some(_))) {
            left.set(left.get() - 1);
        }
        left.get() == 0
    });
}

/// One child locks and never unlocks; another waits for the lock; the first is killed.
fn check<Guard>(name: &str, lock: impl Fn() -> Guard) {
    let steps = shared::slice::<AtomicU32>(2).expect("a page");
    let holder = child(|| {
        let _guard = lock();
        steps[0].store(1, Ordering::SeqCst);
        loop {
            std::thread::sleep(PATIENCE);
        }
    });
    wait_until("the first has the lock", || {
        steps[0].load(Ordering::SeqCst) == 1
    });
    child(|| {
        steps[1].store(1, Ordering::SeqCst);
        drop(lock());
        drop(lock());
        steps[1].store(2, Ordering::SeqCst);
    });
    wait_until("the second waits for it", || {
        steps[1].load(Ordering::SeqCst) == 1
    });
    // That the second does not get it can only be seen by waiting for a while.
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(steps[1].load(Ordering::SeqCst), 1, "{name}: both hold it");
    kill(holder, Signal::KILL);
    wait_until("the second gets it", || {
        steps[1].load(Ordering::SeqCst) == 2
    });
    reap_both();
    println!("{name}: ok");
}

fn main() {
    let file = LockFile::new().expect("a file in memory");
    check("flock", || {
        let mine = Box::leak(Box::new(file.open().expect("an opening of it")));
        mine.lock().expect("the lock")
    });
    let mutex = SharedMutex::new().expect("a mutex");
    check("mutex", || mutex.lock());
}
