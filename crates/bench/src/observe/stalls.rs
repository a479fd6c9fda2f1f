//! How often a CPU is away, and for how long: a thread that only looks at the clock sees it jump.
//!
//! What it sees is whatever takes a CPU from a server: a hypervisor that gives it to another machine, the
//! kernel's own threads, the system's tasks. Interrupts are shorter than what is counted here.

use std::io;
use std::time::{Duration, Instant};

use schema::profile::StallsOf;

use crate::observe::cpus::CpuList;
use crate::observe::slice::joined;

/// The clock jumps by more than this where the CPU was away, µs. An interrupt takes less.
const AWAY_US: f64 = 250.0;

/// Watches the first CPU of each list, both at the same time, for `watched`.
pub fn measure(
    server: &CpuList,
    client: &CpuList,
    watched: Duration,
) -> io::Result<(StallsOf, StallsOf)> {
    std::thread::scope(|scope| {
        let watch = |cpus: &CpuList| {
            let cpus = cpus.clone();
            scope.spawn(move || {
                cpus.pin_to_first()?;
                Ok::<_, io::Error>(jumps(watched))
            })
        };
        let (server, client) = (watch(server), watch(client));
        Ok((joined(server)?, joined(client)?))
    })
}

fn jumps(watched: Duration) -> StallsOf {
    let begun = Instant::now();
    let mut last = begun;
    let mut lengths_us = Vec::new();
    loop {
        let now = Instant::now();
        let us = (now - last).as_secs_f64() * 1e6;
        if us > AWAY_US {
            lengths_us.push((us * 10.0).round() / 10.0);
        }
        last = now;
        let watched_s = (now - begun).as_secs_f64();
        if watched_s >= watched.as_secs_f64() {
            return StallsOf {
                watched_s,
                lengths_us,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_jump_of_the_clock_is_longer_than_an_interrupt() {
        let allowed = CpuList::allowed().expect("the kernel tells");
        let (lower, upper) = allowed.halves();
        let watched = Duration::from_millis(200);
        let (server, client) = measure(&lower, &upper, watched).expect("they may be pinned");
        for stalls in [server, client] {
            assert!(stalls.watched_s >= 0.2, "{stalls:?}");
            let away: f64 = stalls.lengths_us.iter().sum();
            assert!(stalls.lengths_us.iter().all(|us| *us > AWAY_US));
            assert!(away <= stalls.watched_s * 1e6, "{stalls:?}");
        }
    }
}
