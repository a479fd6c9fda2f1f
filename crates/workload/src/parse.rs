//! Reading a workload from TOML.

use serde::Deserialize;

use crate::{Class, Distribution, Machine, Needs, Objective, Offered, Workload};

/// Clients that are taken to be there where an open loop does not say its connections.
const CONNECTIONS: u32 = 64;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub rate: Option<f64>,
    pub population: Option<i64>,
    pub think_ms: Option<f64>,
    pub connections: Option<i64>,
    pub active: Option<i64>,
    #[serde(default)]
    pub churn: f64,
    #[serde(default)]
    pub class: Vec<FileClass>,
    #[serde(default)]
    pub objective: FileObjective,
    #[serde(default)]
    pub machine: FileMachine,
    #[serde(default)]
    pub needs: FileNeeds,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileClass {
    #[serde(default)]
    pub name: String,
    pub share: Option<f64>,
    pub cpu_us: Option<FileDistribution>,
    pub blocked_us: Option<FileDistribution>,
    pub wait_us: Option<FileDistribution>,
    #[serde(default)]
    pub lock: String,
    #[serde(default)]
    pub request_bytes: i64,
    pub reply_bytes: Option<i64>,
}

/// A number, or one of the tables; which table it is, its fields say.
#[derive(Debug)]
pub(crate) struct FileDistribution(pub Distribution);

