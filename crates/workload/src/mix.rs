//! A workload as a mix of requests to the synthetic service.

use schema::random::SplitMix64;

use crate::{Class, Distribution, Workload};

/// Requests that stand for a class whose times vary.
const PER_CLASS: usize = 100;
/// The weights of the generator's mix add up to about this.
const WEIGHTS: f64 = 100_000.0;

/// One kind of request of a [`Mix`].
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// The class that it belongs to, by its index.
    pub class: usize,
    /// How often it is drawn, relative to the others.
    pub weight: u32,
    /// `GET`, or `POST` where the class has a body.
    pub method: &'static str,
    /// `/work/CPU_US/BLOCKED_US/WAIT_US/REPLY_BYTES`, with `?lock=NAME` where the class has a lock.
    pub path: String,
}

/// The requests that the generator draws from.
#[derive(Debug, Clone, PartialEq)]
pub struct Mix {
    /// The kinds, those of a class in a row.
    pub kinds: Vec<Kind>,
    /// Bytes of the bodies that are sent.
    pub body_bytes: u64,
}

impl Mix {
    /// The mix of a workload. A class whose times vary becomes a hundred requests: one of each hundredth
    /// of its distribution, in an order drawn from `seed`, so that its phases are independent.
    ///
    /// # Errors
    /// Two classes have bodies of different sizes: one load sends one size.
    pub fn of(workload: &Workload, seed: u64) -> Result<Self, String> {
        let bodies = workload.classes.iter().map(|c| c.request_bytes);
        let mut bodies: Vec<u64> = bodies.filter(|&bytes| bytes > 0).collect();
        bodies.sort_unstable();
        bodies.dedup();
        if let [one, other, ..] = bodies[..] {
            return Err(format!(
                "classes have bodies of {one} and of {other} bytes: one load can send one size only"
            ));
        }
        let random = SplitMix64::new(seed);
        let each = workload.classes.iter().enumerate();
        let kinds = each.flat_map(|(at, class)| of_class(at, class, random.fork(at as u64 + 1)));
        Ok(Self {
            kinds: kinds.collect(),
            body_bytes: bodies.first().copied().unwrap_or(0),
        })
    }
}

fn of_class(at: usize, class: &Class, mut random: SplitMix64) -> Vec<Kind> {
    let fixed = |d: &Distribution| matches!(d, Distribution::Constant(_)) || d.is_zero();
    let times = [&class.cpu_us, &class.blocked_us, &class.wait_us];
    let many = if times.into_iter().all(fixed) {
        1
    } else {
        PER_CLASS
    };
    let drawn = times.map(|time| {
        let mut values: Vec<f64> = (0..many).map(|n| mean_of_part(time, n, many)).collect();
        random.shuffle(&mut values);
        values
    });
    let weight = (class.share * WEIGHTS / many as f64).round().max(1.0) as u32;
    let method = if class.request_bytes > 0 {
        "POST"
    } else {
        "GET"
    };
    let lock = match class.lock.as_str() {
        "" => String::new(),
        lock => format!("?lock={lock}"),
    };
    let kind = |n: usize| Kind {
        class: at,
        weight,
        method,
        path: format!(
            "/work/{:.0}/{:.0}/{:.0}/{}{lock}",
            drawn[0][n], drawn[1][n], drawn[2][n], class.reply_bytes
        ),
    };
    (0..many).map(kind).collect()
}

/// The workload as a [`Mix`] sends it: each time that varies as the hundred that stand for it.
pub fn as_sent(workload: &Workload) -> Workload {
    let mut sent = workload.clone();
    for class in &mut sent.classes {
        for time in [&mut class.cpu_us, &mut class.blocked_us, &mut class.wait_us] {
            if !matches!(time, Distribution::Constant(_)) && !time.is_zero() {
                *time = Distribution::Values {
                    values: (0..PER_CLASS)
                        .map(|n| mean_of_part(time, n, PER_CLASS).round())
                        .collect(),
                    shares: vec![1.0 / PER_CLASS as f64; PER_CLASS],
                };
            }
        }
    }
    sent
}

/// The mean of the `n`-th of `many` equal parts of a distribution, so that the mean of all parts is its
/// own.
fn mean_of_part(of: &Distribution, n: usize, many: usize) -> f64 {
    const STEPS: usize = 200;
    let at = |step: usize| (n as f64 + (step as f64 + 0.5) / STEPS as f64) / many as f64;
    (0..STEPS).map(|step| of.quantile(at(step))).sum::<f64>() / STEPS as f64
}
