//! The time slice that a running thread really gets: measured, never assumed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::observe::cpus::CpuList;

/// A thread that does not see the clock for longer than this was not running.
const GAP: Duration = Duration::from_micros(60);
/// How long each of the two is watched.
const WATCHED: Duration = Duration::from_millis(600);
/// How long the sleeper sleeps: long enough that it has credit with the scheduler when it wakes up.
const SLEEP: Duration = Duration::from_micros(2_500);

/// Sleeps after which it is told whether the other still was protected, ms, and how long each is watched.
const PROTECTED_MS: [f64; 8] = [0.3, 0.6, 0.9, 1.2, 1.6, 2.0, 3.0, 4.0];
const PROTECTED_WATCHED: Duration = Duration::from_millis(150);
/// A sleeper that is later than this waited for the other, and not for its timer.
const WAITED_US: f64 = 250.0;

/// Interrupts cut a run into pieces; those below this are no slices, µs.
const RUN_US_MIN: f64 = 200.0;

/// How a core is shared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slices {
    /// How long a thread runs while another waits, median, µs.
    pub slice_us: f64,
    /// How long a thread that wakes up waits for one that runs, median, µs.
    pub preempt_us: f64,
    /// How long a thread has run at least that gives way to one that wakes up, µs; 0 where it gave way after
    /// each of the sleeps.
    pub protect_us: f64,
}

/// Watches two threads that compute on the first of `cpus`, and then one that wakes up beside one that
/// computes, after sleeps of several lengths: the other begins to run when it falls asleep.
///
/// # Errors
/// The CPU cannot be had.
pub fn measure(cpus: &CpuList) -> std::io::Result<Slices> {
    let stop = AtomicBool::new(false);
    let (runs, late) = std::thread::scope(|scope| {
        let spin = || {
            cpus.pin_to_first()?;
            Ok::<_, std::io::Error>(runs(&stop))
        };
        let (one, two) = (scope.spawn(spin), scope.spawn(spin));
        std::thread::sleep(WATCHED);
        stop.store(true, Ordering::Relaxed);
        let mut runs = joined(one)?;
        runs.extend(joined(two)?);
        stop.store(false, Ordering::Relaxed);
        let hog = scope.spawn(spin);
        let sleeper = scope.spawn(|| {
            cpus.pin_to_first()?;
            let late = lateness(SLEEP, WATCHED);
            let after = |&ms: &f64| {
                let asleep = Duration::from_secs_f64(ms / 1e3);
                (ms * 1e3, lateness(asleep, PROTECTED_WATCHED))
            };
            Ok::<_, std::io::Error>((late, PROTECTED_MS.iter().map(after).collect::<Vec<_>>()))
        });
        let late = joined(sleeper);
        stop.store(true, Ordering::Relaxed);
        joined(hog)?;
        late.map(|late| (runs, late))
    })?;
    let (late, after) = late;
    let (slice_us, preempt_us) = (median(runs, RUN_US_MIN), median(late, 0.0));
    // The longest time after which it still was let wait, in the median.
    let waited = after.into_iter().filter_map(|(us, late)| {
        let late = median(late, 0.0)?;
        (late > WAITED_US).then_some(us)
    });
    let protect_us = waited.fold(0.0, f64::max);
    match (slice_us, preempt_us) {
        (Some(slice_us), Some(preempt_us)) => Ok(Slices {
            slice_us,
            preempt_us: preempt_us.max(1.0),
            protect_us,
        }),
        _ => Err(std::io::Error::other(
            "two threads on one CPU did not take turns: its time slice cannot be told",
        )),
    }
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, std::io::Result<T>>) -> std::io::Result<T> {
    thread
        .join()
        .unwrap_or_else(|_| Err(std::io::Error::other("a thread that measured has panicked")))
}

/// How long this thread ran each time, µs, until it is told to stop.
fn runs(stop: &AtomicBool) -> Vec<f64> {
    let mut runs = Vec::new();
    let (mut begun, mut last) = (Instant::now(), Instant::now());
    let mut whole = false;
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now - last > GAP {
            // The first run began before it was watched.
            if whole {
                runs.push((last - begun).as_secs_f64() * 1e6);
            }
            (begun, whole) = (now, true);
        }
        last = now;
    }
    runs
}

/// How late this thread was each time that it woke up, µs.
fn lateness(sleep: Duration, watched: Duration) -> Vec<f64> {
    let begun = Instant::now();
    let mut late = Vec::new();
    while begun.elapsed() < watched {
        let asleep = Instant::now();
        std::thread::sleep(sleep);
        late.push(asleep.elapsed().saturating_sub(sleep).as_secs_f64() * 1e6);
    }
    late
}

fn median(mut values: Vec<f64>, least: f64) -> Option<f64> {
    values.retain(|us| *us >= least);
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_shared_in_slices_of_some_length() {
        let allowed = CpuList::allowed().expect("the kernel tells");
        let slices = measure(&allowed).expect("it may be pinned");
        assert!(
            slices.slice_us > 0.0 && slices.preempt_us > 0.0,
            "{slices:?}"
        );
    }
}
