//! Drawing requests from a seed.

use schema::random::SplitMix64;

use crate::{Class, Workload};

/// A request that has been drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawn {
    /// Which class, by its index.
    pub class: usize,
    /// CPU of the handler, µs.
    pub cpu_us: f64,
    /// Blocked time, µs.
    pub blocked_us: f64,
    /// Awaited time, µs.
    pub wait_us: f64,
}

/// Draws the requests of a workload: the same for the same seed, on every machine.
///
/// Each request takes the same number of random numbers, so that two workloads that differ in one
/// number have requests that correspond.
#[derive(Debug, Clone)]
pub struct Sampler {
    random: SplitMix64,
    classes: Vec<Class>,
}

impl Sampler {
    /// Draws from the classes of `workload`.
    pub fn new(workload: &Workload, seed: u64) -> Self {
        Self {
            random: SplitMix64::new(seed),
            classes: workload.classes.clone(),
        }
    }
}

/// Uniform in (0, 1).
fn inside(random: &mut SplitMix64) -> f64 {
    random.uniform().clamp(1e-12, 1.0 - 1e-12)
}

impl Iterator for Sampler {
    type Item = Drawn;

    fn next(&mut self) -> Option<Drawn> {
        let which = self.random.uniform();
        let times: [f64; 3] = std::array::from_fn(|_| inside(&mut self.random));
        let mut below = 0.0;
        let class = self.classes.iter().position(|class| {
            below += class.share;
            which < below
        });
        let class = class.unwrap_or(self.classes.len() - 1);
        let Class {
            cpu_us,
            blocked_us,
            wait_us,
            ..
        } = &self.classes[class];
        Some(Drawn {
            class,
            cpu_us: cpu_us.quantile(times[0]),
            blocked_us: blocked_us.quantile(times[1]),
            wait_us: wait_us.quantile(times[2]),
        })
    }
}
