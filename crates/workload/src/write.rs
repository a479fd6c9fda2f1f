//! A workload as TOML, such as one that was learned.

use std::fmt;

use crate::{Class, Distribution, Offered, Workload};

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |numbers: &[f64]| {
            let each: Vec<String> = numbers.iter().map(f64::to_string).collect();
            each.join(", ")
        };
        match self {
            Self::Constant(value) => write!(f, "{value}"),
            Self::Exponential { mean } => write!(f, "{{ exponential = {mean} }}"),
            Self::Lognormal { mean, cv } => {
                write!(f, "{{ lognormal = {{ mean = {mean}, cv = {cv} }} }}")
            }
            Self::Values { values, shares } => write!(
                f,
                "{{ values = [{}], weights = [{}] }}",
                list(values),
                list(shares)
            ),
        }
    }
}

/// A quoted string; TOML's basic strings take Rust's escapes of what may occur in a name.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offered {
            Offered::Open { rate } => writeln!(f, "rate = {rate}")?,
            Offered::Closed {
                population,
                think_ms,
            } => writeln!(f, "population = {population}\nthink_ms = {think_ms}")?,
        }
        writeln!(f, "connections = {}", self.connections)?;
        writeln!(f, "active = {}\nchurn = {}", self.active, self.churn)?;
        for class in &self.classes {
            let Class {
                name,
                share,
                cpu_us,
                blocked_us,
                wait_us,
                ..
            } = class;
            writeln!(f, "\n[[class]]\nname = {}\nshare = {share}", quoted(name))?;
            writeln!(
                f,
                "cpu_us = {cpu_us}\nblocked_us = {blocked_us}\nwait_us = {wait_us}"
            )?;
            writeln!(f, "lock = {}", quoted(&class.lock))?;
            writeln!(f, "request_bytes = {}", class.request_bytes)?;
            writeln!(f, "reply_bytes = {}", class.reply_bytes)?;
        }
        let objective = &self.objective;
        writeln!(f, "\n[objective]\npercentile = {}", objective.percentile)?;
        writeln!(f, "response_ms = {}", objective.response_ms)?;
        writeln!(f, "errors_share_max = {}", objective.errors_share_max)?;
        writeln!(f, "class = {}\n\n[machine]", quoted(&objective.class))?;
        if let Some(cpus) = self.machine.cpus {
            writeln!(f, "cpus = {cpus}")?;
        }
        if let Some(mib) = self.machine.memory_mib {
            writeln!(f, "memory_mib = {mib}")?;
        }
        writeln!(f, "io_uring = {}\n\n[needs]", self.machine.io_uring)?;
        writeln!(f, "shared_memory = {}", self.needs.shared_memory)?;
        writeln!(f, "crash_isolation = {}", self.needs.crash_isolation)
    }
}