impl<'de> Deserialize<'de> for FileDistribution {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(from)?;
        distribution(&value)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

const FORMS: &str = "a number, { exponential = MEAN }, { lognormal = { mean = M, cv = C } } or { values = [..], weights = [..] }";

fn number(value: &toml::Value) -> Option<f64> {
    value
        .as_float()
        .or_else(|| value.as_integer().map(|n| n as f64))
}

fn distribution(value: &toml::Value) -> Result<Distribution, String> {
    let wrong = || format!("a time is {FORMS}");
    if let Some(number) = number(value) {
        return Ok(Distribution::Constant(number));
    }
    let table = value.as_table().ok_or_else(wrong)?;
    let keys: Vec<&str> = table.keys().map(String::as_str).collect();
    match keys.as_slice() {
        ["exponential"] => {
            let mean = number(&table["exponential"]).ok_or_else(wrong)?;
            Ok(Distribution::Exponential { mean })
        }
        ["lognormal"] => {
            let inner = table["lognormal"].as_table().ok_or_else(wrong)?;
            let field = |name: &str| inner.get(name).and_then(number).ok_or_else(wrong);
            match inner.len() {
                2 => Ok(Distribution::Lognormal {
                    mean: field("mean")?,
                    cv: field("cv")?,
                }),
                _ => Err(wrong()),
            }
        }
        ["values"] | ["values", "weights"] | ["weights", "values"] => {
            let list = |value: &toml::Value| {
                let array = value.as_array().ok_or_else(wrong)?;
                let numbers = array.iter().map(|v| number(v).ok_or_else(wrong));
                numbers.collect::<Result<Vec<f64>, String>>()
            };
            let values = list(&table["values"])?;
            let weights = match table.get("weights") {
                Some(weights) => list(weights)?,
                None => vec![1.0; values.len()],
            };
            weighted(values, &weights)
        }
        _ => Err(wrong()),
    }
}

fn weighted(values: Vec<f64>, weights: &[f64]) -> Result<Distribution, String> {
    if values.is_empty() || values.len() != weights.len() {
        return Err("values and weights must be as many, and at least one".into());
    }
    let sum: f64 = weights.iter().sum();
    if weights.iter().any(|w| !w.is_finite() || *w < 0.0) || !(sum > 0.0 && sum.is_finite()) {
        return Err("weights must be positive numbers".into());
    }
    let shares = weights.iter().map(|w| w / sum).collect();
    Ok(Distribution::Values { values, shares })
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileObjective {
    pub percentile: Option<f64>,
    pub response_ms: Option<f64>,
    pub errors_share_max: Option<f64>,
    #[serde(default)]
    pub class: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileMachine {
    pub cpus: Option<i64>,
    pub memory_mib: Option<i64>,
    pub io_uring: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileNeeds {
    #[serde(default)]
    pub shared_memory: bool,
    #[serde(default)]
    pub crash_isolation: bool,
}

impl Workload {
    /// Reads a workload and checks it.
    ///
    /// # Errors
    /// One line that names the field and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| one_line(&error, text))?;
        file.into_workload()
    }
}

/// What is wrong, with its line, on one line.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let message = error
        .message()
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ");
    match error.span() {
        Some(span) => {
            let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
            format!("line {line}: {message}")
        }
        None => message,
    }
}

/// A whole number that is not negative.
fn count(name: &str, value: i64) -> Result<u32, String> {
    u32::try_from(value).map_err(|_| format!("{name} is {value}: it must be 0 to {}", u32::MAX))
}

fn size(name: &str, value: i64) -> Result<u64, String> {
    u64::try_from(value).map_err(|_| format!("{name} is {value}: it must not be negative"))
}

impl File {
    pub(crate) fn into_workload(self) -> Result<Workload, String> {
        let population = self
            .population
            .map(|n| count("population", n))
            .transpose()?;
        let offered = match (self.rate, population) {
            (Some(rate), None) => Offered::Open { rate },
            (None, Some(population)) => Offered::Closed {
                population,
                think_ms: self.think_ms.unwrap_or(0.0),
            },
            (Some(_), Some(_)) => return Err("rate and population exclude each other".into()),
            (None, None) => return Err("a workload needs a rate or a population".into()),
        };
        if self.think_ms.is_some() && population.is_none() {
            return Err("think_ms belongs to a population, not to a rate".into());
        }
        let connections = match self.connections {
            Some(n) => count("connections", n)?,
            None => population.unwrap_or(CONNECTIONS),
        };
        let active = match self.active {
            Some(n) => count("active", n)?,
            None => population.unwrap_or(connections),
        };
        let alone = self.class.len() == 1;
        let classes = self.class.into_iter().enumerate();
        let classes = classes.map(|(at, class)| class.into_class(at, alone));
        let defaults = (Objective::default(), Machine::default());
        let workload = Workload {
            offered,
            connections,
            active,
            churn: self.churn,
            classes: classes.collect::<Result<_, _>>()?,
            objective: Objective {
                percentile: self.objective.percentile.unwrap_or(defaults.0.percentile),
                response_ms: self.objective.response_ms.unwrap_or(defaults.0.response_ms),
                errors_share_max: self
                    .objective
                    .errors_share_max
                    .unwrap_or(defaults.0.errors_share_max),
                class: self.objective.class,
            },
            machine: Machine {
                cpus: self
                    .machine
                    .cpus
                    .map(|n| count("machine.cpus", n))
                    .transpose()?,
                memory_mib: self
                    .machine
                    .memory_mib
                    .map(|n| size("machine.memory_mib", n))
                    .transpose()?,
                io_uring: self.machine.io_uring.unwrap_or(defaults.1.io_uring),
            },
            needs: Needs {
                shared_memory: self.needs.shared_memory,
                crash_isolation: self.needs.crash_isolation,
            },
        };
        workload.checked()
    }
}

impl FileClass {
    fn into_class(self, at: usize, alone: bool) -> Result<Class, String> {
        let name = if self.name.is_empty() {
            format!("class-{}", at + 1)
        } else {
            self.name
        };
        let share = match self.share {
            Some(share) => share,
            None if alone => 1.0,
            None => {
                return Err(format!(
                    "class {name:?} has no share, and there are several"
                ));
            }
        };
        let time = |given: Option<FileDistribution>| {
            given.map_or(Distribution::Constant(0.0), |FileDistribution(d)| d)
        };
        Ok(Class {
            share,
            cpu_us: time(self.cpu_us),
            blocked_us: time(self.blocked_us),
            wait_us: time(self.wait_us),
            lock: self.lock,
            request_bytes: size(
                &format!("class {name:?}: request_bytes"),
                self.request_bytes,
            )?,
            reply_bytes: size(
                &format!("class {name:?}: reply_bytes"),
                self.reply_bytes.unwrap_or(13),
            )?,
            name,
        })
    }
}
