//! What a workload may not say.

use crate::{Class, Distribution, Offered, Workload};

/// Most requests per second.
pub const RATE_MAX: f64 = 100e6;
/// Longest time of a phase of a request, µs; what the routes of the synthetic service take.
pub const MICROS_MAX: f64 = 60e6;
/// Most connections, and clients.
pub const CONNECTIONS_MAX: u32 = 10_000_000;
/// Most CPUs.
pub const CPUS_MAX: u32 = 4_096;
/// Most bytes of a request's or a reply's body; what the routes of the synthetic service take.
const BYTES_MAX: u64 = 64 << 20;
/// Most classes.
const CLASSES_MAX: usize = 64;
/// How far shares may be from 1 in all: they are written with a few decimals.
const SHARES_OFF_MAX: f64 = 1e-6;

fn within(name: &str, value: f64, low: f64, high: f64) -> Result<(), String> {
    if value.is_finite() && (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(format!("{name} is {value}: it must be {low} to {high}"))
    }
}

fn positive(name: &str, value: f64, high: f64) -> Result<(), String> {
    if value.is_finite() && value > 0.0 && value <= high {
        Ok(())
    } else {
        Err(format!(
            "{name} is {value}: it must be above 0 and at most {high}"
        ))
    }
}

impl Workload {
    /// The workload, if every number in it can be meant.
    ///
    /// # Errors
    /// One line that names the field and what is wrong with it.
    pub fn checked(self) -> Result<Self, String> {
        match self.offered {
            Offered::Open { rate } => positive("rate", rate, RATE_MAX)?,
            Offered::Closed {
                population,
                think_ms,
            } => {
                let clients = f64::from(population);
                within("population", clients, 1.0, f64::from(CONNECTIONS_MAX))?;
                within("think_ms", think_ms, 0.0, 3_600_000.0)?;
                if population > self.connections {
                    let connections = self.connections;
                    return Err(format!(
                        "population is {population}, but connections are {connections}: each client has one"
                    ));
                }
                if self.active != population {
                    return Err(format!(
                        "active is {}, but the population is {population}: each client has one active connection",
                        self.active
                    ));
                }
            }
        }
        let connections = f64::from(self.connections);
        within("connections", connections, 1.0, f64::from(CONNECTIONS_MAX))?;
        if self.active == 0 || self.active > self.connections {
            return Err(format!(
                "active is {}: it must be 1 to connections, {}",
                self.active, self.connections
            ));
        }
        within("churn", self.churn, 0.0, 1.0)?;
        self.check_classes()?;
        let objective = &self.objective;
        if !(1.0..=99.99).contains(&objective.percentile) {
            return Err(format!(
                "objective.percentile is {}: it must be 1 to 99.99",
                objective.percentile
            ));
        }
        positive("objective.response_ms", objective.response_ms, 3_600_000.0)?;
        within(
            "objective.errors_share_max",
            objective.errors_share_max,
            0.0,
            1.0,
        )?;
        if !objective.class.is_empty() && self.objective_class().is_none() {
            let names: Vec<&str> = self.classes.iter().map(|c| c.name.as_str()).collect();
            return Err(format!(
                "objective.class {:?} is no class: there is {}",
                objective.class,
                names.join(", ")
            ));
        }
        if let Some(cpus) = self.machine.cpus {
            within("machine.cpus", f64::from(cpus), 1.0, f64::from(CPUS_MAX))?;
        }
        if self.machine.memory_mib == Some(0) {
            return Err("machine.memory_mib is 0".into());
        }
        Ok(self)
    }

    fn check_classes(&self) -> Result<(), String> {
        if self.classes.is_empty() {
            return Err("a workload needs a [[class]]".into());
        }
        if self.classes.len() > CLASSES_MAX {
            let many = self.classes.len();
            return Err(format!("{many} classes are more than {CLASSES_MAX}"));
        }
        for (at, class) in self.classes.iter().enumerate() {
            class.check()?;
            if self.classes[..at].iter().any(|c| c.name == class.name) {
                return Err(format!("two classes are called {:?}", class.name));
            }
        }
        let sum: f64 = self.classes.iter().map(|c| c.share).sum();
        if (sum - 1.0).abs() > SHARES_OFF_MAX {
            return Err(format!(
                "the shares of the classes add up to {sum}, not to 1"
            ));
        }
        Ok(())
    }
}

impl Class {
    fn check(&self) -> Result<(), String> {
        let of = |field: &str| format!("class {:?}: {field}", self.name);
        positive(&of("share"), self.share, 1.0)?;
        self.cpu_us.check(&of("cpu_us"))?;
        self.blocked_us.check(&of("blocked_us"))?;
        self.wait_us.check(&of("wait_us"))?;
        for (field, bytes) in [
            ("request_bytes", self.request_bytes),
            ("reply_bytes", self.reply_bytes),
        ] {
            if bytes > BYTES_MAX {
                return Err(format!("{} is {bytes}: at most {BYTES_MAX}", of(field)));
            }
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if self.lock.len() > 64 || !self.lock.bytes().all(plain) {
            return Err(format!(
                "{} is {:?}: letters, digits, - and _, at most 64",
                of("lock"),
                self.lock
            ));
        }
        Ok(())
    }
}

impl Distribution {
    fn check(&self, name: &str) -> Result<(), String> {
        match self {
            Self::Constant(value) => within(name, *value, 0.0, MICROS_MAX),
            Self::Exponential { mean } => within(name, *mean, 0.0, MICROS_MAX),
            Self::Lognormal { mean, cv } => {
                within(name, *mean, 0.0, MICROS_MAX)?;
                within(&format!("{name}: cv"), *cv, 0.0, 100.0)
            }
            Self::Values { values, .. } => values
                .iter()
                .try_for_each(|v| within(name, *v, 0.0, MICROS_MAX)),
        }
    }
}
